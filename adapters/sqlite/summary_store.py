"""Summaries of conversations as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.agent.summary import Said, Summary

if TYPE_CHECKING:
    import sqlite3

_SINCE = "coalesce((SELECT since FROM conversation WHERE id = ?1), 0)"


class SummaryRows:
    """`core.agent.summary.SummaryStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, conversation: str) -> Summary | None:
        """See `SummaryStore`."""
        query = f"SELECT text, upto, speaker, tainted FROM summary WHERE conversation = ?1 AND upto > {_SINCE}"  # noqa: S608 - a constant
        row = self._connection.execute(query, (conversation,)).fetchone()
        if row is None:
            return None
        text, upto, speaker, tainted = row
        return Summary(text, upto, speaker, bool(tainted))

    def after(self, conversation: str, turn: int, limit: int) -> list[Said]:
        """See `SummaryStore`."""
        rows = self._connection.execute(
            "SELECT id, role, text, speaker, tainted FROM turn"  # noqa: S608 - a constant
            f" WHERE conversation = ?1 AND id > max(?2, {_SINCE}) ORDER BY id LIMIT ?3",
            (conversation, turn, limit),
        )
        return [Said(number, role, text, speaker, bool(tainted)) for number, role, text, speaker, tainted in rows]

    def put(self, conversation: str, summary: Summary, now: int) -> None:
        """See `SummaryStore`."""
        self._connection.execute(
            f"INSERT OR REPLACE INTO summary SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?3 > {_SINCE}",
            (conversation, *summary, now),
        )
