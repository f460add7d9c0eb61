"""What surfaces remember of their platforms, as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.messages import Mark, Pin

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


STRETCHES = 500
"""How many stretches of a session are told apart at most."""


def joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few stretches (first, last) as can be, in their order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _capped(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most `STRETCHES`: all up to the last of those that are too many counts as read, also what was skipped."""
    extra = len(stretches) - STRETCHES
    return stretches if extra <= 0 else [(0, stretches[extra][1]), *stretches[extra + 1 :]]


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

    def first(self, account: str, session: str, place: int, event: str, now: int) -> str:
        """See `SurfaceStore`."""
        if any(first <= place <= last for first, last in self._stretches(account, session)):
            return ""
        name = f"{session}/{place}"
        self._connection.execute("INSERT OR IGNORE INTO opened VALUES (?, ?, ?, ?)", (account, name, event, now))
        query = "SELECT event FROM opened WHERE account = ? AND place = ?"
        (first,) = self._connection.execute(query, (account, name)).fetchone()
        return str(first)

    def condense(self, before: int, limit: int) -> int:
        """Of messages that were opened earlier, keep only which places of their sessions were read; returns of how many."""
        query = "SELECT account, place FROM opened WHERE at < ? LIMIT ?"
        found = self._connection.execute(query, (before, limit)).fetchall()
        read: dict[tuple[str, str], list[int]] = {}
        for account, name in found:
            session, _, place = name.rpartition("/")
            read.setdefault((account, session), []).append(int(place))
        for (account, session), places in read.items():
            stretches = _capped(joined([*self._stretches(account, session), *((place, place) for place in places)]))
            values = (account, session, json.dumps(stretches, separators=(",", ":")))
            self._connection.execute("INSERT OR REPLACE INTO opened_before VALUES (?, ?, ?)", values)
        self._connection.executemany("DELETE FROM opened WHERE account = ? AND place = ?", found)
        return len(found)

    def _stretches(self, account: str, session: str) -> list[tuple[int, int]]:
        query = "SELECT stretches FROM opened_before WHERE account = ? AND session = ?"
        row = self._connection.execute(query, (account, session)).fetchone()
        return [(first, last) for first, last in json.loads(row[0])] if row else []

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
