-- Where what follows of a task is told, once the message that first told of it has arrived: a conversation beneath that message,
-- on surfaces that have such.
CREATE TABLE thread (
    task INTEGER PRIMARY KEY REFERENCES task,
    conversation TEXT NOT NULL
) STRICT;

-- `opened` remembers each encrypted message by its event for a month; what is older stays as the stretches of its session that
-- were read (JSON: first and last place of each), for as long as there is a key that opens it.
ALTER TABLE opened ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
CREATE TABLE opened_before (
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    stretches TEXT NOT NULL,
    PRIMARY KEY (account, session)
) STRICT, WITHOUT ROWID;

-- An approval is kept until it is settled; then it has a stated life.
DROP TRIGGER approval_kept;
CREATE TRIGGER approval_kept BEFORE DELETE ON approval WHEN old.state IN ('open', 'approved')
BEGIN SELECT RAISE(ABORT, 'an approval that is not settled is kept'); END;
