"""Who wants what where, quiet hours, and what waits for their end, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.sqlite.message_store import dump, load
from core.automation.notify import Held
from core.automation.quiet import Hours
from core.automation.topics import Topic, Wish

if TYPE_CHECKING:
    import sqlite3

    from core.chat import Reply


class NoticeRows:
    """`core.automation.notify.NoticeStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def wishes(self) -> list[Wish]:
        """See `NoticeStore`. A topic of another version is left out."""
        rows = self._connection.execute("SELECT topic, place, actor, wanted FROM notice_wish ORDER BY topic, place")
        return [Wish(Topic(topic), place, actor, bool(on)) for topic, place, actor, on in rows if topic in set(Topic)]

    def wish(self, wish: Wish, now: int) -> None:
        """See `NoticeStore`."""
        self._connection.execute(
            "INSERT OR REPLACE INTO notice_wish VALUES (?, ?, ?, ?, ?)",
            (wish.topic.value, wish.place, wish.actor, int(wish.on), now),
        )

    def unwish(self, topic: Topic, place: str) -> None:
        """See `NoticeStore`."""
        self._connection.execute("DELETE FROM notice_wish WHERE topic = ? AND place = ?", (topic.value, place))

    def hours(self) -> dict[str, Hours]:
        """See `NoticeStore`."""
        rows = self._connection.execute('SELECT person, "first", "last", zone FROM quiet_hours')
        return {person: Hours(*hours) for person, *hours in rows}

    def keep_hours(self, person: str, hours: Hours | None) -> None:
        """See `NoticeStore`."""
        if hours is None:
            self._connection.execute("DELETE FROM quiet_hours WHERE person = ?", (person,))
        else:
            self._connection.execute("INSERT OR REPLACE INTO quiet_hours VALUES (?, ?, ?, ?)", (person, *hours))

    def hold(self, person: str, place: str, reply: Reply, now: int) -> None:
        """See `NoticeStore`."""
        self._connection.execute(
            "INSERT INTO held_notice (person, place, body, at) VALUES (?, ?, ?, ?)", (person, place, dump(reply), now)
        )

    def waiting(self) -> dict[str, int]:
        """See `NoticeStore`."""
        return dict(self._connection.execute("SELECT person, count(*) FROM held_notice GROUP BY person").fetchall())

    def take(self, person: str, limit: int) -> list[Held]:
        """See `NoticeStore`."""
        rows = self._connection.execute(
            "SELECT id, place, at, body FROM held_notice WHERE person = ? ORDER BY id LIMIT ?", (person, limit)
        ).fetchall()
        if rows:
            self._connection.execute("DELETE FROM held_notice WHERE person = ? AND id <= ?", (person, rows[-1][0]))
        return [Held(place, at, load(body)) for _, place, at, body in rows]
