-- What each attempt under a payment hash was for, and whether the node may have begun it (core/wallet/payment.py).
ALTER TABLE payment ADD COLUMN begun INTEGER NOT NULL DEFAULT 1 CHECK (begun IN (0, 1));
ALTER TABLE payment ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0 CHECK (given_up IN (0, 1));
UPDATE payment SET begun = 0 WHERE state = 'prepared' AND attempt = 1;

-- Attempts that failed and were followed by another: `payment` has the last one.
CREATE TABLE payment_before (
    payment_hash BLOB NOT NULL CHECK (length(payment_hash) = 32),
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
    state        TEXT NOT NULL CHECK (state = 'failed'),
    hold         INTEGER REFERENCES hold,
    preimage     BLOB CHECK (preimage IS NULL),
    fee          INTEGER NOT NULL,
    why          TEXT NOT NULL,
    ended_at     INTEGER,
    begun        INTEGER NOT NULL CHECK (begun IN (0, 1)),
    given_up     INTEGER NOT NULL CHECK (given_up = 0),
    PRIMARY KEY (payment_hash, attempt)
) STRICT, WITHOUT ROWID;

-- Of attempts before this schema nothing was kept: they are taken to have been as the last one is.
INSERT INTO payment_before
SELECT payment_hash, bolt11, account, payee, amount, chosen, fee_limit, actor, conversation, reason, expires_at, at, attempt - 1,
    'failed', NULL, NULL, 0, 'it is not known why', at, 1, 0
FROM payment WHERE attempt > 1;

CREATE TRIGGER payment_is_tried_anew BEFORE UPDATE ON payment WHEN NEW.attempt <> OLD.attempt BEGIN
    INSERT INTO payment_before VALUES (
        OLD.payment_hash, OLD.bolt11, OLD.account, OLD.payee, OLD.amount, OLD.chosen, OLD.fee_limit, OLD.actor, OLD.conversation,
        OLD.reason, OLD.expires_at, OLD.at, OLD.attempt, OLD.state, OLD.hold, OLD.preimage, OLD.fee, OLD.why, OLD.ended_at,
        OLD.begun, OLD.given_up
    );
END;
CREATE TRIGGER payment_before_is_over BEFORE UPDATE ON payment_before BEGIN
    SELECT raise(ABORT, 'an attempt that is over never changes');
END;
CREATE TRIGGER payment_before_is_kept BEFORE DELETE ON payment_before BEGIN
    SELECT raise(ABORT, 'an attempt that is over never changes');
END;

-- What was given up may have arrived all the same: nothing is paid under its hash any more.
DROP TRIGGER payment_ends_once;
CREATE TRIGGER payment_ends_once BEFORE UPDATE ON payment WHEN OLD.state = 'succeeded' OR OLD.given_up BEGIN
    SELECT raise(ABORT, 'a payment that succeeded or was given up never changes');
END;
CREATE INDEX purchase_failed ON purchase (account, url) WHERE state = 'failed';

-- The code of what failed, where what was agreed to could not be done. What could not even be begun is open again, and undecided.
ALTER TABLE approval ADD COLUMN error TEXT NOT NULL DEFAULT '';
DROP TRIGGER approval_action;
CREATE TRIGGER approval_action BEFORE UPDATE ON approval
WHEN old.kind <> new.kind OR old.action <> new.action OR old.digest <> new.digest OR old.approvers <> new.approvers
    OR old.state IN ('denied', 'expired', 'done')
    OR (old.decided_by IS NOT NULL AND old.decided_by IS NOT new.decided_by
        AND NOT (old.state = 'approved' AND new.state = 'open' AND new.decided_by IS NULL))
BEGIN SELECT RAISE(ABORT, 'a settled approval never changes'); END;
