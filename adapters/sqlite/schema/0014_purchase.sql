-- What was bought by L402. `token` and `preimage` are secrets; together they are what was paid for.
CREATE TABLE purchase (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- a question to a person outlives the row that it is about
    key          TEXT NOT NULL,
    account      TEXT NOT NULL,
    url          TEXT NOT NULL,
    site         TEXT NOT NULL,
    origin       TEXT NOT NULL,
    scope        TEXT NOT NULL,
    scheme       TEXT NOT NULL,
    token        TEXT NOT NULL,
    invoice      TEXT NOT NULL,
    payment_hash BLOB NOT NULL CHECK (length(payment_hash) = 32),
    amount       INTEGER NOT NULL CHECK (amount > 0),
    expires_at   INTEGER NOT NULL,
    state        TEXT NOT NULL
        CHECK (state IN ('challenged', 'paying', 'paid', 'used', 'spent', 'unserved', 'failed')),
    preimage     BLOB CHECK (length(preimage) = 32),
    at           INTEGER NOT NULL,
    CHECK ((preimage IS NOT NULL) = (state IN ('paid', 'used', 'spent', 'unserved')))
) STRICT;
CREATE INDEX purchase_key ON purchase (account, key);
CREATE INDEX purchase_scope ON purchase (account, scope) WHERE state = 'used';
CREATE INDEX purchase_origin ON purchase (account, origin) WHERE state IN ('used', 'spent', 'unserved');
CREATE INDEX purchase_url ON purchase (account, url) WHERE state IN ('used', 'spent', 'unserved');

-- One open purchase for an address, and one payment for an invoice.
CREATE UNIQUE INDEX purchase_open ON purchase (account, url) WHERE state IN ('challenged', 'paying', 'paid');
CREATE UNIQUE INDEX purchase_payment ON purchase (payment_hash) WHERE state NOT IN ('challenged', 'failed');

-- What was agreed to is what is paid, and a receipt is never lost.
CREATE TRIGGER purchase_agreed BEFORE UPDATE ON purchase
WHEN OLD.account <> NEW.account OR OLD.url <> NEW.url OR OLD.site <> NEW.site OR OLD.token <> NEW.token
    OR OLD.payment_hash <> NEW.payment_hash OR OLD.amount <> NEW.amount
    OR (OLD.preimage IS NOT NULL AND NEW.preimage IS NOT OLD.preimage) OR OLD.state IN ('spent', 'unserved', 'failed')
BEGIN SELECT RAISE(ABORT, 'what was bought never changes'); END;
CREATE TRIGGER purchase_kept BEFORE DELETE ON purchase WHEN OLD.state IN ('paying', 'paid', 'used')
BEGIN SELECT RAISE(ABORT, 'a purchase that may be good for something is kept'); END;
