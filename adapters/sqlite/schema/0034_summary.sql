-- The older part of a conversation in short (core/agent/summary.py): all turns up to the number `upto`.
CREATE TABLE summary (
    conversation TEXT PRIMARY KEY,
    text         TEXT NOT NULL,
    upto         INTEGER NOT NULL,
    speaker      TEXT NOT NULL, -- the one account that it is of; empty: of several
    tainted      INTEGER NOT NULL CHECK (tainted IN (0, 1)), -- some of it was from outside
    at           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
