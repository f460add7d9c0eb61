"""Durable task lives a second: the real coordinator on the real database, against the plain writer of the same rows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from adapters.clockwork import Nursery, SystemClock, SystemIds
from adapters.sqlite.connection import connect, connect_reader
from adapters.sqlite.unit_of_work import UnitOfWork
from adapters.sqlite.writer import Database
from bot.cli import COLLECT
from bot.subscriptions import Pump
from core.chat import Caller, Role
from core.events import Kind
from core.spark.spark import Spark
from core.swarm.coordinator import Coordinator
from core.swarm.orders import Order, Rules
from core.swarm.persona import Persona
from core.swarm.ports import Agent, Delivery, Offer
from core.swarm.roster import Roster
from core.tokens import Identities
from core.wallet.wallet import Wallet
from tests.bench.plain import AGENTS, BUDGET, OWNER, PlainWriter, price_of, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.events import Event
    from core.swarm.task import Task

IN_FLIGHT = 32
GRANT = 10**12
CALLER = Caller(OWNER, Role.OWNER)

PER_LIFE = {
    "applied": 1,
    "hold": 1,
    "task": 1,
    "bid": 6,
    "event": 12,
    "txn": 2,
    "posting": 4,
    "account": 1,
    "forecast": 1,
}
"""Rows that one life leaves."""

_VARIES = {
    "at",
    "posted_at",
    "deadline",
    "closes_at",
    "awarded_at",
    "took",
    "lease",
    "ended_at",
    "prev",
    "hash",
    "created_at",
    "spawned_at",
    "minute",
    "odds",
    "done",
    "price_low",
    "price_high",
    "took_low",
    "took_high",
    "known",
}
"""Columns that hold the time, or follow from it, or say what is thought of it."""


class InstantWorker:
    """Offers and delivers at once: what is left is the hub's own work."""

    async def ready(self, agent: Agent) -> str | None:
        return None

    def appraise(self, agent: Agent, description: str) -> Offer:
        return Offer(price_of(int(description.rpartition(" ")[2]), AGENTS.index(agent.name)))

    async def work(self, agent: Agent, task: Task) -> Delivery:
        return Delivery(f"{task.id} words")


class Swarm:
    """A coordinator on a database, with Spark, and the lives that are under way in it."""

    def __init__(self, store: Database, coordinator: Coordinator, spark: Spark) -> None:
        self.store = store
        self.coordinator = coordinator
        self.spark = spark
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._numbers: Sequence[int] = ()
        store.listen(self._heard)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, path: Path) -> AsyncIterator[Swarm]:
        """Open `path`, with six agents that take any number of tasks and an owner with plenty of sats."""
        gc.set_threshold(*COLLECT)
        clock = SystemClock()
        async with Database.open(path, clock) as store, Nursery() as nursery:
            personas = [Persona(name, "counter", ("counting",), 20, ("count",)) for name in AGENTS]
            roster = Roster(store, personas)
            await roster.load()
            roster._agents = {one.name: Agent(one.name, one, 10 * IN_FLIGHT) for one in personas}
            identities = Identities(store, SystemIds(), owners=(), reserved=roster.claims)
            await Wallet(store, identities, simulated=True).grant(OWNER, GRANT)
            rules = Rules(budget=BUDGET)
            spark = Spark(store, roster.field_of)
            coordinator = Coordinator(
                store, roster, InstantWorker(), clock=clock, ids=SystemIds(), spawner=nursery, as_now=identities.as_now,
                rules=rules, foresee=spark.foresee,
            )  # fmt: skip
            pump = Pump(store, clock, [spark], lambda _: None)
            store.listen(pump.heard)
            await spark.load()
            await pump.enroll()
            nursery.spawn(coordinator.run(), "clock")
            nursery.spawn(pump.run(), "events")
            yield cls(store, coordinator, spark)

    def _heard(self, events: list[Event]) -> None:
        for event in events:
            if event.kind is Kind.TASK_SETTLED and event.task in self._ends:
                self._ends.pop(event.task).set_result(None)

    async def live(self, count: int, in_flight: int = IN_FLIGHT) -> None:
        """Take `count` tasks from post to payout, `in_flight` at a time."""
        numbers = iter(range(1, count + 1))

        async def caller() -> None:
            for number in numbers:
                order = Order(CALLER, OWNER, words(number), f"bench/{number}")
                task = await self.coordinator.post(order)
                end = self._ends[task.id] = asyncio.get_running_loop().create_future()
                await end

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(caller())
        while self.spark.insight(0, bool).record.ends < count:  # it trails, by a batch at most
            await self.store.write(lambda _: None)


async def _ours(path: Path, count: int, in_flight: int) -> float:
    async with Swarm.running(path) as swarm:
        begun = time.perf_counter()
        await swarm.live(count, in_flight)
        return time.perf_counter() - begun


def _founded(path: Path) -> None:
    """A database with roster and grant, and no task yet."""

    async def found() -> None:
        async with Swarm.running(path):
            pass

    asyncio.run(found())


def ours(count: int, in_flight: int = IN_FLIGHT) -> float:
    """Lives a second of the product."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        path = Path(folder) / "hub.db"
        _founded(path)
        seconds = asyncio.run(_ours(path, count, in_flight))
        check(path, count)
        return count / seconds


def plain(count: int, together: int | None) -> float:
    """Lives a second of the plain writer: `together` lives a commit, or (None) five commits a life."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        path = Path(folder) / "hub.db"
        _founded(path)
        with closing(connect(path)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "the reference must be durable too"
            writer = PlainWriter(connection)
            begun = time.perf_counter()
            if together is None:
                writer.by_step(1, count)
            else:
                writer.by_commit(1, count, together=together)
            seconds = time.perf_counter() - begun
        check(path, count)
        return count / seconds


def check(path: Path, count: int) -> None:
    """The rows of `count` lives are there, and the books prove."""
    with closing(connect_reader(path)) as connection:
        for table, each in PER_LIFE.items():
            base = {"account": 3, "txn": 1, "posting": 2, "event": 1, "applied": 1}.get(table, 0)
            (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - constants
            assert found == base + each * count, f"{table} has {found} rows after {count} lives"
        assert UnitOfWork(connection).books.prove().entries == 1 + 2 * count


def same_rows(count: int = 7) -> int:
    """Prove that both write the same rows: every table, every column that holds no time and no random. How many rows."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        mine, theirs = (Path(folder) / name / "hub.db" for name in ("ours", "plain"))
        mine.parent.mkdir()
        theirs.parent.mkdir()
        _founded(mine)
        _founded(theirs)
        asyncio.run(_ours(mine, count, 1))
        with closing(connect(theirs)) as connection:
            PlainWriter(connection).by_step(1, count)
        dumps = [dump(path) for path in (mine, theirs)]
        for table, rows in dumps[0].items():
            assert rows == dumps[1][table], f"{table} differs: {rows} is not {dumps[1][table]}"
        return sum(len(rows) for rows in dumps[0].values())


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table's rows, without what holds the time."""
    with closing(connect_reader(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {}
        for table in sorted(tables):
            rows = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - from the schema
            names = [column[0] for column in rows.description]
            kept = [place for place, name in enumerate(names) if name not in _VARIES]
            found[table] = sorted(
                (tuple(_timeless(row[place]) for place in kept) for row in rows.fetchall()), key=repr
            )  # fmt: skip
        return found


def _timeless(value: object) -> object:
    return value.partition('"closes_at"')[0] if isinstance(value, str) else value


class Hops(NamedTuple):
    """What some lives cost: hand-overs to the database thread, commits, and the functions in them."""

    hops: int
    commits: int
    writes: int


def hops(count: int, in_flight: int) -> Hops:
    """Count the hand-overs where they happen (aiosqlite's queue), and check that the database counts the same."""

    async def run(path: Path) -> Hops:
        async with Swarm.running(path) as swarm:
            store, thread = swarm.store, swarm.store._writer
            before = (store.hops, store.commits, store.writes)
            handed = 0
            execute = thread._execute

            async def counted(*work: object) -> object:
                nonlocal handed
                handed += 1
                return await execute(*work)  # type: ignore[no-untyped-call]

            with mock.patch.object(thread, "_execute", counted):
                await swarm.live(count, in_flight)
            after = (store.hops, store.commits, store.writes)
            found = Hops(*(now - then for now, then in zip(after, before, strict=True)))
            assert found.hops == handed, f"the database counted {found.hops} hops, and {handed} were made"
            return found

    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(run(Path(folder) / "hub.db"))
