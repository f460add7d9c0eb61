-- What people had the agent remember (core/agent/memory.py): memories, each an identity's or a group's.
CREATE TABLE memory (
    id    INTEGER PRIMARY KEY,
    scope TEXT NOT NULL CHECK (scope IN ('person', 'place')),
    name  TEXT NOT NULL,
    UNIQUE (scope, name)
) STRICT;

-- No number is given twice: an old button must not forget another fact.
CREATE TABLE fact (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    memory       INTEGER NOT NULL REFERENCES memory,
    text         TEXT NOT NULL,
    terms        TEXT NOT NULL, -- what it is found by, with the sign of its memory
    said_by      TEXT NOT NULL,
    at           INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    cause        TEXT NOT NULL,
    how          TEXT NOT NULL CHECK (how IN ('written', 'agreed')),
    forgotten_at INTEGER,
    batch        TEXT CHECK ((batch IS NULL) = (forgotten_at IS NULL)) -- what was forgotten by one word comes back by one
) STRICT;
CREATE INDEX fact_known ON fact (memory, id) WHERE forgotten_at IS NULL;
CREATE INDEX fact_same ON fact (memory, text) WHERE forgotten_at IS NULL;
CREATE INDEX fact_forgotten ON fact (forgotten_at) WHERE forgotten_at IS NOT NULL;
CREATE INDEX fact_batch ON fact (batch) WHERE batch IS NOT NULL;

CREATE TRIGGER fact_is_final BEFORE UPDATE OF id, memory, text, terms, said_by, at, cause, how ON fact
BEGIN SELECT RAISE(ABORT, 'a fact is kept or forgotten, never changed'); END;
CREATE TRIGGER fact_is_forgotten_first BEFORE DELETE ON fact WHEN OLD.forgotten_at IS NULL
BEGIN SELECT RAISE(ABORT, 'a fact is forgotten before it is deleted'); END;

-- Words are made by the core: here each stands between blanks, and only which facts have it is kept.
CREATE VIRTUAL TABLE fact_term USING fts5 (
    terms, content = 'fact', content_rowid = 'id', tokenize = 'ascii', detail = 'none', columnsize = 0
);
CREATE TRIGGER fact_is_found AFTER INSERT ON fact WHEN NEW.forgotten_at IS NULL
BEGIN INSERT INTO fact_term (rowid, terms) VALUES (NEW.id, NEW.terms); END;
CREATE TRIGGER fact_is_lost AFTER UPDATE OF forgotten_at ON fact WHEN OLD.forgotten_at IS NULL AND NEW.forgotten_at IS NOT NULL
BEGIN INSERT INTO fact_term (fact_term, rowid, terms) VALUES ('delete', OLD.id, OLD.terms); END;
CREATE TRIGGER fact_is_back AFTER UPDATE OF forgotten_at ON fact WHEN OLD.forgotten_at IS NOT NULL AND NEW.forgotten_at IS NULL
BEGIN INSERT INTO fact_term (rowid, terms) VALUES (NEW.id, NEW.terms); END;
