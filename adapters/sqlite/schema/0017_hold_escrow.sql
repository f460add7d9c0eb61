-- Payments that the node holds for tasks, and the orders that wait for one (core/wallet/hold.py). Amounts are msat, times Unix ms.
CREATE TABLE hold_invoice (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- a button that calls it off outlives the row that it is about
    payment_hash BLOB NOT NULL UNIQUE CHECK (length(payment_hash) = 32),
    preimage     BLOB NOT NULL CHECK (length(preimage) = 32), -- never shown: who has it could take what is held
    backend      TEXT NOT NULL,
    requester    TEXT NOT NULL,
    payer        TEXT NOT NULL,
    conversation TEXT NOT NULL,
    facts        TEXT NOT NULL,
    amount       INTEGER NOT NULL CHECK (amount > 0),
    expires_at   INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    bolt11       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('asking', 'open', 'held', 'taking', 'giving', 'taken', 'given', 'lost')),
    task         INTEGER UNIQUE,
    received     INTEGER NOT NULL,
    held_until   INTEGER NOT NULL,
    why          TEXT NOT NULL,
    ended_at     INTEGER,
    CHECK ((received > 0) = (task IS NOT NULL)),
    CHECK (task IS NOT NULL OR state NOT IN ('held', 'taking', 'lost'))
) STRICT;
CREATE INDEX hold_invoice_unfinished ON hold_invoice (id) WHERE state IN ('asking', 'open', 'held', 'taking', 'giving');

-- What is decided stays so: the worker was paid or was not, in the same commit, and the node is told nothing else afterwards.
CREATE TRIGGER hold_invoice_is_decided BEFORE UPDATE ON hold_invoice WHEN OLD.state IN ('taken', 'given', 'lost')
    OR (OLD.state = 'taking' AND NEW.state NOT IN ('taking', 'taken', 'lost'))
    OR (OLD.state = 'giving' AND NEW.state NOT IN ('giving', 'given', 'taken'))
    OR (OLD.state = 'held' AND NEW.state NOT IN ('held', 'taking', 'giving'))
    OR NEW.payment_hash <> OLD.payment_hash OR NEW.preimage <> OLD.preimage OR NEW.amount <> OLD.amount OR NEW.facts <> OLD.facts
    OR (OLD.task IS NOT NULL AND (NEW.task IS NOT OLD.task OR NEW.received <> OLD.received))
BEGIN SELECT RAISE(ABORT, 'what is held for a task is decided once'); END;
CREATE TRIGGER hold_invoice_is_kept BEFORE DELETE ON hold_invoice WHEN OLD.task IS NOT NULL OR OLD.state NOT IN ('given', 'taken')
BEGIN SELECT RAISE(ABORT, 'what was held for a task is kept'); END;

-- What may have come to the node by then and was not booked yet.
ALTER TABLE recon ADD COLUMN coming INTEGER NOT NULL DEFAULT 0;
