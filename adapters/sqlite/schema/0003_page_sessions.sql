-- The page's logins, hashed: who opened a link stays logged in when the hub starts anew.
CREATE TABLE page_session (hash TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
