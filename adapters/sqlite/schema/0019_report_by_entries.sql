-- A report reaches from one entry of the books to another: a clock that is put back leaves none out, and none is in two.

-- The last entry of the newest report.
ALTER TABLE daily_report ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;
UPDATE daily_report SET entry = coalesce((SELECT max(id) FROM txn WHERE at < until), 0);
