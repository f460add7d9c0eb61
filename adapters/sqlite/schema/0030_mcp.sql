-- A token of one more kind, which SQLite lets a table take only by being made anew.
CREATE TABLE token_kept AS SELECT * FROM token;
DROP TABLE token;
CREATE TABLE token (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('owner', 'read', 'worker', 'shortcut', 'mcp')),
    name       TEXT NOT NULL,
    for_actor  TEXT,
    task_limit INTEGER,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO token SELECT * FROM token_kept;
DROP TABLE token_kept;
CREATE UNIQUE INDEX token_name ON token (kind, name) WHERE revoked_at IS NULL;

-- An answer is looked up by the message it answers, for whoever asks again.
CREATE INDEX outgoing_to_mcp ON outgoing (cause) WHERE surface = 'mcp' AND cause IS NOT NULL;

-- The tools of an MCP server as the owner agreed to them: the digest of all that the model is told of each.
CREATE TABLE mcp_tool (
    server TEXT NOT NULL,
    tool   TEXT NOT NULL,
    digest TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (server, tool)
) STRICT, WITHOUT ROWID;
