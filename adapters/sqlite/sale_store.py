"""Offers, bundles and calls of L402 as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.tokens import STRANGER
from core.wallet.l402 import Terms
from core.wallet.sales import Bundle, Call, CallState, Sold, causes

if TYPE_CHECKING:
    import sqlite3

    from core.wallet.sales import Goods

_BUNDLE = "token, payment_hash, service, price, calls, expires, resource, client, bolt11, payable, settled_at"
_CALL = "token, key, request, state, attempt, task"
_IN_VAIN = "('failed', 'cancelled', 'expired')"
_TALLY = (
    f"SELECT count(*) FILTER (WHERE c.state <> 'returned' AND coalesce(t.status, '') NOT IN {_IN_VAIN}),"  # noqa: S608
    f" count(*) FILTER (WHERE t.status IN {_IN_VAIN}), count(*) FILTER (WHERE c.state = 'used')"
    " FROM l402_call c LEFT JOIN task t ON t.id = c.task WHERE c.token = ?"
)
_UNDER_WAY = "('open', 'bidding', 'awarded', 'running')"

_USED = (
    f"SELECT count(*) FROM l402_call c LEFT JOIN task t ON t.id = c.task WHERE c.state = 'used'"  # noqa: S608
    f" AND coalesce(t.status, '') NOT IN {_IN_VAIN}"
)


class SaleRows:
    """`core.wallet.selling.SaleStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def offered(self, client: str, goods: Goods, calls: int, after: int) -> Bundle | None:
        """See `SaleStore`."""
        row = self._connection.execute(
            f"SELECT {_BUNDLE} FROM l402_bundle WHERE settled_at IS NULL AND client = ? AND service = ? AND calls = ?"  # noqa: S608
            " AND price = ? AND resource = ? AND payable > ? ORDER BY payable DESC LIMIT 1",
            (client, goods.service, calls, goods.price, goods.resource, after),
        ).fetchone()
        return None if row is None else _bundle(*row)

    def bundle(self, token: bytes) -> Bundle | None:
        """See `SaleStore`."""
        row = self._connection.execute(f"SELECT {_BUNDLE} FROM l402_bundle WHERE token = ?", (token,)).fetchone()  # noqa: S608
        return None if row is None else _bundle(*row)

    def keep(self, bundle: Bundle) -> None:
        """See `SaleStore`."""
        terms = bundle.terms
        self._connection.execute(
            f"INSERT INTO l402_bundle ({_BUNDLE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            " ON CONFLICT (token) DO UPDATE SET settled_at = excluded.settled_at",
            (
                bundle.token, bundle.payment_hash, terms.service, terms.price, terms.calls, terms.expires, terms.resource,
                bundle.client, bundle.bolt11, bundle.payable, bundle.settled_at,
            ),
        )  # fmt: skip

    def call(self, token: bytes, key: str) -> Call | None:
        """See `SaleStore`."""
        query = f"SELECT {_CALL} FROM l402_call WHERE token = ? AND key = ?"  # noqa: S608
        row = self._connection.execute(query, (token, key)).fetchone()
        return None if row is None else _call(*row)

    def put(self, call: Call, now: int) -> None:
        """See `SaleStore`."""
        self._connection.execute(
            f"INSERT INTO l402_call ({_CALL}, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token, key) DO UPDATE"  # noqa: S608
            " SET state = excluded.state, attempt = excluded.attempt, task = excluded.task, at = excluded.at",
            (call.token, call.key, call.request, call.state.value, call.attempt, call.task, now),
        )

    def forget_returned(self, token: bytes, but: int) -> None:
        """See `SaleStore`."""
        self._connection.execute(
            "DELETE FROM l402_call WHERE token = ? AND state = 'returned' AND key NOT IN (SELECT key FROM l402_call"
            " WHERE token = ? AND state = 'returned' ORDER BY at DESC, key DESC LIMIT ?)",
            (token, token, but),
        )

    def known(self, token: bytes) -> int:
        """See `SaleStore`."""
        (count,) = self._connection.execute("SELECT count(*) FROM l402_call WHERE token = ?", (token,)).fetchone()
        return int(count)

    def answers(self, token: bytes) -> int:
        """See `SaleStore`. An answer is kept under its call's own key."""
        first = causes(token)
        query = "SELECT count(*) FROM applied WHERE key >= ? AND key < ?"
        (kept,) = self._connection.execute(query, (first, f"{first[:-1]}0")).fetchone()  # "0" comes after "/"
        return int(kept)

    def tally(self, token: bytes, answers: int) -> tuple[int, int]:
        """See `SaleStore`. No call is used for an answer that broke off."""
        count, in_vain, used = self._connection.execute(_TALLY, (token,)).fetchone()
        return int(count), int(in_vain) + max(0, answers - int(used))

    def crowded(self, most: int) -> bool:
        """See `SaleStore`."""
        theirs = f"due IS NOT NULL AND status IN {_UNDER_WAY} AND substr(requester, 1, ?) = ?"
        query = f"SELECT count(*) FROM (SELECT 1 FROM task WHERE {theirs} LIMIT ?)"  # noqa: S608
        (count,) = self._connection.execute(query, (len(STRANGER), STRANGER, most + 1)).fetchone()
        return int(count) > most

    def bought(self, token: bytes, task: int) -> bool:
        """See `SaleStore`."""
        query = "SELECT 1 FROM l402_call WHERE task = ? AND token = ?"
        return self._connection.execute(query, (task, token)).fetchone() is not None

    def reserved(self) -> list[Call]:
        """See `SaleStore`."""
        rows = self._connection.execute(f"SELECT {_CALL} FROM l402_call WHERE state = 'reserved' ORDER BY token, key")  # noqa: S608
        return [_call(*row) for row in rows]

    def sold(self) -> Sold:
        """See `SaleStore`."""
        offers, bundles, earned = self._connection.execute(
            "SELECT count(*), count(settled_at), coalesce(sum(price * calls) FILTER (WHERE settled_at IS NOT NULL), 0)"
            " FROM l402_bundle"
        ).fetchone()
        (calls,) = self._connection.execute(_USED).fetchone()
        return Sold(offers, bundles, earned, calls)


def _bundle(  # noqa: PLR0913, PLR0917 - a row
    token: bytes, payment_hash: bytes, service: str, price: int, calls: int, expires: int, resource: str, client: str,
    bolt11: str, payable: int, settled_at: int | None,
) -> Bundle:  # fmt: skip
    terms = Terms(service, price, calls, expires, resource)
    return Bundle(token, payment_hash, terms, client, bolt11, payable, settled_at)


def _call(token: bytes, key: str, request: str, state: str, attempt: int, task: int | None) -> Call:
    return Call(token, key, request, CallState(state), attempt, task)
