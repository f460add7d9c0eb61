-- What a Shortcut asked, under the name by which its answer is fetched. `token` is the hash of its token, `key` what makes the
-- request one and the same, `request` the hash of what it said, `words` the beginning of that.
CREATE TABLE shortcut_job (
    job     TEXT PRIMARY KEY,
    token   TEXT NOT NULL,
    key     TEXT NOT NULL,
    request TEXT NOT NULL,
    person  TEXT NOT NULL,
    words   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX shortcut_job_at ON shortcut_job (at);

CREATE INDEX outgoing_to_shortcut ON outgoing (cause) WHERE surface = 'shortcuts' AND cause IS NOT NULL;
