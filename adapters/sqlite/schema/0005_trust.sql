-- Conversations of a surface that were encrypted once: nothing is ever sent there in clear again.
CREATE TABLE latch (account TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (account, place)) STRICT, WITHOUT ROWID;

-- Whose keys are whose, as they were when the bot first met somebody: the signing identity (empty: none), or the devices (JSON,
-- public keys) of somebody who has none; when people compared the identity (Unix ms), if they did.
CREATE TABLE pin (
    account TEXT NOT NULL,
    person TEXT NOT NULL,
    identity TEXT NOT NULL,
    devices TEXT NOT NULL,
    verified INTEGER,
    PRIMARY KEY (account, person)
) STRICT, WITHOUT ROWID;

-- Which event each encrypted message was first read from: the same one under another event's name is a replay.
CREATE TABLE opened (account TEXT NOT NULL, place TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (account, place)) STRICT, WITHOUT ROWID;
