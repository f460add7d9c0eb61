-- What people had the hub do at times (core/automation/schedules.py).
CREATE TABLE schedule (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- S-1
    actor        TEXT NOT NULL, -- who made it, and with whose rights it runs
    acting_for   TEXT, -- under --as
    conversation TEXT NOT NULL, -- where it was made, and where it answers
    private      INTEGER NOT NULL CHECK (private IN (0, 1)),
    called       TEXT NOT NULL, -- how they are called there
    said         TEXT NOT NULL, -- its time, as they said it
    what         TEXT NOT NULL CHECK (what IN ('command', 'ask', 'reminder')),
    words        TEXT NOT NULL,
    rule         TEXT NOT NULL, -- JSON (core/automation/schedule.py)
    zone         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('active', 'paused', 'over', 'ended')),
    why          TEXT NOT NULL, -- of a paused one
    made_at      INTEGER NOT NULL,
    due          INTEGER, -- when it comes round next; of a paused one, when it would
    ended_at     INTEGER
) STRICT;
CREATE INDEX schedule_due ON schedule (due) WHERE state = 'active';
CREATE INDEX schedule_live ON schedule (actor) WHERE state IN ('active', 'paused');

-- What became of each time that has come; a run that is under way is a message, too.
CREATE TABLE schedule_run (
    schedule INTEGER NOT NULL REFERENCES schedule (id) ON DELETE CASCADE,
    due      INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'refused', 'missed', 'skipped')),
    at       INTEGER NOT NULL, -- since when it is that
    late     INTEGER NOT NULL, -- ms
    earlier  INTEGER NOT NULL CHECK (earlier IN (0, 1)), -- whether others before it were missed
    PRIMARY KEY (schedule, due)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_run_at ON schedule_run (at);
