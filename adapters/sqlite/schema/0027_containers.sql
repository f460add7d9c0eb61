-- Agents that the hub keeps in containers of its own (core/swarm/keeper.py); each is a worker of the crew, too.
CREATE TABLE container (
    name         TEXT PRIMARY KEY,
    image        TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    live         INTEGER NOT NULL CHECK (live IN (0, 1)), -- 0: dismissed
    ended        TEXT NOT NULL, -- the last end that was counted, as Docker dates it
    ends         INTEGER NOT NULL CHECK (ends >= 0), -- in a row
    trouble      TEXT NOT NULL CHECK (trouble IN ('', 'ends', 'refused', 'revoked')), -- what the owners were told last
    why          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What all containers of this hub are marked with.
CREATE TABLE container_mark (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    mark TEXT NOT NULL
) STRICT;
