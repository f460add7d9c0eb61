"""Purchases by L402 as rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.wallet.purchase import Purchase, State, origin_of, scope_of

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "id, key, account, url, site, scheme, token, invoice, payment_hash, amount, expires_at, state, at, preimage"
_OPEN = "state IN ('challenged', 'paying', 'paid')"
_SERVED = "state IN ('used', 'spent', 'unserved')"
_BEGUN = "state IN ('paying', 'paid', 'used', 'spent', 'unserved')"
_SELECT = f"SELECT {_COLUMNS} FROM purchase"  # noqa: S608 - constants
_HELD = " UNION ALL ".join(
    f"SELECT * FROM ({_SELECT.replace('SELECT', f'SELECT {rank} AS rank,')} WHERE account = :account AND {which}"  # noqa: S608
    " ORDER BY id DESC LIMIT 1)"
    for rank, which in enumerate(
        (
            "key = :key AND url = :url AND state <> 'failed'",
            f"url = :url AND {_OPEN}",
            f"url = :url AND {_SERVED} AND state = 'used'",
            "scope = :scope AND state = 'used'",
        )
    )
)

_ITS_PAYMENT = "payment.payment_hash = purchase.payment_hash AND payment.account = purchase.payer"
_WAS_GIVEN_UP = f"EXISTS (SELECT 1 FROM payment WHERE {_ITS_PAYMENT} AND payment.given_up)"  # noqa: S608 - constants
_GIVEN_UP = (
    f"{_SELECT} WHERE account = :account AND url = :url AND state = 'failed' AND {_WAS_GIVEN_UP}"  # noqa: S608 - constants
    f" AND id > (SELECT coalesce(max(id), 0) FROM purchase WHERE account = :account AND url = :url AND {_BEGUN})"
    " ORDER BY id DESC LIMIT 1"
)

_ENDED_MEANWHILE = (
    "UPDATE purchase SET preimage = payment.preimage,"  # noqa: S608 - constants
    " state = CASE payment.state WHEN 'succeeded' THEN 'paid' ELSE 'failed' END"
    f" FROM payment WHERE purchase.account = :source AND purchase.state = 'paying' AND {_ITS_PAYMENT}"
    " AND payment.state IN ('succeeded', 'failed')"
)
_GOES_ALONG = (
    "UPDATE OR IGNORE purchase SET account = :target WHERE account = :source"  # noqa: S608 - constants
    f" AND (state = 'paid' OR {_SERVED} OR (state = 'failed' AND {_WAS_GIVEN_UP}))"
)


class PurchaseRows:
    """`core.wallet.purchase.PurchaseStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, purchase: Purchase) -> Purchase:
        """See `PurchaseStore`."""
        one = purchase
        cursor = self._connection.execute(
            f"INSERT INTO purchase ({_COLUMNS.removeprefix('id, ')}, origin, scope, payer)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.key, one.account, one.url, one.site, one.scheme, one.token, one.invoice, one.payment_hash, one.amount,
                one.expires_at, one.state.value, one.at, one.preimage, origin_of(one.site), scope_of(one.site),
                one.account,
            ),
        )  # fmt: skip
        return replace(purchase, id=cursor.lastrowid or 0)

    def put(self, purchase: Purchase) -> None:
        """See `PurchaseStore`."""
        self._connection.execute(
            "UPDATE purchase SET key = ?, state = ?, preimage = ? WHERE id = ?",
            (purchase.key, purchase.state.value, purchase.preimage, purchase.id),
        )

    def find(self, number: int) -> Purchase | None:
        """See `PurchaseStore`."""
        return _purchase(self._connection.execute(_SELECT + " WHERE id = ?", (number,)).fetchone())

    def held(self, account: str, url: str, key: str) -> Purchase | None:
        """See `PurchaseStore`."""
        facts = {"account": account, "url": url, "key": key, "scope": scope_of(url)}
        row = self._connection.execute(_HELD + " ORDER BY rank LIMIT 1", facts).fetchone()
        return None if row is None else _purchase(row[1:])

    def begun(self, payment_hash: bytes) -> int | None:
        """See `PurchaseStore`."""
        query = "SELECT id FROM purchase WHERE payment_hash = ? AND state NOT IN ('challenged', 'failed')"
        row = self._connection.execute(query, (payment_hash,)).fetchone()
        return None if row is None else int(row[0])

    def unserved(self, account: str, origin: str, url: str) -> Purchase | None:
        """See `PurchaseStore`."""
        for what, value in (("origin", origin), ("url", url)):
            query = f"{_SELECT} WHERE account = ? AND {what} = ? AND {_SERVED} ORDER BY id DESC LIMIT 1"
            found = _purchase(self._connection.execute(query, (account, value)).fetchone())
            if found is not None and found.state is State.UNSERVED:
                return found
        return None

    def given_up(self, account: str, url: str) -> Purchase | None:
        """See `PurchaseStore`."""
        return _purchase(self._connection.execute(_GIVEN_UP, {"account": account, "url": url}).fetchone())

    def hand_over(self, source: str, target: str) -> None:
        """See `PurchaseStore`."""
        accounts = {"source": source, "target": target}
        self._connection.execute(_ENDED_MEANWHILE, accounts)
        self._connection.execute(
            "DELETE FROM purchase WHERE account = :target AND state = 'challenged'"
            " AND url IN (SELECT url FROM purchase WHERE account = :source AND state = 'paid')",
            accounts,
        )
        self._connection.execute(_GOES_ALONG, accounts)


def _purchase(row: Any) -> Purchase | None:
    if row is None:
        return None
    number, key, account, url, site, scheme, token, invoice, payment_hash, amount, expires, state, at, preimage = row
    return Purchase(
        number, key, account, url, site, scheme, token, invoice, payment_hash, amount, expires, State(state), at, preimage
    )  # fmt: skip
