-- How far a surface has heard, by its account there: the platform's token, and the salt of the names under which it sends.
CREATE TABLE sync (account TEXT PRIMARY KEY, token TEXT NOT NULL, salt TEXT NOT NULL) STRICT, WITHOUT ROWID;
