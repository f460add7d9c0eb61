"""Live tasks, and money that no live task needs, page by page: no look reads more than its page, however long history is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.swarm.stuck import Left

if TYPE_CHECKING:
    import sqlite3

_OVER = "('settled', 'failed', 'cancelled', 'expired')"
_ESCROWS = f"""
    SELECT a.name, a.posted, t.id IS NULL OR t.status IN {_OVER} AND (a.name GLOB 'escrow:*' OR t.status <> 'settled')
    FROM (SELECT name, posted FROM account WHERE name > max('escrow:', :after) AND name < 'held;' ORDER BY name LIMIT :limit) a
    LEFT JOIN task t ON a.posted <> 0 AND t.id = CAST(substr(a.name, instr(a.name, ':') + 1) AS INTEGER)
"""  # noqa: S608 - constants
"""What is left of a held payment for a task that settled waits for the node."""

_HOLDS = f"""
    SELECT h.account, h.id, h.task, h.amount, h.task IS NOT NULL AND (t.id IS NULL OR t.status IN {_OVER})
    FROM (SELECT account, id, task, amount FROM hold WHERE state = 'open' AND (account, id) > (:account, :id)
        ORDER BY account, id LIMIT :limit
    ) h LEFT JOIN task t ON t.id = h.task
"""  # noqa: S608 - constants


_OF_TASKS = ("escrow:", "held:")


class StuckRows:
    """`core.swarm.stuck.StuckStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def live(self, after: tuple[int, int], limit: int) -> list[tuple[int, int, str]]:
        """See `StuckStore`."""
        query = "SELECT due, id, status FROM task WHERE due IS NOT NULL AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?"
        return self._connection.execute(query, (*after, limit)).fetchall()

    def escrows(self, after: str, limit: int) -> tuple[list[Left], str]:
        """See `StuckStore`."""
        rows = self._connection.execute(_ESCROWS, {"after": after, "limit": limit}).fetchall()
        found = [
            Left(_task(name), posted, name)
            for name, posted, stray in rows
            if posted and stray and name.startswith(_OF_TASKS)
        ]
        return found, rows[-1][0] if len(rows) == limit else ""

    def holds(self, after: tuple[str, int], limit: int) -> tuple[list[Left], tuple[str, int]]:
        """See `StuckStore`."""
        rows = self._connection.execute(_HOLDS, {"account": after[0], "id": after[1], "limit": limit}).fetchall()
        found = [Left(task, amount, account, number) for account, number, task, amount, stray in rows if stray]
        return found, rows[-1][:2] if len(rows) == limit else ("", 0)

    def still(self, left: Left) -> bool:
        """See `StuckStore`."""
        if left.hold is None:
            query, one = "SELECT 1 FROM account WHERE name = ? AND posted <> 0", left.account
            return self._connection.execute(query, (one,)).fetchone() is not None
        query = "SELECT 1 FROM hold WHERE id = ? AND state = 'open'"
        return self._connection.execute(query, (left.hold,)).fetchone() is not None


def _task(account: str) -> int:
    """The number in `escrow:12`, `held:12:telegram:5`."""
    return int(account.split(":")[1])
