"""A hub that can be killed at any commit, and built again from what the disk held at that moment.

The parts are the real ones: coordinator, roster, ledger, and the SQLite writer on a real file. The test's are time,
names, the agents' own work, and how long the database takes: its functions run on the loop, with as many turns before and
after each as `pace` says, so that an example is the same at every run and races are found by search. A kill takes an
image of the database files as they are (the write-ahead log included), wakes nobody and lets nothing be written after
it; the next hub starts from the image, as after `kill -9`.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from adapters.clockwork import Nursery
from adapters.sqlite.unit_of_work import UnitOfWork
from adapters.sqlite.writer import Database
from bot.approvals import Approvals
from bot.links import CARRIES, Links, left_behind
from core.automation.notify import Notices
from core.chat import Role
from core.errors import Unavailable
from core.money import to_msat
from core.pairing import Pairing
from core.swarm.coordinator import Coordinator
from core.swarm.orders import Rules
from core.swarm.persona import Persona
from core.swarm.ports import Decline, Delivery, Offer
from core.swarm.roster import Roster
from core.tokens import Identities
from core.wallet.ledger import EXTERNAL, transfer, user_account
from core.wallet.spending import Spending
from tests.blank import blank
from tests.fakes import turn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

    from core.ports import Clock, IdSource
    from core.swarm.ports import Agent
    from core.swarm.task import Task
    from tests.fakes import FakeClock, IdleSelector

R = TypeVar("R")

SECOND = 1000
RULES = Rules(
    window=5 * SECOND,
    lease=60 * SECOND,
    review=3600 * SECOND,
    deadline=24 * 3600 * SECOND,
    attempts=2,
    budget=to_msat(200),
)
PERSONAS = tuple(Persona(name, "work", ("work",), 40, ("work",)) for name in ("echo", "quill", "forge"))


class Killed(BaseException):
    """The process ended here."""


class Blow(StrEnum):
    """What befalls a commit."""

    BEFORE = "killed before it"
    AFTER = "killed after it"
    FULL = "refused by a full disk"


class MortalDatabase(Database):
    """The real store, with a blow that falls on the `countdown`-th commit from now."""

    blow: Blow | None = None
    countdown = 0
    image: Path
    dead = False
    struck = False

    def paced(self, pace: Iterator[int]) -> None:
        """From here on, run on the loop at this pace."""
        self._writer = cast("Any", _Paced(self._writer, pace))
        self._reader = cast("Any", _Paced(self._reader, pace))

    def _run(self, connection: sqlite3.Connection, batch: list[Any]) -> list[Any]:
        if self._tx is None:
            self._tx = UnitOfWork(connection)
        return super()._run(cast("sqlite3.Connection", _Trap(connection, self)), batch)

    def die(self) -> None:
        """The process ends here. Raises `Killed`."""
        if not self.dead:
            self.dead = True
            self._take_image()
        raise Killed

    def _take_image(self) -> None:
        """Copy the files as they are now: what a killed process leaves behind."""
        self.image.parent.mkdir()
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{self._path}{suffix}", f"{self.image}{suffix}")


class _Paced:
    """Stands for a database thread: one function after the other, each some turns of the loop away in both directions."""

    def __init__(self, thread: Any, pace: Iterator[int]) -> None:
        self._connection: sqlite3.Connection = thread._conn
        self._pace = pace
        self._order = asyncio.Lock()

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        async with self._order:
            for _ in range(next(self._pace)):
                await turn()
            result = work(self._connection)
            for _ in range(next(self._pace)):
                await turn()
            return result


class _Trap:
    """The writer's connection, watched for its COMMIT."""

    def __init__(self, connection: sqlite3.Connection, store: MortalDatabase) -> None:
        self._connection = connection
        self._store = store

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        return self._connection.total_changes

    def execute(self, sql: str) -> None:
        store = self._store
        if store.dead:
            raise Killed  # it died elsewhere than at a commit
        # The blow is disarmed before it falls: it falls once.
        falls = sql == "COMMIT" and store.blow is not None and store.countdown == 0
        if sql == "COMMIT":
            store.countdown = max(0, store.countdown - 1)
        blow = store.blow if falls else None
        if blow is not None:
            store.blow, store.struck = None, True
        if blow is Blow.FULL:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        if blow is Blow.BEFORE:
            store.die()
        self._connection.execute(sql)
        if blow is Blow.AFTER:
            store.die()


@dataclass
class Desk:
    """Does the agents' work as the test decides: `asks` what a description is worth to each persona, `benches` what is
    being worked at. Work waits until `finish` or `fail`."""

    asks: dict[str, Mapping[str, int | None]] = field(default_factory=dict)
    benches: dict[tuple[int, int], asyncio.Future[Delivery]] = field(default_factory=dict)
    doubled: list[tuple[int, int]] = field(default_factory=list)

    async def ready(self, agent: Agent) -> str | None:
        """See `Worker`."""
        return None

    async def appraise(self, agent: Agent, description: str) -> Offer | Decline | None:
        """See `Worker`: sats, or None for what is not in the agent's field; 0 is a refusal."""
        sats = self.asks[description].get(agent.persona.name)
        if sats is None:
            return None
        return Offer(to_msat(sats)) if sats else Decline("it does not want to")

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        bench = (task.id, task.attempt)
        if bench in self.benches:
            self.doubled.append(bench)
        self.benches[bench] = asyncio.get_running_loop().create_future()
        try:
            return await self.benches[bench]
        finally:
            self.benches.pop(bench, None)

    def finish(self, bench: tuple[int, int]) -> None:
        """Hand in a result."""
        self.benches[bench].set_result(Delivery(f"attempt {bench[1]} at T-{bench[0]}"))

    def fail(self, bench: tuple[int, int], *, crash: bool) -> None:
        """Fail with an error that the hub knows, or with a bug."""
        error = RuntimeError("a bug in a skill") if crash else Unavailable(why="the model is down")
        self.benches[bench].set_exception(error)


class Hub:
    """One life of a hub, from start to kill or stop."""

    def __init__(
        self, path: Path, clock: FakeClock, ids: IdSource, selector: IdleSelector, pace: Iterator[int]
    ) -> None:
        self.path = path
        self.desk = Desk()
        self.store: MortalDatabase
        self._opening = True
        self.coordinator: Coordinator
        self.spending: Spending
        self.roster: Roster
        self._clock = clock
        self._ids = ids
        self._selector = selector
        self._pace = pace
        self._ready = False
        self._stop = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    @property
    def dead(self) -> bool:
        """Whether a kill has struck."""
        return self.store.dead

    async def start(self, blow: Blow | None = None) -> None:
        """Build everything and recover, as far as a blow lets it."""
        self._selector.busy = lambda: self._opening
        self._life = asyncio.get_running_loop().create_task(self._live(blow))
        await self._selector.idle()
        if self._life.done():
            await self._life
        assert self._ready or self.dead, "a hub that starts is up, or dead"

    async def run(self, *calls: Coroutine[Any, Any, object]) -> list[object]:
        """Run calls side by side until nothing can go on: a result, an error, or None where a kill left it unanswered."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(call) for call in calls]
        await self._selector.idle()
        if self.store.struck and not self.dead and not all(task.done() for task in tasks):
            self._clock.advance(2 * SECOND)  # what a full disk refused is tried again when there may be room
            await self._selector.idle()
        assert self.dead or all(task.done() for task in tasks), "a command never came back"
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return [None if isinstance(outcome, asyncio.CancelledError) else outcome for outcome in outcomes]

    async def end(self) -> None:
        """Take the dead or living hub apart."""
        assert self._life is not None
        self._stop.set()
        if self.dead:
            self._life.cancel()
        with suppress(Killed, asyncio.CancelledError):
            await self._life

    async def _opened(self, store: Database, blow: Blow | None) -> None:
        """The store is there: from here on it can be killed."""
        assert isinstance(store, MortalDatabase)
        self.store = store
        store.image = self.path.parent.with_name(f"{int(self.path.parent.name) + 1:03}") / self.path.name
        # What a killed process wrote stays in the system's cache: only a power cut needs the disk to be waited for.
        await store._writer.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))
        store.paced(self._pace)
        store.blow = blow
        self._opening = False

    async def _live(self, blow: Blow | None) -> None:
        async with MortalDatabase.open(self.path, self._clock) as store, Nursery() as nursery:
            await self._opened(store, blow)
            self.roster = Roster(store, PERSONAS)
            identities = Identities(store, self._ids, owners=(), reserved=self.roster.claims)
            self.coordinator = Coordinator(
                store, self.roster, self.desk, clock=self._clock, ids=self._ids, spawner=nursery, as_now=identities.as_now,
                rules=RULES,
            )  # fmt: skip
            self.spending = Spending(store, identities, self.roster)
            store.listen(self.coordinator.heard)
            await self.roster.load()
            nursery.spawn(self.coordinator.run(), "clock")
            approvals = Approvals(store, self._clock, identities, send=_to_nobody, close=_to_nobody)
            pairing = Pairing(store, self._ids, identities, _to_nobody, has=left_behind)
            notices = Notices(store, self._clock, identities, None, lambda _: [], _to_nobody)
            self.approvals, self.links = (
                approvals,
                Links(store, self._ids, identities, pairing, approvals, notices, send=_to_nobody),
            )
            approvals.carries(CARRIES, self.links.carry)
            await identities.refresh()
            await self.coordinator.recover()
            await approvals.recover(nursery)
            self._ready = True
            await self._stop.wait()


def _to_nobody(*_: object) -> None:
    """No surface is there."""


async def new_book(path: Path, clock: Clock, grants: Mapping[str, int]) -> None:
    """Make a database whose people have been let in and granted sats."""

    def work(tx: UnitOfWork) -> None:
        for name, sats in grants.items():
            tx.tokens.give(name, Role.MEMBER, "", tx.now)
            tx.ledger.append(
                transfer(
                    f"book:grant:{name}", "grant", EXTERNAL, user_account(name), to_msat(sats),
                    task=None, actor="hub", reason="to start with",
                )
            )  # fmt: skip

    async with MortalDatabase.open(blank(path), clock) as store:
        await store.write(work)
