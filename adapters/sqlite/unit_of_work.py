"""One transaction as the services see it: time, events, idempotency keys, and a store for each feature.

The object is made once per connection and reused for every unit of work: `begin` gives it the time and an empty list.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import TYPE_CHECKING

from adapters.sqlite.agent_store import AgentRows, ConversationRows, LinkRows, PairingRows, TokenRows
from adapters.sqlite.approval_store import ApprovalRows
from adapters.sqlite.crew_store import CrewRows
from adapters.sqlite.hold_store import HoldRows
from adapters.sqlite.ledger_store import BookRows, LedgerRows
from adapters.sqlite.limit_store import LimitRows
from adapters.sqlite.message_store import MessageRows
from adapters.sqlite.payment_store import InvoiceRows, PaymentRows, ReconRows, SuspenseRows
from adapters.sqlite.session_store import SessionRows
from adapters.sqlite.shortcut_store import ShortcutRows
from adapters.sqlite.spark_store import AdviceRows, FieldRows, ForecastRows
from adapters.sqlite.stuck_store import StuckRows
from adapters.sqlite.surface_store import SurfaceRows
from adapters.sqlite.task_store import TaskRows
from adapters.sqlite.treasury_store import FlowRows, ReportRows
from core.events import Event, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping, Sequence

    from adapters.sqlite.briefing_store import BriefingRows
    from adapters.sqlite.container_store import ContainerRows
    from adapters.sqlite.mcp_store import McpRows
    from adapters.sqlite.memory_store import MemoryRows
    from adapters.sqlite.notice_store import NoticeRows
    from adapters.sqlite.purchase_store import PurchaseRows
    from adapters.sqlite.sale_store import SaleRows
    from adapters.sqlite.schedule_store import ScheduleRows
    from adapters.sqlite.statement_store import StatementRows
    from adapters.sqlite.summary_store import SummaryRows
    from adapters.sqlite.vector_store import VectorRows
    from core.events import Json

_EMPTY = "{}"
_TOGETHER = 16
"""Events that one statement writes at most."""

_encode = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` with separators makes an encoder at each call


@cache
def _insert_events(count: int) -> str:
    return "INSERT INTO event (kind, task, agent, at, data) VALUES " + ", ".join(["(?, ?, ?, ?, ?)"] * count)  # noqa: S608 - constants


@cache
def _select_events(kinds: int) -> str:
    which = f" AND kind IN ({', '.join('?' * kinds)})" if kinds else ""
    return f"SELECT kind, task, agent, data, id, at FROM event WHERE id > ?{which} ORDER BY id LIMIT ?"  # noqa: S608 - marks


log = logging.getLogger(__name__)


def _written(data: Mapping[str, Json]) -> str:
    """The facts of an event as JSON. Most of a task's events say nothing but which attempt they are of."""
    if len(data) == 1 and type(attempt := data.get("attempt")) is int:
        return f'{{"attempt":{attempt}}}'
    return _encode(data) if data else _EMPTY


class UnitOfWork:
    """What a function given to `Database.write` works on."""

    __slots__ = (
        "_connection",
        "_emitted",
        "_renewed",
        "_vectors",
        "advice",
        "agents",
        "approvals",
        "books",
        "conversations",
        "crew",
        "events",
        "fields",
        "flows",
        "forecasts",
        "holds",
        "invoices",
        "ledger",
        "limits",
        "links",
        "messages",
        "now",
        "pairing",
        "payments",
        "recon",
        "reports",
        "sessions",
        "shortcuts",
        "surfaces",
        "suspense",
        "tasks",
        "tokens",
        "turn",
    )  # fmt: skip

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.now = 0
        self.turn = 0
        self.events: list[Event] = []
        self._emitted: list[Event] = []
        self._vectors: VectorRows | None = None
        self.ledger = LedgerRows(connection, self)
        self.books = BookRows(connection)
        self.limits = LimitRows(connection)
        self.flows = FlowRows(connection)
        self.reports = ReportRows(connection)
        self.tasks = TaskRows(connection)
        self.agents = AgentRows(connection)
        self.crew = CrewRows(connection, self)
        self.approvals = ApprovalRows(connection)
        self.messages = MessageRows(connection)
        self.tokens = TokenRows(connection)
        self.surfaces = SurfaceRows(connection)
        self.pairing = PairingRows(connection)
        self.links = LinkRows(connection, self)
        self.sessions = SessionRows(connection)
        self.payments = PaymentRows(connection)
        self.invoices = InvoiceRows(connection)
        self.recon = ReconRows(connection)
        self.suspense = SuspenseRows(connection)
        self.holds = HoldRows(connection)
        self.shortcuts = ShortcutRows(connection)
        self.conversations = ConversationRows(connection)
        self.forecasts = ForecastRows(connection)
        self.fields = FieldRows(connection)
        self.advice = AdviceRows(connection, self)
        self._renewed = (self.ledger, self.limits, self.crew, self.tasks)

    @property
    def statements(self) -> StatementRows:
        """Balances explained."""
        from adapters.sqlite.statement_store import StatementRows  # noqa: PLC0415 - for `timmy ledger`, never for a hub

        return StatementRows(self._connection)

    @property
    def sales(self) -> SaleRows:
        """What is sold to strangers."""
        from adapters.sqlite.sale_store import SaleRows  # noqa: PLC0415 - where something is sold

        return SaleRows(self._connection)

    @property
    def purchases(self) -> PurchaseRows:
        """What was bought from addresses."""
        from adapters.sqlite.purchase_store import PurchaseRows  # noqa: PLC0415 - for the first who buys

        return PurchaseRows(self._connection)

    @property
    def memory(self) -> MemoryRows:
        """What is remembered."""
        from adapters.sqlite.memory_store import MemoryRows  # noqa: PLC0415 - for the first who talks to the agent

        return MemoryRows(self._connection)

    @property
    def vectors(self) -> VectorRows:
        """What facts mean to a model."""
        if self._vectors is None:
            from adapters.sqlite.vector_store import VectorRows  # noqa: PLC0415 - where the model server has one for that

            self._vectors = VectorRows(self._connection)
        return self._vectors

    @property
    def summaries(self) -> SummaryRows:
        """Conversations in short."""
        from adapters.sqlite.summary_store import SummaryRows  # noqa: PLC0415 - as `memory`

        return SummaryRows(self._connection)

    @property
    def stuck(self) -> StuckRows:
        """What nothing moves any more; looked for now and then."""
        return StuckRows(self._connection)

    @property
    def containers(self) -> ContainerRows:
        """Agents in containers."""
        from adapters.sqlite.container_store import ContainerRows  # noqa: PLC0415 - where there are containers

        return ContainerRows(self._connection)

    @property
    def mcp(self) -> McpRows:
        """What MCP clients were answered, and the tools of MCP servers."""
        from adapters.sqlite.mcp_store import McpRows  # noqa: PLC0415 - where there are any

        return McpRows(self._connection)

    @property
    def notices(self) -> NoticeRows:
        """What is told where, and what waits to be told."""
        from adapters.sqlite.notice_store import NoticeRows  # noqa: PLC0415 - it stands on a feature, and few tasks need it

        return NoticeRows(self._connection)

    @property
    def schedules(self) -> ScheduleRows:
        """What is done at times."""
        from adapters.sqlite.schedule_store import ScheduleRows  # noqa: PLC0415 - looked at when a time comes

        return ScheduleRows(self._connection)

    @property
    def briefings(self) -> BriefingRows:
        """Up to when who was briefed."""
        from adapters.sqlite.briefing_store import BriefingRows  # noqa: PLC0415 - as above

        return BriefingRows(self._connection)

    def keeps_containers(self) -> bool:
        """Whether there ever was an agent in a container; what they are is asked of `containers`."""
        return self._connection.execute("SELECT 1 FROM container_mark").fetchone() is not None

    def keeps_facts(self) -> bool:
        """Whether anything is remembered, or was forgotten and may come back; what that is is asked of `memory`."""
        return self._connection.execute("SELECT 1 FROM fact LIMIT 1").fetchone() is not None

    def keeps_schedules(self) -> bool:
        """Whether anything was planned; what that is is asked of `schedules`."""
        return self._connection.execute("SELECT 1 FROM schedule LIMIT 1").fetchone() is not None

    def begin(self, now: int) -> None:
        """Start a transaction's list of events at time `now`."""
        self.now = now
        self.turn += 1
        self.events = []
        self._emitted = []
        for rows in self._renewed:
            rows.renew()

    def emit(self, event: Event) -> None:
        """See `core.store.Tx`."""
        self._emitted.append(event)

    def write_events(self) -> None:
        """Write what was emitted since the last call; the writer does it at the end of each function.

        Together, because AUTOINCREMENT looks up and stores the last number once a statement, not once a row.
        """
        emitted, self._emitted = self._emitted, []
        for start in range(0, len(emitted), _TOGETHER):
            some = emitted[start : start + _TOGETHER]
            values: list[object] = []
            for event in some:
                values += (event.kind._value_, event.task, event.agent, self.now, _written(event.data))
            last = self._connection.execute(_insert_events(len(some)), values).lastrowid or 0
            self.events += [
                Event._make((kind, task, agent, data, number, self.now))
                for number, (kind, task, agent, data, _, _) in enumerate(some, last - len(some) + 1)
            ]

    def take_back(self, kept: int) -> None:
        """Forget the events of a function that was undone: all but the first `kept`."""
        del self.events[kept:]
        self._emitted = []
        for rows in self._renewed:
            rows.renew()

    def applied(self, key: str) -> str | None:
        """See `core.store.Tx`."""
        row = self._connection.execute("SELECT result FROM applied WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def mark(self, key: str, result: str) -> None:
        """See `core.store.Tx`."""
        self._connection.execute("INSERT INTO applied (key, result, at) VALUES (?, ?, ?)", (key, result, self.now))

    # Events for handlers and streams ---------------------------------------------------------------------------

    def events_after(self, event: int, limit: int, kinds: Collection[Kind] = ()) -> list[Event]:
        """The next events after number `event`, of these kinds or of all, oldest first. One that cannot be read is a failure."""
        self.write_events()
        rows = self._connection.execute(_select_events(len(kinds)), (event, *kinds, limit))
        return [_event(*row) for row in rows]

    def last_event(self) -> int:
        """The newest event's number, 0 if there is none."""
        self.write_events()
        (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        return int(last)

    def newest_event(self) -> int:
        """When the newest event was, Unix ms; 0 if there is none."""
        (at,) = self._connection.execute("SELECT coalesce(max(at), 0) FROM event").fetchone()
        return int(at)

    def cursor(self, handler: str) -> int:
        """How far an enrolled handler has come."""
        (event,) = self._connection.execute("SELECT event FROM cursor WHERE handler = ?", (handler,)).fetchone()
        return int(event)

    def enroll(self, handler: str) -> None:
        """Give a new handler a cursor, at the newest event; a known one keeps its own."""
        self._connection.execute("INSERT OR IGNORE INTO cursor VALUES (?, ?)", (handler, self.last_event()))

    def advance(self, handler: str, event: int) -> None:
        """Remember that a handler is done with everything up to `event`."""
        self._connection.execute(
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT (handler) DO UPDATE SET event = excluded.event",
            (handler, event),
        )

    def bury(self, handler: str, event: int, error: str) -> None:
        """Put an event that a handler cannot take into the dead letters."""
        self._connection.execute(
            "INSERT INTO dead_letter (handler, event, error, at) VALUES (?, ?, ?, ?)", (handler, event, error, self.now)
        )

    def dead_letters(self) -> int:
        """How many there are."""
        (count,) = self._connection.execute("SELECT count(*) FROM dead_letter").fetchone()
        return int(count)

    def absent(self) -> tuple[set[str], set[str]]:
        """Who set something up for themselves, and who of them was noted to have no role (see `retention.py`, the only caller)."""
        whose = self._connection.execute(
            "SELECT actor FROM notice_wish UNION SELECT person FROM quiet_hours"
            " UNION SELECT actor FROM schedule WHERE state IN ('active', 'paused')"
        )
        noted = self._connection.execute("SELECT actor FROM absent")
        return {actor for (actor,) in whose}, {actor for (actor,) in noted}

    def note_absent(self, went: Collection[str], came: Collection[str]) -> None:
        """These have no role any more, and those have one again, or nothing here."""
        self._connection.executemany("INSERT INTO absent VALUES (?, ?)", [(actor, self.now) for actor in sorted(went)])
        self._connection.executemany("DELETE FROM absent WHERE actor = ?", [(actor,) for actor in sorted(came)])

    def outlived(self, table: str, where: str, before: int, limit: int) -> list[tuple[object, ...]]:
        """Keys of rows older than their stated life, some at most (see `retention.py`, the only caller)."""
        query = f"SELECT {', '.join(self._key(table))} FROM {table} WHERE {where} LIMIT ?"  # noqa: S608 - constants
        return self._connection.execute(query, (before, limit)).fetchall()

    def forget(self, table: str, where: str, before: int, keys: Sequence[tuple[object, ...]]) -> int:
        """Delete those that still are; returns how many."""
        columns = self._key(table)
        rows = ", ".join([f"({', '.join('?' * len(columns))})"] * len(keys))
        bound = (*(value for key in keys for value in key), before)
        return self._connection.execute(
            f"DELETE FROM {table} WHERE ({', '.join(columns)})"  # noqa: S608 - constants
            f" IN (SELECT * FROM (VALUES {rows})) AND {where}",  # of bare VALUES it makes no keys, and reads all
            bound,
        ).rowcount

    def _key(self, table: str) -> list[str]:
        rows = self._connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
        return [name for (name,) in rows] or ["rowid"]


def _event(kind: str, task: int | None, agent: str | None, data: str, number: int, at: int) -> Event:
    """An event as written; what another version wrote, or a damaged row, must stop nothing that comes after it."""
    try:
        return Event(Kind(kind), task, agent, json.loads(data), number, at)
    except ValueError:
        log.warning("event %d (%r) cannot be read", number, kind)
        return Event(Kind.HANDLER_FAILED, data={"event": number}, id=number, at=at)
