-- Where what follows of a task is told, once the message that first told of it has arrived: a conversation beneath that message,
-- on surfaces that have such.
CREATE TABLE thread (
    task INTEGER PRIMARY KEY REFERENCES task,
    conversation TEXT NOT NULL
) STRICT;
