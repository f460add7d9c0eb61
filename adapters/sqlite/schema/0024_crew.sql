-- Workers of other processes and hosts (core/swarm/crew.py). `here`: whether they were, when that was last noted.
CREATE TABLE crew (
    name         TEXT PRIMARY KEY,
    capabilities TEXT NOT NULL,
    concurrency  INTEGER NOT NULL CHECK (concurrency BETWEEN 0 AND 100),
    live         INTEGER NOT NULL CHECK (live IN (0, 1)), -- 0: dismissed
    here         INTEGER NOT NULL CHECK (here IN (0, 1)),
    enrolled_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
