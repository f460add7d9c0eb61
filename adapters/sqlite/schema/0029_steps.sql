-- What a model called on the way to an answer: one row a step, each call together with its result.
CREATE TABLE step (
    cause  TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    said   TEXT NOT NULL,
    calls  TEXT NOT NULL CHECK (json_valid(calls)), -- [[name, arguments, result, outside, [[file, sha256, size]], approval]]
    at     INTEGER NOT NULL,
    PRIMARY KEY (cause, number)
) STRICT, WITHOUT ROWID;

ALTER TABLE turn ADD COLUMN speaker TEXT NOT NULL DEFAULT '';
ALTER TABLE turn ADD COLUMN tainted INTEGER NOT NULL DEFAULT 0; -- a text from outside was read on the way
