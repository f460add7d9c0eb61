"""What a task costs where a million were done before: the real coordinator on a database with so long a past, against a short one.

The past is loaded in bulk into the real schema, spread over a year, as a hub leaves it: books, tasks and bids for ever, the rest
for as long as it is kept (`adapters/sqlite/retention.py`). The books of a short one are proved, so that what is loaded is whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from adapters.clockwork import SystemClock
from adapters.sqlite.connection import connect, connect_reader
from adapters.sqlite.retention import DAY, Retention
from adapters.sqlite.unit_of_work import UnitOfWork
from bot.app import build
from bot.parts.looks import DATABASE
from bot.views import PAGE
from core.swarm.orders import Order
from core.swarm.persona import Persona
from core.swarm.task import Status
from tests.bench import lives, plain
from tests.bench.plain import ACCOUNT, AGENTS, BUDGET, OWNER, price_of, score_of, words
from tests.scenario.bot import Console, _served, settings

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from pathlib import Path

    from bot.app import App

T = TypeVar("T")

SHORT, LONG = 1_000, 1_000_000
YEAR = 365 * DAY
CHUNK = 20_000
KEPT = {"event": 90 * DAY, "applied": 30 * DAY, "inbound": 30 * DAY, "outgoing": 30 * DAY, "spend": 2 * DAY}
"""How long rows stay."""

LOOKS = ("/agents", "/agent ann", "/market", "/status", "/balance", "/history", "/show T-500", "/bids T-500")
READ_APART = frozenset({"a start", "a sweep"})
"""What holds up nobody, or may take a while."""

IN_FLIGHT = 16


def load(folder: Path, count: int) -> None:
    """A data folder with `count` finished tasks, the last of them just now."""
    asyncio.run(_founded(folder))
    path = folder / "data" / DATABASE
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        loader = _Loader(connection, count)
        for first in range(1, count + 1, CHUNK):
            connection.execute("BEGIN IMMEDIATE")
            loader.load(range(first, min(first + CHUNK, count + 1)))
            connection.execute("COMMIT")
        loader.end()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if count <= SHORT:
        with closing(connect_reader(path)) as connection:
            assert UnitOfWork(connection).books.prove().entries >= 2 * count


@asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[App]:
    personas = [Persona(name, "counter", ("counting",), 20, ("count",)) for name in AGENTS]
    async with build(settings(folder, grant=10**9), roster=personas) as app:
        yield app


async def _founded(folder: Path) -> None:
    async with _hub(folder):
        pass


class _Loader:
    """Writes tasks that are done into an open database, table by table."""

    def __init__(self, connection: sqlite3.Connection, count: int) -> None:
        self._run = connection.execute
        self._many = connection.executemany
        self._now = time.time_ns() // 1_000_000
        self._count = count
        ((self._entry, self._head),) = connection.execute("SELECT id, hash FROM txn ORDER BY id DESC LIMIT 1")
        self._run("INSERT OR IGNORE INTO account (name, kind, floor) VALUES ('treasury', 'liability', 0)")

    def _at(self, number: int) -> int:
        return self._now - YEAR * (self._count - number) // self._count

    def _recent(self, numbers: range, table: str) -> range:
        """Those of which a table still has rows."""
        first = self._count - KEPT[table] * self._count // YEAR
        return range(max(numbers.start, first + 1), numbers.stop)

    def load(self, numbers: range) -> None:
        """So many tasks."""
        self._books(numbers)
        self._tasks(numbers)
        self._rest(numbers)

    def _books(self, numbers: range) -> None:
        self._many(
            "INSERT INTO hold (id, account, target, amount, task, state, at, hash) VALUES (?, ?, ?, ?, ?, 'posted', ?, ?)",
            (
                (n, ACCOUNT, f"escrow:{n}", BUDGET, n, self._at(n), plain._seal(n, n, "posted", self._at(n)))
                for n in numbers
            ),
        )  # fmt: skip
        self._run("UPDATE account SET held = 0 WHERE name = ?", (ACCOUNT,))
        self._many(
            "INSERT INTO account (name, kind, floor) VALUES (?, 'liability', 0)", ((f"escrow:{n}",) for n in numbers)
        )
        entries = [entry for number in numbers for entry in self._entries(number)]
        self._many(plain._TXN, (row for row, _ in entries))
        self._many(plain._POSTING, (posting for _, postings in entries for posting in postings))

    def _entries(self, number: int) -> Iterator[tuple[tuple[object, ...], list[tuple[int, str, int]]]]:
        price, place, at = *_won(number), self._at(number)
        for kind, source, target, actor, why in (
            ("escrow", ACCOUNT, f"escrow:{number}", "hub", "price of the winning bid"),
            ("settle", f"escrow:{number}", "treasury", AGENTS[place], f"paid to {AGENTS[place]}"),
        ):
            self._entry += 1
            key, postings = f"task:{number}:1:{kind}", [(source, -price), (target, price)]
            asked = plain._json((key, kind, number, actor, why, sorted(postings), None))
            request = hashlib.sha256(asked.encode()).digest()
            link = self._head + self._entry.to_bytes(8, "big") + at.to_bytes(8, "big", signed=True) + request
            digest = hashlib.sha256(link).digest()
            row = (self._entry, key, request, kind, number, actor, why, at, self._head, digest)
            self._head = digest
            yield row, [(self._entry, account, amount) for account, amount in postings]

    def _tasks(self, numbers: range) -> None:
        self._many(
            "INSERT INTO task (id, requester, account, conversation, description, status, budget, pick, attempt, attempts,"
            " posted_at, deadline, agent, price, lease, result, ended_at, field, awarded_at)"
            " VALUES (?, ?, ?, ?, ?, 'settled', ?, 'auto', 1, 3, ?, ?, ?, ?, ?, ?, ?, 'counting', ?)",
            (self._task(number) for number in numbers),
        )
        self._many(
            plain._BID,
            (
                (n, agent, price_of(n, place), score_of(price_of(n, place), n), self._at(n))
                for n in numbers
                for place, agent in enumerate(AGENTS)
            ),
        )

    def _task(self, number: int) -> tuple[object, ...]:
        price, place, at = *_won(number), self._at(number)
        return (
            number, OWNER, ACCOUNT, OWNER, words(number), BUDGET, at, at + DAY, AGENTS[place], price, f"lease{number:011}",
            f"{number} words", at, at,
        )  # fmt: skip

    def _rest(self, numbers: range) -> None:
        """What is forgotten in time."""
        self._many(
            plain._EVENT,
            (
                (kind, n, agent, self._at(n), '{"attempt":1}')
                for n in self._recent(numbers, "event")
                for kind, agent in (
                    ("TaskPosted", None), ("AuctionOpened", None), *(("BidPlaced", agent) for agent in AGENTS),
                    *((kind, AGENTS[0]) for kind in ("TaskAwarded", "TaskStarted", "TaskDelivered", "TaskSettled")),
                )
            ),
        )  # fmt: skip
        self._many(plain._APPLIED, ((f"past/{n}", str(n), self._at(n)) for n in self._recent(numbers, "applied")))
        self._many(
            "INSERT INTO inbound (surface, account, update_id, conversation, actor, private, text, at, done)"
            " VALUES ('console', '', ?, ?, ?, 1, ?, ?, 1)",
            ((str(n), OWNER, OWNER, f"/task {words(n)}", self._at(n)) for n in self._recent(numbers, "inbound")),
        )
        self._many(
            "INSERT INTO outgoing (surface, conversation, body, state, at, task) VALUES ('console', ?, ?, 'sent', ?, ?)",
            (
                (OWNER, f'{{"text": "{what} {words(n)}", "data": {{"ok": true}}}}', self._at(n), n)
                for n in self._recent(numbers, "outgoing")
                for what in ("posted", "done")
            ),
        )
        for scope in ("", "class:counting"):
            self._many(
                plain._COUNT,
                (
                    (f"task:{n}:1", scope, ACCOUNT, _won(n)[0], _won(n)[0], self._at(n))
                    for n in self._recent(numbers, "spend")
                ),
            )

    def end(self) -> None:
        """What the agents did, and what the numbers add up to."""
        each = self._count // len(AGENTS)
        self._many(
            plain._REPUTATION.replace(", 1, 0,", f", {each}, 0,"), ((a, each * 22_000, self._now) for a in AGENTS)
        )
        self._run("INSERT OR REPLACE INTO cursor SELECT 'notify', coalesce(max(id), 0) FROM event")


def _won(number: int) -> tuple[int, int]:
    """The price of the cheapest agent, and its place."""
    return min((price_of(number, place), place) for place in range(len(AGENTS)))


class Cost(NamedTuple):
    """What tasks cost: milliseconds by the clock, and of processor time."""

    wall: float
    cpu: float


def costs(folders: tuple[Path, ...], rounds: int, each: int) -> list[list[Cost]]:
    """Of each data folder in interleaved rounds, warm: `each` tasks, from post to payout."""

    async def measured() -> list[list[Cost]]:
        found: list[list[Cost]] = [[] for _ in folders]
        for number in range(-1, rounds):
            for folder, own in zip(folders, found, strict=True):
                async with lives.Swarm.running(folder / "data" / DATABASE) as swarm:
                    wall, cpu = time.perf_counter(), time.process_time()
                    await _live(swarm, each, f"{wall}")
                    took = Cost((time.perf_counter() - wall) * 1000 / each, (time.process_time() - cpu) * 1000 / each)
                if number >= 0:  # the first round warms up
                    own.append(took)
        return found

    return asyncio.run(measured())


async def _live(swarm: lives.Swarm, count: int, key: str) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            task = await swarm.coordinator.post(Order(lives.CALLER, OWNER, words(number), f"{key}/{number}"))
            end = swarm._ends[task.id] = asyncio.get_running_loop().create_future()
            await end

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(caller())


def looks(folders: tuple[Path, ...], rounds: int) -> dict[str, list[list[float]]]:
    """Milliseconds of a start, each look and a sweep, of each data folder in interleaved rounds."""
    found: dict[str, list[list[float]]] = {}

    async def measured(folder: Path, side: int) -> None:
        async def timed(what: str, it: Awaitable[T]) -> T:
            begun = time.perf_counter()
            ended = await it
            found.setdefault(what, [[] for _ in folders])[side].append((time.perf_counter() - begun) * 1000)
            return ended

        async with AsyncExitStack() as stack:
            app = await timed("a start", stack.enter_async_context(_hub(folder)))
            await timed("a sweep", Retention(app.store, SystemClock()).sweep())
            link = await stack.enter_async_context(_served(app, attach=True))
            console = Console(link)
            for line in LOOKS:
                await timed(line, console.say(line))
            for status in (None, Status.SETTLED, Status.CANCELLED):
                await timed(f"/tasks {status or ''}".strip(), app.hub.coordinator.tasks(status, None, PAGE + 1))

    for number in range(-1, rounds):
        for side, folder in enumerate(folders):
            asyncio.run(measured(folder, side))
        if number < 0:
            found.clear()
    return found
