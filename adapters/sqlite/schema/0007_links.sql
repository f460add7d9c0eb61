-- Identities of one account: who is linked has the role, the wallet and the tasks of the identity `account`, which is itself
-- linked to none.
CREATE TABLE link (
    actor   TEXT PRIMARY KEY,
    account TEXT NOT NULL CHECK (account <> actor),
    name    TEXT NOT NULL,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX link_account ON link (account);

CREATE TRIGGER link_is_flat BEFORE INSERT ON link
WHEN EXISTS (SELECT 1 FROM link WHERE actor = NEW.account OR account = NEW.actor)
BEGIN SELECT RAISE(ABORT, 'a link leads to an account, not to another link'); END;
CREATE TRIGGER link_is_final BEFORE UPDATE ON link BEGIN SELECT RAISE(ABORT, 'a link is made and taken off, never changed'); END;

-- Codes that link, hashed: one for each identity that asked for one.
CREATE TABLE link_code (
    hash    TEXT PRIMARY KEY,
    actor   TEXT NOT NULL UNIQUE,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether exactly the identities that were asked may decide, or any other of the same persons too. All before this were exact.
ALTER TABLE approval ADD COLUMN exact INTEGER NOT NULL DEFAULT 1 CHECK (exact IN (0, 1));
CREATE TRIGGER approval_exact BEFORE UPDATE OF exact ON approval
BEGIN SELECT RAISE(ABORT, 'who may decide an approval never changes'); END;
