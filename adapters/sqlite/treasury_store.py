"""The treasury's movements, what moved on a day, and the days that were reported, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.treasury.policy import QUARTER, Flow
from core.treasury.report import Posting
from core.wallet.ledger import TREASURY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from core.treasury.report import Span

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


def flows(connection: sqlite3.Connection, account: str, after: int, upto: int) -> Mapping[str, Flow]:
    """What moved in and out of an account in these entries, by kind. Python adds up, as in `FlowRows`."""
    rows = connection.execute(
        "SELECT x.kind, p.amount FROM posting p JOIN txn x ON x.id = p.txn"
        " WHERE p.account = ? AND p.txn > ? AND p.txn <= ?",
        (account, after, upto),
    )
    found: dict[str, Flow] = {}
    for kind, amount in rows:
        before = found.get(kind, Flow(0, 0))
        found[kind] = Flow(before.received + max(amount, 0), before.sent + max(-amount, 0))
    return found


class ReportRows:
    """`core.treasury.report.ReportStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def newest(self) -> tuple[str, int, int] | None:
        """See `ReportStore`."""
        row = self._connection.execute("SELECT day, until, entry FROM daily_report").fetchone()
        return None if row is None else (str(row[0]), int(row[1]), int(row[2]))

    def done(self, span: Span) -> None:
        """See `ReportStore`."""
        row = (span.day, span.until, span.upto)
        self._connection.execute(
            "INSERT OR REPLACE INTO daily_report (one, day, until, entry) VALUES (1, ?, ?, ?)", row
        )

    def last_before(self, until: int) -> int:
        """See `ReportStore`. Read from the end: it is among the newest, unless the hub was off."""
        query = "SELECT id FROM txn NOT INDEXED WHERE at < ? ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(query, (until,)).fetchone()
        return 0 if row is None else int(row[0])

    def postings(self, after: int, upto: int) -> Iterator[Posting]:
        """See `ReportStore`."""
        rows = self._connection.execute(
            "SELECT x.id, x.kind, p.account, p.amount FROM txn x JOIN posting p ON p.txn = x.id"
            " WHERE x.id > ? AND x.id <= ? ORDER BY x.id",
            (after, upto),
        )
        return map(Posting._make, rows)

    def treasury(self, after: int, upto: int) -> Mapping[str, Flow]:
        """See `ReportStore`."""
        return flows(self._connection, TREASURY, after, upto)

    def open_holds(self) -> tuple[int, int]:
        """See `ReportStore`."""
        amounts = self._connection.execute("SELECT amount FROM hold WHERE state = 'open'").fetchall()
        return len(amounts), sum(amount for (amount,) in amounts)

    def entries(self) -> int:
        """See `ReportStore`. They are numbered from 1, without a gap."""
        (count,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM txn").fetchone()
        return int(count)
