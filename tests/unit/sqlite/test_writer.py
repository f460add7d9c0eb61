"""The one writer: group commits, errors that stay with their function, full disks, cancelled callers, readers apart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.connection import translate
from adapters.sqlite.writer import MAX_BATCH, Database
from core.errors import UserError
from core.events import Event, Kind
from core.store import DiskFull, NotWritten, StoreBusy, StoreClosed
from core.swarm.task import Status, Task
from tests.fakes import FakeClock, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork

    Look = Callable[[str], list[tuple[Any, ...]]]

KEYS = "SELECT key FROM applied ORDER BY key"
PATIENCE = 10
BIG = "x" * 400_000


class NotThis(UserError):
    """It does not want {what}."""


def mark(key: str, text: str = "") -> Callable[[UnitOfWork], str]:
    """A unit of work that leaves a row and an event."""

    def work(tx: UnitOfWork) -> str:
        tx.mark(key, text)
        tx.emit(Event(Kind.BOOK_OPENED, data={"key": key}))
        return key

    return work


def refuse(key: str) -> Callable[[UnitOfWork], str]:
    """One that leaves both, and then thinks better of it."""

    def work(tx: UnitOfWork) -> str:
        mark(key)(tx)
        raise NotThis(what=key)

    return work


async def all_of(*calls: Coroutine[Any, Any, object]) -> list[Any]:
    return list(await asyncio.gather(*calls, return_exceptions=True))


class Gate:
    """Holds a unit of work on the database thread between two of its writes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inside = asyncio.Event()
        self._open = threading.Event()

    def __call__(self, tx: UnitOfWork) -> str:
        tx.mark("first", "")
        self.stop()
        tx.mark("second", "")
        return "through"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._inside.set)
        assert self._open.wait(PATIENCE)

    async def reached(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._inside.wait()

    def open(self) -> None:
        self._open.set()


@asynccontextmanager
async def a_full_disk(store: Database) -> AsyncIterator[None]:
    """SQLite's own limit on pages: a real SQLITE_FULL."""

    async def limit(pages: int) -> int:
        (now,) = await store._writer.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        return int(now)

    (used,) = await store._writer.run(lambda c: c.execute("PRAGMA page_count").fetchone())
    assert await limit(used + 8) == used + 8
    try:
        yield
    finally:
        await limit(1_000_000)


# Group commit ------------------------------------------------------------------------------------------------------


async def test_writes_that_wait_together_share_one_commit_and_one_hop(store: Database) -> None:
    assert await all_of(*(store.write(mark(str(n))) for n in range(200))) == [str(n) for n in range(200)]
    assert (store.commits, store.hops) == (1, 1)


async def test_a_batch_has_a_limit(store: Database) -> None:
    await all_of(*(store.write(mark(str(n))) for n in range(MAX_BATCH + 1)))
    assert (store.commits, store.hops) == (2, 2)


async def test_a_write_on_disk_is_what_its_caller_is_told_of(store: Database, look: Look) -> None:
    for number in range(1, 6):
        await store.write(mark(str(number)))
        assert len(look(KEYS)) == number
        assert (store.commits, store.hops) == (number, number)


async def test_commits_wait_for_the_disk(store: Database) -> None:
    pragmas = [
        await store._writer.run(lambda c, name=name: c.execute(f"PRAGMA {name}").fetchone()[0])  # type: ignore[misc]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    ]
    assert pragmas == ["wal", 2, 1]  # 2 is FULL


async def test_a_unit_of_work_has_the_time_and_its_value_comes_back(store: Database, clock: FakeClock) -> None:
    assert await store.write(lambda tx: tx.now) == clock.now()
    clock.advance(5)
    assert await store.write(lambda tx: tx.now) == clock.now()
    assert await store.read(lambda tx: tx.now) == clock.now()


# Errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 1, 3])
async def test_an_error_undoes_its_own_function_and_no_other(store: Database, look: Look, others: int) -> None:
    heard: list[Event] = []
    store.listen(heard.extend)
    before = [store.write(mark(f"before {n}")) for n in range(others)]
    after = [store.write(mark(f"after {n}")) for n in range(others)]
    outcomes = await all_of(*before, store.write(refuse("no")), *after)
    assert isinstance(outcomes.pop(others), NotThis)
    kept = [f"before {n}" for n in range(others)] + [f"after {n}" for n in range(others)]
    assert outcomes == kept
    assert look(KEYS) == sorted((key,) for key in kept)
    assert [event.data["key"] for event in heard] == kept
    assert look("SELECT count(*) FROM event") == [(len(kept),)]


@pytest.mark.parametrize("wrote", [False, True])
async def test_only_after_an_error_that_leaves_something_to_undo_all_run_again(
    store: Database, look: Look, *, wrote: bool
) -> None:
    runs: list[str] = []

    def kept(tx: UnitOfWork) -> str:
        runs.append("kept")
        return mark("kept")(tx)

    def refused(tx: UnitOfWork) -> None:
        runs.append("refused")
        if wrote:
            tx.mark("undone", "")
        raise NotThis(what="this")

    outcomes = await all_of(store.write(kept), store.write(refused), store.write(mark("after")))
    assert [type(outcome) for outcome in outcomes] == [str, NotThis, str]
    assert look(KEYS) == [("after",), ("kept",)]
    assert runs == ["kept", "refused"] * (2 if wrote else 1)


async def test_who_was_just_woken_writes_in_the_next_batch_and_not_in_the_one_after_it(store: Database) -> None:
    async def twice() -> None:
        await store.write(mark("first"))
        await store.write(mark("second"))

    async def meanwhile() -> None:
        while not store.hops:
            await turn()
        await store.write(mark("other"))

    await asyncio.gather(twice(), meanwhile())
    assert (store.writes, store.commits) == (3, 2)


async def test_a_freeze_counts_for_who_comes_next_unless_it_was_undone(store: Database) -> None:
    """The rules of spending are read once a transaction."""

    def frozen(tx: UnitOfWork) -> bool:
        return tx.limits.rules().freeze is not None

    def freeze(tx: UnitOfWork) -> bool:
        tx.limits.freeze("console:owner", tx.now)
        return frozen(tx)

    def undone(tx: UnitOfWork) -> None:
        assert freeze(tx)
        raise NotThis(what="a freeze")

    def limit(tx: UnitOfWork) -> dict[str, int]:
        tx.limits.put_rule("user.day", 1_000)
        return dict(tx.limits.rules().amounts)

    outcomes = await all_of(*map(store.write, (frozen, undone, frozen, limit, freeze, frozen)))
    assert isinstance(outcomes.pop(1), NotThis)
    assert outcomes == [False, False, {"user.day": 1_000}, True, True]
    assert store.commits == 1

    def thaw(tx: UnitOfWork) -> bool:
        assert frozen(tx)
        tx.limits.thaw()
        return frozen(tx)

    assert await all_of(*map(store.write, (thaw, frozen))) == [False, False]


async def test_the_number_of_a_task_that_was_undone_is_given_again(store: Database) -> None:
    """Which was the last is read once a transaction; tasks are counted by it."""

    def post(tx: UnitOfWork) -> int:
        number = tx.tasks.next_id()
        tx.tasks.add(
            Task(
                id=number, requester="a", account="user:a", conversation="c", status=Status.OPEN, description="d", budget=1,
                hold=None, pick="auto", only=None, attempt=1, attempts=1, posted_at=0, deadline=9,
            )
        )  # fmt: skip
        return number

    def undone(tx: UnitOfWork) -> None:
        post(tx)
        raise NotThis(what="a task")

    found = await all_of(*map(store.write, (post, undone, post)))
    assert [found[0], type(found[1]), found[2], await store.write(post)] == [1, NotThis, 2, 3]
    assert await store.read(lambda tx: tx.tasks.count(None)) == 3


async def test_events_have_the_numbers_of_their_rows(store: Database, look: Look) -> None:
    heard: list[Event] = []
    store.listen(heard.extend)

    def many(tx: UnitOfWork) -> None:
        for number in range(40):  # more than one statement writes
            tx.emit(Event(Kind.TASK_POSTED, number, data={"n": number}))

    await all_of(store.write(mark("a")), store.write(refuse("b")), store.write(many), store.write(mark("c")))
    rows = look("SELECT id, kind, task, at FROM event ORDER BY id")
    assert [(event.id, event.kind.value, event.task, event.at) for event in heard] == rows
    assert len(rows) == 42


async def test_a_bug_in_a_function_reaches_its_caller_as_it_is(store: Database) -> None:
    def bug(tx: UnitOfWork) -> None:
        raise ZeroDivisionError

    def nonsense(tx: UnitOfWork) -> None:
        tx._connection.execute("SELECT * FROM nowhere")

    outcomes = await all_of(store.write(bug), store.write(nonsense), store.write(mark("fine")))
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, sqlite3.OperationalError, str]


async def test_a_bug_that_no_future_holds_ends_neither_writer_nor_reader(store: Database) -> None:
    """Python lets no `StopIteration` out of a coroutine either."""

    def bug(tx: UnitOfWork) -> object:
        return next(iter(()))

    async with asyncio.timeout(PATIENCE):
        outcomes = await all_of(store.write(bug), store.write(mark("fine")), store.read(bug))
        assert [type(outcome) for outcome in outcomes] == [RuntimeError, str, RuntimeError]
        assert await store.write(mark("and on")) == "and on"


async def test_listeners_hear_what_is_already_on_disk(store: Database, look: Look) -> None:
    seen: list[tuple[int, int]] = []

    def heard(events: list[Event]) -> None:
        seen.append((len(events), look("SELECT count(*) FROM event")[0][0]))

    store.listen(heard)
    await all_of(store.write(mark("a")), store.write(mark("b")))
    await store.write(lambda tx: tx.mark("silent", ""))
    await store.write(mark("c"))
    assert seen == [(2, 2), (1, 3)]


async def test_a_listener_that_fails_stops_neither_the_writer_nor_the_others(store: Database) -> None:
    seen: list[Event] = []

    def fails(events: list[Event]) -> None:
        raise RuntimeError(len(events))

    store.listen(fails)
    store.listen(seen.extend)
    await store.write(mark("a"))
    await store.write(mark("b"))
    assert len(seen) == 2


# The disk ----------------------------------------------------------------------------------------------------------


def fill_row(tx: UnitOfWork) -> None:
    """One row that is too large: SQLite ends the whole transaction."""
    tx.mark("half", "")
    tx.mark("full", BIG)


def fill_rows(tx: UnitOfWork) -> None:
    """Many rows in one statement: SQLite undoes the statement alone."""
    tx.mark("half", "")
    tx._connection.execute(
        "INSERT INTO applied WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)"
        " SELECT 'full ' || n, ?, 0 FROM n",
        (BIG[:5000],),
    )


@pytest.mark.parametrize("fill", [fill_row, fill_rows])
async def test_a_full_disk_fails_what_hit_it_and_runs_the_others_again(
    store: Database, look: Look, fill: Callable[[UnitOfWork], None]
) -> None:
    heard: list[Event] = []
    store.listen(heard.extend)
    async with a_full_disk(store):
        outcomes = await all_of(store.write(mark("a")), store.write(fill), store.write(mark("b")))
        assert isinstance(outcomes[1], DiskFull)
        assert str(outcomes[1]) == (
            "The disk that holds the data folder is full or failing (database or disk is full)."
            " Nothing was changed; free some space and try again."
        )
        assert [outcomes[0], outcomes[2]] == ["a", "b"]
        assert look(KEYS) == [("a",), ("b",)]
        assert [event.data["key"] for event in heard] == ["a", "b"]
        assert (store.hops, store.commits) == (1, 1)
        with pytest.raises(DiskFull):
            await store.write(fill)
        assert look(KEYS) == [("a",), ("b",)]
    await store.write(fill)
    assert ("half",) in look(KEYS)
    assert look("PRAGMA integrity_check") == [("ok",)]


async def test_a_lock_of_another_program_is_named_and_everybody_may_try_again(store: Database, look: Look) -> None:
    await store._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
    with closing(sqlite3.connect(store._path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        outcomes = await all_of(store.write(mark("a")), store.write(mark("b")))
        assert [type(outcome) for outcome in outcomes] == [StoreBusy, StoreBusy]
        assert str(outcomes[0]) == (
            "Another program holds the hub's database (database is locked)."
            " Nothing was changed; close that program and try again."
        )
        another.execute("ROLLBACK")
    assert await store.write(mark("a")) == "a"
    assert look(KEYS) == [("a",)]


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL]
)
def test_what_can_be_written_later_has_one_name(code: int) -> None:
    error = sqlite3.OperationalError("not now")
    error.sqlite_errorcode = code
    assert isinstance(translate(error), NotWritten)


async def test_a_refusal_that_came_of_undone_writes_is_decided_anew(store: Database, look: Look) -> None:
    """`b` is refused because of `a`; then the transaction breaks, and `a` does not come again."""
    runs: list[str] = []

    def a(tx: UnitOfWork) -> None:
        runs.append("a")
        if runs.count("a") > 1:
            raise NotThis(what="a second time")
        tx.mark("a", "")

    def b(tx: UnitOfWork) -> str:
        if tx.applied("a") is not None:
            raise NotThis(what="b after a")
        return mark("b")(tx)

    async with a_full_disk(store):
        outcomes = await all_of(store.write(a), store.write(b), store.write(fill_row))
    assert [type(outcome) for outcome in outcomes] == [NotThis, str, DiskFull]
    assert look(KEYS) == [("b",)]


async def test_nobody_is_woken_by_a_commit_that_fails_but_with_its_error(store: Database, look: Look) -> None:
    heard: list[Event] = []
    store.listen(heard.extend)

    def poison(tx: UnitOfWork) -> None:
        """Breaks a rule that SQLite checks at the commit only."""
        tx._connection.execute("PRAGMA defer_foreign_keys = ON")
        tx._connection.execute("INSERT INTO bid (task, attempt, agent, at) VALUES (404, 1, 'echo', 0)")

    outcomes = await all_of(store.write(mark("a")), store.write(poison), store.write(mark("b")))
    assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 3
    assert heard == []
    assert (look(KEYS), store.commits) == ([], 0)
    assert await store.write(mark("a")) == "a"


async def test_callers_sleep_until_the_commit(store: Database, look: Look) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(store.write(mark("early")))
        group.create_task(store.write(gate))
        await gate.reached()
        for _ in range(20):
            await turn()
        assert not first.done(), "it ran, and its commit is to come"
        assert look(KEYS) == []
        gate.open()
    assert look(KEYS) == [("early",), ("first",), ("second",)]


# Cancelled callers -------------------------------------------------------------------------------------------------


async def test_a_caller_that_leaves_while_it_runs_leaves_all_of_it(store: Database, look: Look) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        caller = group.create_task(store.write(gate))
        await gate.reached()
        caller.cancel()
        await turn()
        gate.open()
        await store.write(mark("next"))
    assert look(KEYS) == [("first",), ("next",), ("second",)]


async def test_a_caller_that_leaves_before_its_turn_leaves_nothing(store: Database, look: Look) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate))
        await gate.reached()
        caller = group.create_task(store.write(mark("never")))
        await turn()
        caller.cancel()
        gate.open()
        await store.write(mark("next"))
    assert look(KEYS) == [("first",), ("next",), ("second",)]


# Readers -----------------------------------------------------------------------------------------------------------


async def test_a_reader_cannot_write(store: Database, look: Look) -> None:
    await store.write(mark("a"))
    with pytest.raises(Exception, match="attempt to write a readonly database"):
        await store.read(lambda tx: tx.mark("b", ""))
    assert look(KEYS) == [("a",)]


async def test_a_reader_sees_what_is_committed_and_does_not_wait_for_the_writer(store: Database) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(store.write(gate))
        await gate.reached()
        assert await store.read(lambda tx: tx.applied("first")) is None
        gate.open()
        await writing
        assert await store.read(lambda tx: tx.applied("first")) == ""


async def test_a_reader_keeps_its_snapshot(store: Database) -> None:
    gate = Gate()

    def twice(tx: UnitOfWork) -> tuple[str | None, str | None]:
        before = tx.applied("a")
        gate.stop()
        return before, tx.applied("a")

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(store.read(twice))
        await gate.reached()
        await store.write(mark("a"))
        gate.open()
    assert reading.result() == (None, None)
    assert await store.read(lambda tx: tx.applied("a")) == ""


async def test_a_reader_that_fails_leaves_the_next_one_well(store: Database) -> None:
    with pytest.raises(NotThis):
        await store.read(refuse_to_look)
    assert await store.read(lambda tx: tx.last_event()) == 0


def refuse_to_look(tx: UnitOfWork) -> None:
    raise NotThis(what="to look")


# Life --------------------------------------------------------------------------------------------------------------


async def test_it_says_since_when_it_is_busy(store: Database, clock: FakeClock) -> None:
    assert store.busy_since is None
    gate = Gate()
    began = clock.now()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate))
        await gate.reached()
        clock.advance(9000)
        assert store.busy_since == began
        gate.open()
    assert store.busy_since is None


async def test_what_was_queued_is_written_before_it_closes_and_nothing_after(path: Path, look: Look) -> None:
    async with asyncio.TaskGroup() as group:
        async with Database.open(path, FakeClock()) as store:
            late = [group.create_task(store.write(mark(str(n)))) for n in range(3)]
            await turn()
        with pytest.raises(StoreClosed):
            await store.write(mark("too late"))
        for read in (store.read, store.read_apart):
            with pytest.raises(StoreClosed):
                await read(lambda tx: tx.last_event())
    assert [task.result() for task in late] == ["0", "1", "2"]
    assert look(KEYS) == [("0",), ("1",), ("2",)]


async def test_everything_is_there_after_reopening(path: Path) -> None:
    async with Database.open(path, FakeClock()) as store:
        await store.write(mark("a", "kept"))
        number = await store.read(lambda tx: tx.last_event())
    async with Database.open(path, FakeClock()) as store:
        assert await store.read(lambda tx: (tx.applied("a"), tx.last_event())) == ("kept", number)
        await store.write(mark("b"))
        assert await store.read(lambda tx: tx.last_event()) == number + 1
