"""What surfaces remember of their platforms, as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.messages import Mark, Pin

if TYPE_CHECKING:
    import sqlite3


class SurfaceRows:
    """`core.messages.SurfaceStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def mark(self, account: str) -> Mark | None:
        """See `SurfaceStore`."""
        row = self._connection.execute("SELECT token, salt FROM sync WHERE account = ?", (account,)).fetchone()
        return None if row is None else Mark(*row)

    def save(self, account: str, mark: Mark) -> None:
        """See `SurfaceStore`."""
        self._connection.execute("INSERT OR REPLACE INTO sync VALUES (?, ?, ?)", (account, mark.token, mark.salt))

    def latched(self, account: str) -> frozenset[str]:
        """See `SurfaceStore`."""
        rows = self._connection.execute("SELECT place FROM latch WHERE account = ?", (account,))
        return frozenset(place for (place,) in rows)

    def latch(self, account: str, place: str) -> None:
        """See `SurfaceStore`."""
        self._connection.execute("INSERT OR IGNORE INTO latch VALUES (?, ?)", (account, place))

    def first(self, account: str, place: str, event: str) -> str:
        """See `SurfaceStore`."""
        self._connection.execute("INSERT OR IGNORE INTO opened VALUES (?, ?, ?)", (account, place, event))
        query = "SELECT event FROM opened WHERE account = ? AND place = ?"
        (first,) = self._connection.execute(query, (account, place)).fetchone()
        return str(first)

    def pins(self, account: str) -> dict[str, Pin]:
        """See `SurfaceStore`."""
        query = "SELECT person, identity, devices, verified FROM pin WHERE account = ?"
        return {
            person: Pin(identity, frozenset(json.loads(devices)), verified)
            for person, identity, devices, verified in self._connection.execute(query, (account,))
        }

    def pin(self, account: str, person: str, pin: Pin) -> None:
        """See `SurfaceStore`."""
        values = (account, person, pin.identity, json.dumps(sorted(pin.devices)), pin.verified)
        self._connection.execute("INSERT OR REPLACE INTO pin VALUES (?, ?, ?, ?, ?)", values)
