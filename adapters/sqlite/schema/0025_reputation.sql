-- The field of a task's work, known from its award on (core/swarm/reputation.py), and when it was awarded.
ALTER TABLE task ADD COLUMN field TEXT NOT NULL DEFAULT '';
ALTER TABLE task ADD COLUMN awarded_at INTEGER;
ALTER TABLE task ADD COLUMN took INTEGER NOT NULL DEFAULT 0; -- ms from the award to the result

-- What each agent did in each field; `good` and `bad` in thousandths that fade, as they were at `at`.
CREATE TABLE reputation (
    agent   TEXT NOT NULL,
    field   TEXT NOT NULL,
    settled INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    earned  INTEGER NOT NULL,
    took    INTEGER NOT NULL,
    good    INTEGER NOT NULL,
    bad     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (agent, field)
) STRICT, WITHOUT ROWID;

-- In which field it was done, and how long it took, was not known before.
INSERT INTO reputation
SELECT agent, '', settled, failed, earned, 0, settled * 1000, failed * 1000,
    coalesce((SELECT max(ended_at) FROM task WHERE task.agent = standing.agent), 0)
FROM standing;
DROP TABLE standing;
