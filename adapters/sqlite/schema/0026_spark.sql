-- What was said of a task when it was posted (core/spark/forecast.py). How good that was follows from it and from its task.
CREATE TABLE forecast (
    task      INTEGER PRIMARY KEY REFERENCES task,
    field     TEXT NOT NULL,
    odds      TEXT NOT NULL, -- JSON {agent: chance to win}
    done      REAL NOT NULL, -- chance that it is settled
    price_low INTEGER, price_high INTEGER, -- msat
    took_low  INTEGER, took_high  INTEGER  -- ms from post to result
) STRICT;

-- What is known of a field, one JSON text each: it fades, and stays as small.
CREATE TABLE spark_field (
    field TEXT PRIMARY KEY,
    known TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The advice that stands (core/spark/advice.py); a number is never given twice, so that it tells what is new to whom.
CREATE TABLE spark_advice (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    field TEXT NOT NULL,
    agent TEXT NOT NULL,
    level INTEGER NOT NULL,
    since INTEGER NOT NULL,
    other TEXT NOT NULL,
    facts TEXT NOT NULL, -- JSON
    at    INTEGER NOT NULL,
    UNIQUE (topic, field, agent)
) STRICT;

-- Up to which number the advice was shown in a conversation; but for these (JSON), which were about somebody who was away.
CREATE TABLE spark_read (
    conversation TEXT PRIMARY KEY,
    advice       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    untold       TEXT NOT NULL DEFAULT '[]'
) STRICT, WITHOUT ROWID;
