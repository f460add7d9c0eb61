-- What is told where (core/automation/notify.py): a topic in a place, or not there, as an identity said last.
CREATE TABLE notice_wish (
    topic TEXT NOT NULL,
    place TEXT NOT NULL,    -- a conversation
    actor TEXT NOT NULL,
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    at    INTEGER NOT NULL,
    PRIMARY KEY (topic, place)
) STRICT, WITHOUT ROWID;

-- Quiet hours, minutes after midnight in a zone ('': the hub's), and what came in them and was not told yet.
CREATE TABLE quiet_hours (
    person  TEXT PRIMARY KEY,
    "first" INTEGER NOT NULL,
    "last"  INTEGER NOT NULL,
    zone    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE held_notice (
    id     INTEGER PRIMARY KEY,
    person TEXT NOT NULL,
    place  TEXT NOT NULL,
    body   TEXT NOT NULL,   -- as in outgoing
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX held_notice_of ON held_notice (person, id);

-- Up to when somebody, or a group, was briefed: Unix ms, and the last event and entry of the books by then.
CREATE TABLE briefing (
    reader TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    event  INTEGER NOT NULL,
    entry  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
