"""Logins of the status page as rows, hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


class SessionRows:
    """`adapters.web.ports.SessionStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def live(self, now: int) -> list[tuple[str, int]]:
        """See `SessionStore`."""
        query = "SELECT hash, expires FROM page_session WHERE expires > ? ORDER BY expires"
        return self._connection.execute(query, (now,)).fetchall()

    def begin(self, digest: str, expires: int) -> None:
        """See `SessionStore`."""
        self._connection.execute("INSERT INTO page_session VALUES (?, ?)", (digest, expires))

    def end(self, digest: str) -> None:
        """See `SessionStore`."""
        self._connection.execute("DELETE FROM page_session WHERE hash = ?", (digest,))
