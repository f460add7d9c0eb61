"""What explains a balance, as rows: an account's postings with their entries, and its open holds with what they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.wallet.statement import Movement, OpenHold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_NEWEST = 2**63 - 1


class StatementRows:
    """`core.wallet.statement.Statements` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def postings(self, account: str) -> Iterator[tuple[int, str, int]]:
        """See `Statements`."""
        return self._connection.execute(
            "SELECT p.txn, x.kind, p.amount FROM posting p JOIN txn x ON x.id = p.txn WHERE p.account = ?", (account,)
        )

    def movements(self, account: str, limit: int, start: int | None) -> list[Movement]:
        """See `Statements`."""
        rows = self._connection.execute(
            "SELECT x.id, x.at, x.key, x.kind, x.task, x.payment_hash, x.actor, x.reason, x.hash, p.amount FROM posting p"
            " JOIN txn x ON x.id = p.txn WHERE p.account = ? AND p.txn <= ? ORDER BY p.txn DESC LIMIT ?",
            (account, _NEWEST if start is None else start, limit),
        )
        return [Movement(*(*row, self._others(row[0], account))) for row in rows.fetchall()]

    def _others(self, entry: int, account: str) -> tuple[tuple[str, int], ...]:
        return tuple(
            self._connection.execute(
                "SELECT account, amount FROM posting WHERE txn = ? AND account <> ? ORDER BY account", (entry, account)
            )
        )

    def holds(self, account: str) -> list[OpenHold]:
        """See `Statements`."""
        rows = self._connection.execute(
            "SELECT h.id, h.at, h.amount, h.target, h.task, p.payment_hash, p.payee, coalesce(p.state, t.status) FROM hold h"
            " LEFT JOIN task t ON t.id = h.task"
            " LEFT JOIN payment p ON p.hold = h.id AND p.state IN ('prepared', 'sending', 'unknown')"
            " WHERE h.account = ? AND h.state = 'open' ORDER BY h.id",
            (account,),
        )
        return [OpenHold(*row) for row in rows]
