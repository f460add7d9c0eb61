-- What strangers were offered and bought by L402 (docs/adr/0016). A row is an offer until `settled_at` says that the node has the
-- sats; no secret is in it. Amounts are msat, times Unix ms. `service` to `resource` are the terms that the token carries.
CREATE TABLE l402_bundle (
    token        BLOB PRIMARY KEY CHECK (length(token) = 32),
    payment_hash BLOB NOT NULL UNIQUE CHECK (length(payment_hash) = 32),
    service      TEXT NOT NULL,
    price        INTEGER NOT NULL CHECK (price > 0),
    calls        INTEGER NOT NULL CHECK (calls > 0),
    expires      INTEGER NOT NULL,
    resource     TEXT NOT NULL,
    client       TEXT NOT NULL,
    bolt11       TEXT NOT NULL,
    payable      INTEGER NOT NULL,
    settled_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX l402_offered ON l402_bundle (client, service, calls, price, payable) WHERE settled_at IS NULL;
CREATE INDEX l402_over ON l402_bundle (expires);
CREATE TRIGGER l402_bundle_is_final BEFORE UPDATE ON l402_bundle WHEN OLD.settled_at IS NOT NULL
    OR NEW.token <> OLD.token OR NEW.payment_hash <> OLD.payment_hash OR NEW.service <> OLD.service OR NEW.price <> OLD.price
    OR NEW.calls <> OLD.calls OR NEW.expires <> OLD.expires OR NEW.resource <> OLD.resource
BEGIN SELECT RAISE(ABORT, 'what was sold never changes'); END;

-- A call of a bundle: reserved while it is worked on, used once its effect is written, returned where there was none.
-- `request` is the hash of what was asked under `key`; `attempt` counts how often it was tried; `task` is what it posted.
CREATE TABLE l402_call (
    token   BLOB NOT NULL REFERENCES l402_bundle,
    key     TEXT NOT NULL,
    request TEXT NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('reserved', 'used', 'returned')),
    attempt INTEGER NOT NULL,
    task    INTEGER REFERENCES task,
    at      INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX l402_reserved ON l402_call (token) WHERE state = 'reserved';
CREATE INDEX l402_task ON l402_call (task) WHERE task IS NOT NULL;
