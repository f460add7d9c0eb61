-- The treasury's earnings and spendings, and the daily report. Amounts are msat, times Unix milliseconds UTC.

-- What came in and went out of the treasury by kind of entry, in quarters of an hour since 1970 (every zone's day begins with one);
-- the quarter -1 is all of them. Kept by a trigger, so that no code path can book without counting. No sum goes over 63 bits.
CREATE TABLE treasury_flow (
    quarter  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    received INTEGER NOT NULL,
    sent     INTEGER NOT NULL,
    PRIMARY KEY (quarter, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO treasury_flow
SELECT quarter, kind, received, sent FROM (
    SELECT x.at / 900000 AS quarter, x.kind, max(p.amount, 0) AS received, max(-p.amount, 0) AS sent
    FROM posting p JOIN txn x ON x.id = p.txn WHERE p.account = 'treasury'
    UNION ALL
    SELECT -1, x.kind, max(p.amount, 0), max(-p.amount, 0)
    FROM posting p JOIN txn x ON x.id = p.txn WHERE p.account = 'treasury'
) WHERE true ON CONFLICT DO UPDATE SET
    received = min(received + excluded.received, 9000000000000000000),
    sent = min(sent + excluded.sent, 9000000000000000000);

CREATE TRIGGER posting_flows AFTER INSERT ON posting WHEN NEW.account = 'treasury' BEGIN
    INSERT INTO treasury_flow
    SELECT quarter, kind, max(NEW.amount, 0), max(-NEW.amount, 0)
    FROM (SELECT at / 900000 AS quarter, kind FROM txn WHERE id = NEW.txn UNION ALL SELECT -1, kind FROM txn WHERE id = NEW.txn)
    WHERE true ON CONFLICT DO UPDATE SET
        received = min(received + excluded.received, 9000000000000000000),
        sent = min(sent + excluded.sent, 9000000000000000000);
END;

-- A day's entries are found without a look at all there ever were.
CREATE INDEX txn_at ON txn (at);

-- The newest day that was reported to the owners (`2026-11-23` in their zone), and until when its report reached.
CREATE TABLE daily_report (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    day   TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;
