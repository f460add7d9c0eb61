"""Up to when people were briefed, and what came since, as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapters.sqlite.treasury_store import flows
from core.automation.briefing import Point
from core.events import TERMINAL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

    from core.treasury.policy import Flow

_ENDED = (
    "FROM event JOIN task ON task.id = event.task WHERE event.id > ? AND event.id <= ?"
    " AND event.kind IN (SELECT value FROM json_each(?))"
    " AND (task.requester IN (SELECT value FROM json_each(?)) OR task.conversation = ?"
    " OR substr(task.conversation, 1, length(?) + 1) = ? || '/')"
)
_KINDS = json.dumps(sorted(TERMINAL))


class BriefingRows:
    """`core.automation.briefing.BriefingStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def last(self, reader: str) -> Point | None:
        """See `BriefingStore`."""
        row = self._connection.execute("SELECT at, event, entry FROM briefing WHERE reader = ?", (reader,)).fetchone()
        return None if row is None else Point(*row)

    def keep(self, reader: str, point: Point) -> None:
        """See `BriefingStore`."""
        self._connection.execute("INSERT OR REPLACE INTO briefing VALUES (?, ?, ?, ?)", (reader, *point))

    def here(self, now: int) -> Point:
        """See `BriefingStore`."""
        query = "SELECT coalesce((SELECT max(id) FROM event), 0), coalesce((SELECT max(id) FROM txn), 0)"
        return Point(now, *self._connection.execute(query).fetchone())

    def before(self, at: int) -> Point:
        """See `BriefingStore`. Both are read from the end."""
        (event,) = self._connection.execute(
            "SELECT coalesce((SELECT id FROM event NOT INDEXED WHERE at < ? ORDER BY id DESC LIMIT 1), 0)", (at,)
        ).fetchone()
        (entry,) = self._connection.execute(
            "SELECT coalesce((SELECT id FROM txn NOT INDEXED WHERE at < ? ORDER BY id DESC LIMIT 1), 0)", (at,)
        ).fetchone()
        return Point(at, event, entry)

    def ended(
        self, since: Point, upto: Point, requesters: Collection[str], place: str, limit: int
    ) -> tuple[list[int], int]:
        """See `BriefingStore`."""
        given = (since.event, upto.event, _KINDS, json.dumps(sorted(requesters)), place, place, place)
        rows = self._connection.execute(f"SELECT task.id {_ENDED} ORDER BY event.id DESC LIMIT ?", (*given, limit))
        (count,) = self._connection.execute(f"SELECT count(*) {_ENDED}", given).fetchone()
        return [number for (number,) in rows], int(count)

    def flows(self, account: str, since: Point, upto: Point) -> Mapping[str, Flow]:
        """See `BriefingStore`."""
        return flows(self._connection, account, since.entry, upto.entry)

    def given_up(self, since: Point) -> int:
        """See `BriefingStore`."""
        (count,) = self._connection.execute(
            "SELECT (SELECT count(*) FROM outgoing WHERE state = 'dead' AND at > ?1)"
            " + (SELECT count(*) FROM dead_letter WHERE at > ?1)",
            (since.at,),
        ).fetchone()
        return int(count)
