-- Limits on spending, and the switch that stops it all. Amounts are msat, times Unix milliseconds UTC.

-- `amount` is what an owner set in chat, `preset` what the settings say: the first holds, where there is one.
CREATE TABLE limit_rule (
    scope  TEXT PRIMARY KEY,
    amount INTEGER CHECK (amount > 0),
    preset INTEGER CHECK (preset > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE freeze (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL,
    by  TEXT NOT NULL
) STRICT;

-- What was spent or set aside to be spent under a key, once for each scope that counts it ('' is the wallet itself).
CREATE TABLE spend (
    key     TEXT NOT NULL,
    scope   TEXT NOT NULL,
    account TEXT NOT NULL,
    path    TEXT NOT NULL,
    asked   INTEGER NOT NULL,
    amount  INTEGER NOT NULL CHECK (amount >= 0),
    at      INTEGER NOT NULL,
    PRIMARY KEY (key, scope)
) STRICT, WITHOUT ROWID;

-- The same by minute, so that a window costs at most as many rows as it has minutes, however much was spent in it.
CREATE TABLE spent (
    account TEXT NOT NULL,
    scope   TEXT NOT NULL,
    minute  INTEGER NOT NULL,
    path    TEXT NOT NULL,
    amount  INTEGER NOT NULL,
    PRIMARY KEY (account, scope, minute, path)
) STRICT, WITHOUT ROWID;

-- Kept by triggers, so that no code path can count one without the other. No sum goes over 63 bits.
CREATE TRIGGER spend_counts AFTER INSERT ON spend BEGIN
    INSERT INTO spent VALUES (NEW.account, NEW.scope, NEW.at / 60000, NEW.path, NEW.amount)
    ON CONFLICT DO UPDATE SET amount = min(amount + excluded.amount, 9000000000000000000);
END;
CREATE TRIGGER spend_changes AFTER UPDATE OF amount ON spend BEGIN
    UPDATE spent SET amount = max(0, amount - OLD.amount + NEW.amount)
    WHERE account = NEW.account AND scope = NEW.scope AND minute = NEW.at / 60000 AND path = NEW.path;
END;
CREATE TRIGGER spend_is_void AFTER DELETE ON spend BEGIN
    UPDATE spent SET amount = max(0, amount - OLD.amount)
    WHERE account = OLD.account AND scope = OLD.scope AND minute = OLD.at / 60000 AND path = OLD.path;
END;
CREATE TRIGGER spend_stays_where_it_was BEFORE UPDATE OF key, scope, account, path, asked, at ON spend
BEGIN SELECT raise(ABORT, 'only the amount of a spend changes'); END;
