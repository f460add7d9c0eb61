"""Held payments as rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.wallet.hold import HoldInvoice, State

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = (
    "payment_hash, preimage, backend, requester, payer, conversation, facts, amount, expires_at, at, bolt11, state, task, received,"
    " held_until, why, ended_at"
)
_SELECT = f"SELECT id, {_COLUMNS} FROM hold_invoice"  # noqa: S608 - constants
_UNFINISHED = "state IN ('asking', 'open', 'held', 'taking', 'giving')"


class HoldRows:
    """`core.wallet.held.HoldStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, one: HoldInvoice) -> HoldInvoice:
        """See `HoldStore`."""
        row = (
            one.payment_hash, one.preimage, one.backend, one.requester, one.payer, one.conversation, one.order, one.amount,
            one.expires_at, one.at, one.bolt11, one.state.value, one.task, one.received, one.held_until, one.why, one.ended_at,
        )  # fmt: skip
        insert = f"INSERT INTO hold_invoice ({_COLUMNS}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - constants
        return replace(one, id=self._connection.execute(insert, row).lastrowid or 0)

    def put(self, one: HoldInvoice) -> None:
        """See `HoldStore`."""
        self._connection.execute(
            "UPDATE hold_invoice SET requester = ?, payer = ?, expires_at = ?, bolt11 = ?, state = ?, task = ?, received = ?,"
            " held_until = ?, why = ?, ended_at = ? WHERE id = ?",
            (
                one.requester, one.payer, one.expires_at, one.bolt11, one.state.value, one.task, one.received, one.held_until,
                one.why, one.ended_at, one.id,
            ),
        )  # fmt: skip

    def find(self, payment_hash: bytes) -> HoldInvoice | None:
        """See `HoldStore`."""
        return self._one("payment_hash = ?", payment_hash)

    def numbered(self, number: int) -> HoldInvoice | None:
        """See `HoldStore`."""
        return self._one("id = ?", number)

    def of_task(self, task: int) -> HoldInvoice | None:
        """See `HoldStore`."""
        return self._one("task = ?", task)

    def _one(self, where: str, value: object) -> HoldInvoice | None:
        row = self._connection.execute(f"{_SELECT} WHERE {where}", (value,)).fetchone()
        return None if row is None else _hold(row)

    def unfinished(self) -> list[HoldInvoice]:
        """See `HoldStore`."""
        return [_hold(row) for row in self._connection.execute(f"{_SELECT} WHERE {_UNFINISHED} ORDER BY id")]

    def waiting(self, requester: str) -> list[HoldInvoice]:
        """See `HoldStore`."""
        query = f"{_SELECT} WHERE {_UNFINISHED} AND state IN ('asking', 'open') AND requester = ? ORDER BY id"
        return [_hold(row) for row in self._connection.execute(query, (requester,))]

    def taking(self) -> int:
        """See `HoldStore`."""
        query = f"SELECT coalesce(sum(received), 0) FROM hold_invoice WHERE {_UNFINISHED} AND state = 'taking'"  # noqa: S608
        (amount,) = self._connection.execute(query).fetchone()
        return int(amount)


def _hold(row: tuple[Any, ...]) -> HoldInvoice:
    values = list(row)
    values[12] = State(values[12])
    return HoldInvoice(*values)  # the columns are in the order of the fields
