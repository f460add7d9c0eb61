-- What was, or may have been, paid in vain goes along with who is linked too, so that it is not paid again unasked.
DROP TRIGGER purchase_agreed;
ALTER TABLE purchase ADD COLUMN payer TEXT NOT NULL DEFAULT ''; -- whose payment it is, whoever has the purchase now
UPDATE purchase SET payer = account;
CREATE TRIGGER purchase_agreed BEFORE UPDATE ON purchase
WHEN (OLD.account <> NEW.account AND OLD.state IN ('challenged', 'paying'))
    OR OLD.url <> NEW.url OR OLD.site <> NEW.site OR OLD.token <> NEW.token OR OLD.payer <> NEW.payer
    OR OLD.payment_hash <> NEW.payment_hash OR OLD.amount <> NEW.amount
    OR (OLD.preimage IS NOT NULL AND NEW.preimage IS NOT OLD.preimage)
BEGIN SELECT RAISE(ABORT, 'what was bought never changes'); END;
CREATE TRIGGER purchase_is_over BEFORE UPDATE OF key, state, preimage ON purchase
WHEN OLD.state IN ('spent', 'unserved', 'failed')
BEGIN SELECT RAISE(ABORT, 'what was bought never changes'); END;
