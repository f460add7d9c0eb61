-- Chat surfaces beside the console: buttons, edits, files that came with a message, and who is let in.

-- What only some messages have (`home`, `tap`, `files` and the like), as JSON.
ALTER TABLE inbound ADD COLUMN more TEXT NOT NULL DEFAULT '{}';

-- `platform_id` holds the surface's ids of all parts that have arrived, separated by commas. `chosen` is the number of the
-- button that answered the message's question.
ALTER TABLE outgoing ADD COLUMN task INTEGER;
ALTER TABLE outgoing ADD COLUMN replaces TEXT;
ALTER TABLE outgoing ADD COLUMN chosen INTEGER;
CREATE INDEX outgoing_of_task ON outgoing (task) WHERE task IS NOT NULL;
CREATE INDEX outgoing_question ON outgoing (conversation, id) WHERE chosen IS NULL AND json_extract(body, '$.choice') IS NOT NULL;

CREATE INDEX outgoing_dead ON outgoing (id) WHERE state = 'dead';

-- A conversation that was given another name by its surface (a group that became a supergroup).
CREATE TABLE moved (old TEXT PRIMARY KEY, new TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Codes of people who ask to be let in, hashed; and wrong codes that somebody tried.
CREATE TABLE pairing (
    hash    TEXT PRIMARY KEY,
    actor   TEXT NOT NULL,
    name    TEXT NOT NULL,
    home    TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pairing_actor ON pairing (actor);
CREATE TABLE pairing_failure (actor TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX pairing_failure_actor ON pairing_failure (actor, at);
ALTER TABLE actor ADD COLUMN name TEXT NOT NULL DEFAULT '';
