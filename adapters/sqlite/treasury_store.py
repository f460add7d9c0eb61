"""The treasury's movements, what moved on a day, and the days that were reported, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.treasury.policy import QUARTER, Flow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_WHOLE = -1
_END = 2**62


class FlowRows:
    """`core.treasury.treasury.FlowStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def between(self, since: int, until: int | None = None) -> Mapping[str, Flow]:
        """See `FlowStore`. Python adds up: many sums may be more than 63 bits hold."""
        rows = self._connection.execute(
            "SELECT kind, received, sent FROM treasury_flow WHERE quarter >= ? AND quarter < ?",
            (since // QUARTER, _END if until is None else until // QUARTER),
        )
        found: dict[str, Flow] = {}
        for kind, received, sent in rows:
            before = found.get(kind, Flow(0, 0))
            found[kind] = Flow(before.received + received, before.sent + sent)
        return found

    def whole(self) -> Mapping[str, Flow]:
        """See `FlowStore`."""
        rows = self._connection.execute("SELECT kind, received, sent FROM treasury_flow WHERE quarter = ?", (_WHOLE,))
        return {kind: Flow(received, sent) for kind, received, sent in rows}
