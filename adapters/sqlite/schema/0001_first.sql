-- The first schema. Amounts are msat, times Unix milliseconds UTC. Later changes come as 0002_*.sql and so on.

CREATE TABLE book (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    network    TEXT NOT NULL,
    node       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Books ---------------------------------------------------------------------------------------------------------
CREATE TABLE account (
    name   TEXT PRIMARY KEY,
    kind   TEXT NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense')),
    posted INTEGER NOT NULL DEFAULT 0,
    held   INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    floor  INTEGER,
    CONSTRAINT account_floor CHECK (floor IS NULL OR posted - held >= floor)
) STRICT, WITHOUT ROWID;

CREATE TABLE txn (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    request      BLOB NOT NULL CHECK (length(request) = 32),
    kind         TEXT NOT NULL,
    task         INTEGER,
    payment_hash BLOB UNIQUE,
    actor        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    at           INTEGER NOT NULL,
    prev         BLOB NOT NULL CHECK (length(prev) = 32),
    hash         BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE posting (
    txn     INTEGER NOT NULL REFERENCES txn,
    account TEXT NOT NULL REFERENCES account,
    amount  INTEGER NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (account, txn)
) STRICT, WITHOUT ROWID;
CREATE INDEX posting_txn ON posting (txn);

CREATE TABLE hold (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account,
    target  TEXT NOT NULL,
    amount  INTEGER NOT NULL CHECK (amount >= 0),
    task    INTEGER,
    state   TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'posted', 'void')),
    expires INTEGER,
    at      INTEGER NOT NULL,
    hash    BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX hold_open ON hold (account) WHERE state = 'open';

CREATE TRIGGER txn_is_final BEFORE UPDATE ON txn BEGIN SELECT raise(ABORT, 'a booked entry never changes'); END;
CREATE TRIGGER txn_stays BEFORE DELETE ON txn BEGIN SELECT raise(ABORT, 'a booked entry is never deleted'); END;
CREATE TRIGGER posting_is_final BEFORE UPDATE ON posting BEGIN SELECT raise(ABORT, 'a posting never changes'); END;
CREATE TRIGGER posting_stays BEFORE DELETE ON posting BEGIN SELECT raise(ABORT, 'a posting is never deleted'); END;
CREATE TRIGGER posting_moves AFTER INSERT ON posting BEGIN
    UPDATE account SET posted = posted + NEW.amount WHERE name = NEW.account;
END;
CREATE TRIGGER hold_sets_aside AFTER INSERT ON hold BEGIN
    UPDATE account SET held = held + NEW.amount WHERE name = NEW.account;
END;
CREATE TRIGGER hold_closes_once BEFORE UPDATE ON hold WHEN OLD.state <> 'open' OR NEW.state = 'open'
    OR NEW.id <> OLD.id OR NEW.account <> OLD.account OR NEW.target <> OLD.target OR NEW.amount <> OLD.amount
    OR NEW.task IS NOT OLD.task OR NEW.expires IS NOT OLD.expires OR NEW.at <> OLD.at BEGIN
    SELECT raise(ABORT, 'a hold closes once and changes in nothing else');
END;
CREATE TRIGGER hold_lets_go AFTER UPDATE OF state ON hold BEGIN
    UPDATE account SET held = held - OLD.amount WHERE name = OLD.account;
END;
CREATE TRIGGER hold_stays BEFORE DELETE ON hold BEGIN SELECT raise(ABORT, 'a hold is never deleted'); END;

-- Work ----------------------------------------------------------------------------------------------------------
CREATE TABLE task (
    id           INTEGER PRIMARY KEY,
    requester    TEXT NOT NULL,
    account      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    description  TEXT NOT NULL,
    status       TEXT NOT NULL,
    budget       INTEGER NOT NULL,
    hold         INTEGER REFERENCES hold,
    pick         TEXT NOT NULL CHECK (pick IN ('auto', 'ask')),
    only         TEXT,
    attempt      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    posted_at    INTEGER NOT NULL,
    deadline     INTEGER NOT NULL,
    closes_at    INTEGER,
    agent        TEXT,
    price        INTEGER,
    lease        TEXT,
    lease_until  INTEGER,
    review_until INTEGER,
    result       TEXT,
    why          TEXT,
    excluded     TEXT NOT NULL DEFAULT '',
    retry_of     INTEGER REFERENCES task,
    ended_at     INTEGER,
    due          INTEGER
) STRICT;
CREATE INDEX task_due ON task (due) WHERE due IS NOT NULL;
CREATE INDEX task_at_work ON task (agent) WHERE status IN ('awarded', 'running');

-- One answer an agent and attempt: a bid, or (price NULL) a refusal with its reason.
CREATE TABLE bid (
    task    INTEGER NOT NULL REFERENCES task,
    attempt INTEGER NOT NULL,
    agent   TEXT NOT NULL,
    price   INTEGER CHECK (price > 0),
    eta     INTEGER,
    note    TEXT NOT NULL DEFAULT '',
    fit     INTEGER NOT NULL DEFAULT 1000,
    score   INTEGER NOT NULL DEFAULT 0,
    at      INTEGER NOT NULL,
    PRIMARY KEY (task, attempt, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    name       TEXT PRIMARY KEY,
    persona    TEXT NOT NULL,
    live       INTEGER NOT NULL CHECK (live IN (0, 1)),
    spawned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE standing (
    agent   TEXT PRIMARY KEY,
    settled INTEGER NOT NULL DEFAULT 0,
    failed  INTEGER NOT NULL DEFAULT 0,
    earned  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Files live on disk under their hash; rows name them.
CREATE TABLE file (
    task   INTEGER NOT NULL REFERENCES task,
    name   TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (task, name)
) STRICT, WITHOUT ROWID;

-- Messages ------------------------------------------------------------------------------------------------------
CREATE TABLE inbound (
    id           INTEGER PRIMARY KEY,
    surface      TEXT NOT NULL,
    account      TEXT NOT NULL,
    update_id    TEXT NOT NULL,
    conversation TEXT NOT NULL,
    actor        TEXT NOT NULL,
    acting_for   TEXT,
    private      INTEGER NOT NULL,
    text         TEXT NOT NULL,
    at           INTEGER NOT NULL,
    done         INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    UNIQUE (surface, account, update_id)
) STRICT;
CREATE INDEX inbound_new ON inbound (id) WHERE done = 0;

CREATE TABLE outgoing (
    id           INTEGER PRIMARY KEY,
    surface      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    cause        TEXT,
    body         TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'dead')),
    tries        INTEGER NOT NULL DEFAULT 0,
    platform_id  TEXT,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX outgoing_waiting ON outgoing (id) WHERE state IN ('queued', 'sending');

CREATE TABLE applied (key TEXT PRIMARY KEY, result TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Events --------------------------------------------------------------------------------------------------------
CREATE TABLE event (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind  TEXT NOT NULL,
    task  INTEGER,
    agent TEXT,
    at    INTEGER NOT NULL,
    data  TEXT NOT NULL
) STRICT;
CREATE TABLE cursor (handler TEXT PRIMARY KEY, event INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letter (
    id      INTEGER PRIMARY KEY,
    handler TEXT NOT NULL,
    event   INTEGER NOT NULL,
    error   TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- People, tokens, conversations ---------------------------------------------------------------------------------
CREATE TABLE actor (id TEXT PRIMARY KEY, role TEXT NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('owner', 'read', 'worker', 'shortcut')),
    name       TEXT NOT NULL,
    for_actor  TEXT,
    task_limit INTEGER,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX token_name ON token (kind, name) WHERE revoked_at IS NULL;

CREATE TABLE conversation (
    id    TEXT PRIMARY KEY,
    model TEXT,
    since INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE turn (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- conversation.since outlives the rows it points behind
    conversation TEXT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    text         TEXT NOT NULL,
    cause        TEXT NOT NULL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX turn_conversation ON turn (conversation, id);
CREATE UNIQUE INDEX turn_cause ON turn (cause, role);
