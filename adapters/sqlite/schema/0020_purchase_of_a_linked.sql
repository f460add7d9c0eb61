-- What somebody has paid for goes with them to the account that they are linked to.
DROP TRIGGER purchase_agreed;
CREATE TRIGGER purchase_agreed BEFORE UPDATE ON purchase
WHEN (OLD.account <> NEW.account AND OLD.state NOT IN ('paid', 'used'))
    OR OLD.url <> NEW.url OR OLD.site <> NEW.site OR OLD.token <> NEW.token
    OR OLD.payment_hash <> NEW.payment_hash OR OLD.amount <> NEW.amount
    OR (OLD.preimage IS NOT NULL AND NEW.preimage IS NOT OLD.preimage) OR OLD.state IN ('spent', 'unserved', 'failed')
BEGIN SELECT RAISE(ABORT, 'what was bought never changes'); END;
