-- Lightning: what goes out, what comes in, and how the node compares with the books. Amounts are msat, times Unix ms.

-- One row for each payment hash; a payment that failed may be tried anew, as its next attempt.
CREATE TABLE payment (
    payment_hash BLOB PRIMARY KEY CHECK (length(payment_hash) = 32),
    bolt11       TEXT NOT NULL,
    account      TEXT NOT NULL,
    payee        TEXT NOT NULL,
    amount       INTEGER NOT NULL CHECK (amount > 0),
    chosen       INTEGER NOT NULL CHECK (chosen IN (0, 1)),
    fee_limit    INTEGER NOT NULL CHECK (fee_limit >= 0),
    actor        TEXT NOT NULL,
    conversation TEXT NOT NULL,
    reason       TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    attempt      INTEGER NOT NULL CHECK (attempt >= 1),
    state        TEXT NOT NULL CHECK (state IN ('prepared', 'sending', 'unknown', 'succeeded', 'failed')),
    hold         INTEGER REFERENCES hold,
    preimage     BLOB CHECK (preimage IS NULL OR length(preimage) = 32),
    fee          INTEGER NOT NULL DEFAULT 0,
    why          TEXT NOT NULL DEFAULT '',
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_unfinished ON payment (at) WHERE state IN ('prepared', 'sending', 'unknown');
CREATE TRIGGER payment_ends_once BEFORE UPDATE ON payment WHEN OLD.state = 'succeeded' BEGIN
    SELECT raise(ABORT, 'a payment that succeeded never changes');
END;

CREATE TABLE invoice (
    payment_hash BLOB PRIMARY KEY CHECK (length(payment_hash) = 32),
    bolt11       TEXT NOT NULL,
    account      TEXT NOT NULL,
    amount       INTEGER NOT NULL CHECK (amount > 0),
    memo         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    conversation TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'settled')),
    received     INTEGER NOT NULL DEFAULT 0,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX invoice_open ON invoice (expires_at) WHERE state = 'open';
CREATE TRIGGER invoice_ends_once BEFORE UPDATE ON invoice WHEN OLD.state = 'settled' BEGIN
    SELECT raise(ABORT, 'a settled invoice never changes');
END;

-- How far the node's settlements have been booked.
CREATE TABLE settlement (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL) STRICT;
INSERT INTO settlement VALUES (1, 0);

-- What the node had and what the books said, each time somebody compared them.
CREATE TABLE recon (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    node       INTEGER NOT NULL,
    in_flight  INTEGER NOT NULL,
    books      INTEGER NOT NULL,
    booked     INTEGER NOT NULL DEFAULT 0 CHECK (booked IN (0, 1))
) STRICT;
