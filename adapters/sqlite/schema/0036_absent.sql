-- Who set something up (a wish, quiet hours, a schedule) and has no role any more, since when it was seen (adapters/sqlite/retention.py).
CREATE TABLE absent (
    actor TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
