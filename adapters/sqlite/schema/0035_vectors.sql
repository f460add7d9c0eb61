-- What facts mean to a model for embeddings (core/agent/vectors.py), where the model server has one.
CREATE TABLE embedding (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

-- The signs of a vector's numbers, read by the thousand to find some that are near; and the numbers themselves, of one byte each.
CREATE TABLE fact_code (
    memory INTEGER NOT NULL REFERENCES memory,
    fact   INTEGER NOT NULL, -- no foreign key: it would have no index, and each fact that is deleted would read all
    model  INTEGER NOT NULL REFERENCES embedding,
    code   BLOB NOT NULL,
    PRIMARY KEY (memory, fact)
) STRICT, WITHOUT ROWID;
CREATE TABLE fact_vector (
    fact  INTEGER PRIMARY KEY REFERENCES fact,
    model INTEGER NOT NULL REFERENCES embedding,
    fine  BLOB NOT NULL
) STRICT;

ALTER TABLE memory ADD COLUMN vectors INTEGER NOT NULL DEFAULT 0; -- changes of them so far

CREATE TRIGGER fact_means_nothing AFTER UPDATE OF forgotten_at ON fact
WHEN OLD.forgotten_at IS NULL AND NEW.forgotten_at IS NOT NULL BEGIN
    DELETE FROM fact_code WHERE memory = OLD.memory AND fact = OLD.id;
    DELETE FROM fact_vector WHERE fact = OLD.id;
    UPDATE memory SET vectors = vectors + 1 WHERE id = OLD.memory;
END;
