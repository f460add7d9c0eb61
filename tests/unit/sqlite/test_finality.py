"""What was paid, sold, bought or decided never changes, whatever program writes: the tables' own triggers see to it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.depth import first
from tests.unit.sqlite.test_retention import BUNDLE, HOLD, INVOICE, PURCHASE

if TYPE_CHECKING:
    from adapters.sqlite.writer import Database

PAYMENT = (
    "INSERT INTO payment VALUES (zeroblob(32), 'ln', 'user:a', 'p', 1, 0, 1, 'a', 'c', '', 0, :at, 1, {}, NULL, {}, 0, '',"
    " :at, 1, 0)"
)
SUCCEEDED, FAILED = PAYMENT.format("'succeeded'", "zeroblob(32)"), PAYMENT.format("'failed'", "NULL")
PAID = PURCHASE + "'paid', zeroblob(32))"
SPENT, UNSERVED = PURCHASE + "'spent', zeroblob(32))", PURCHASE + "'unserved', zeroblob(32))"
SPEND = "INSERT INTO spend VALUES ('k', '', 'user:a', 'task', 5, 5, :at)"
HELD = HOLD + "1, 1, '', 1, 'held', NULL)"
TAKING, GIVING = HELD.replace("'held'", "'taking'"), HELD.replace("'held'", "'giving'")

# how a row is written, what is done to it then, and why that is refused (empty: it is not)
DEEDS: list[tuple[str, str, str]] = [
    (SUCCEEDED, "UPDATE payment SET state = 'failed'", "a payment that succeeded or was given up never changes"),
    (SUCCEEDED, "UPDATE payment SET fee = 7", "a payment that succeeded or was given up never changes"),
    (FAILED, "UPDATE payment SET state = 'prepared', attempt = 2", ""),
    (INVOICE + "'settled', 1000)", "UPDATE invoice SET received = 2000", "a settled invoice never changes"),
    (INVOICE + "'settled', 1000)", "UPDATE invoice SET state = 'open'", "a settled invoice never changes"),
    (INVOICE + "'open', 0)", "UPDATE invoice SET state = 'settled', received = 2000", ""),
    *(
        (PAID, "UPDATE purchase SET " + what, "what was bought never changes")  # noqa: S608 - constants
        for what in (
            "url = 'v'", "site = 'v'", "token = 'o'", "amount = 2", "payment_hash = randomblob(32)",
            "payer = 'b'", "preimage = randomblob(32)", "preimage = NULL, state = 'challenged'",
        )
    ),
    *((bought, "UPDATE purchase SET account = 'b'", "") for bought in (PAID, SPENT, UNSERVED, PURCHASE + "'failed', NULL)")),
    (PURCHASE + "'challenged', NULL)", "UPDATE purchase SET account = 'b'", "what was bought never changes"),
    (PURCHASE + "'paying', NULL)", "UPDATE purchase SET account = 'b'", "what was bought never changes"),
    (SPENT, "UPDATE purchase SET state = 'used'", "what was bought never changes"),
    (UNSERVED, "UPDATE purchase SET key = 'l'", "what was bought never changes"),
    (UNSERVED, "UPDATE purchase SET state = 'paid'", "what was bought never changes"),
    (PURCHASE + "'failed', NULL)", "UPDATE purchase SET state = 'paying'", "what was bought never changes"),
    (PAID, "UPDATE purchase SET state = 'used', key = 'l'", ""),
    (PAID, "DELETE FROM purchase", "may be good for something is kept"),
    (PURCHASE + "'paying', NULL)", "DELETE FROM purchase", "may be good for something is kept"),
    (PURCHASE + "'challenged', NULL)", "DELETE FROM purchase", ""),
    (PAID, PAID.replace("'u', 'u'", "'v', 'v'"), "UNIQUE constraint failed: purchase.payment_hash"),
    (PAID, PURCHASE.replace("zeroblob", "randomblob") + "'challenged', NULL)", "UNIQUE constraint failed: purchase.account"),
    *(
        (BUNDLE + settled, "UPDATE l402_bundle SET " + what, "what was sold never changes")  # noqa: S608 - constants
        for settled, what in (
            (":at)", "settled_at = 7"), ("NULL)", "price = 2"), ("NULL)", "calls = 2"), ("NULL)", "expires = 7"),
            ("NULL)", "resource = '/b'"), ("NULL)", "service = 't'"), ("NULL)", "payment_hash = randomblob(32)"),
        )
    ),
    (BUNDLE + "NULL)", "UPDATE l402_bundle SET settled_at = 7", ""),
    (TAKING, "UPDATE hold_invoice SET state = 'giving'", "decided once"),
    (TAKING, "UPDATE hold_invoice SET state = 'taken'", ""),
    (GIVING, "UPDATE hold_invoice SET state = 'taking'", "decided once"),
    (GIVING, "UPDATE hold_invoice SET state = 'given'", ""),
    (HELD, "UPDATE hold_invoice SET state = 'taken'", "decided once"),
    (HELD, "UPDATE hold_invoice SET received = 2", "decided once"),
    (HELD, "UPDATE hold_invoice SET task = 2", "decided once"),
    (HELD, "UPDATE hold_invoice SET preimage = randomblob(32)", "decided once"),
    (HELD, "DELETE FROM hold_invoice", "what was held for a task is kept"),
    (SPEND, "UPDATE spend SET account = 'user:b'", "only the amount of a spend changes"),
    (SPEND, "UPDATE spend SET at = 0", "only the amount of a spend changes"),
    (SPEND, "UPDATE spend SET amount = 3", ""),
]  # fmt: skip


@pytest.mark.parametrize(("written", "deed", "says"), first(16, DEEDS))
async def test_what_is_over_stays_as_it_is(store: Database, written: str, deed: str, says: str) -> None:
    at = {"at": 9_000_000}
    await store.write(lambda tx: tx._connection.execute(written, at))
    if says:
        with pytest.raises(sqlite3.IntegrityError, match=says):
            await store.write(lambda tx: tx._connection.execute(deed, at))
    else:
        assert await store.write(lambda tx: tx._connection.execute(deed, at).rowcount) == 1
