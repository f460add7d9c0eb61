"""The one writer. Units of work queue here; each batch is one thread hop, one transaction and one durable commit.

A function's error undoes its own function alone. Most raise before they wrote anything, and leave nothing to undo; after one
that had written, the batch is run anew with a savepoint for each. An error that ends the whole transaction (disk full, I/O) fails
the function it hit and runs the others again; nobody is woken before the commit. Readers have connections of their own and
never wait for the writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiosqlite

from adapters.clockwork import running
from adapters.sqlite.connection import connect, connect_reader, translate
from adapters.sqlite.unit_of_work import UnitOfWork
from core.store import StoreClosed, gathered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from core.events import Event
    from core.ports import Clock

R = TypeVar("R")

log = logging.getLogger(__name__)

MAX_BATCH = 256


class _Thread(aiosqlite.Connection):
    """aiosqlite's connection thread, used for whole functions: statement by statement it is 14 times slower (DESIGN)."""

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run `work` on the database thread: exactly one hop."""
        result: R = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return result

    async def __aenter__(self) -> Self:
        """Open. Where that fails the thread ends first: it must not outlive the loop that it reports to."""
        try:
            await self
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise
        return self


def _thread(connector: Callable[[], sqlite3.Connection]) -> _Thread:
    return _Thread(connector, iter_chunk_size=64)


class _Job:
    __slots__ = ("done", "error", "value", "work")

    def __init__(self, work: Callable[[UnitOfWork], Any], done: asyncio.Future[Any]) -> None:
        self.work = work
        self.done = done
        self.value: Any = None
        self.error: Exception | None = None


class Database:
    """The store of one data folder. Use `async with Database.open(...)`."""

    def __init__(self, path: Path, clock: Clock, writer: _Thread, reader: _Thread) -> None:
        self._path = path
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._jobs: list[_Job] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._tx: UnitOfWork | None = None
        self._view: UnitOfWork | None = None
        self._listeners: list[Callable[[list[Event]], None]] = []
        self.hops = 0
        self.commits = 0
        self.writes = 0
        self.busy_since: int | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, clock: Clock) -> AsyncIterator[Database]:
        """Open (or make) the database and run its writer until the block ends, which drains what was queued."""
        async with _thread(lambda: connect(path)) as writer, _thread(lambda: connect_reader(path)) as reader:
            database = cls(path, clock, writer, reader)
            async with running(database._serve(), "writer"):
                try:
                    yield database
                finally:
                    database._closing = True
                    database._wake.set()

    def listen(self, heard: Callable[[list[Event]], None]) -> None:
        """Call `heard` on the loop with the events of each commit, once they are durable. It must not raise or block."""
        self._listeners.append(heard)

    async def write(self, work: Callable[[UnitOfWork], R], /) -> R:
        """See `core.store.Store`."""
        if self._closing:
            raise StoreClosed
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(work, done))
        self._wake.set()
        return await done

    async def read(self, work: Callable[[UnitOfWork], R], /) -> R:
        """See `core.store.Store`."""
        if self._closing:
            raise StoreClosed
        return await self._reader.run(lambda connection: self._snapshot(connection, work))

    async def read_apart(self, work: Callable[[UnitOfWork], R], /) -> R:
        """See `core.store.Store`."""
        if self._closing:
            raise StoreClosed
        async with _thread(lambda: connect_reader(self._path)) as thread:
            return await thread.run(lambda connection: self._look(connection, UnitOfWork(connection), work))

    def _snapshot(self, connection: sqlite3.Connection, work: Callable[[UnitOfWork], R]) -> R:
        if self._view is None:
            self._view = UnitOfWork(connection)
        return self._look(connection, self._view, work)

    def _look(self, connection: sqlite3.Connection, view: UnitOfWork, work: Callable[[UnitOfWork], R]) -> R:
        view.begin(self._clock.now())
        return _in_snapshot(connection, view, work)

    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs:
                await gathered(self._jobs, MAX_BATCH)
                batch = [job for job in self._jobs[:MAX_BATCH] if not job.done.cancelled()]
                del self._jobs[:MAX_BATCH]
                if batch:
                    await self._commit(batch)
            if self._closing:
                return

    async def _commit(self, batch: list[_Job]) -> None:
        self.hops += 1
        self.writes += len(batch)
        self.busy_since = self._clock.now()
        try:
            events = await self._writer.run(lambda connection: self._run(connection, batch))
        except Exception as error:  # noqa: BLE001 - the writer outlives any batch; its callers get the error
            events = []
            for job in batch:
                job.error = job.error or error
        self.busy_since = None
        for job in batch:
            if job.done.cancelled():
                continue
            if job.error is None:
                job.done.set_result(job.value)
            else:
                job.done.set_exception(job.error)
        for heard in self._listeners if events else ():
            try:
                heard(events)
            except Exception:  # what is durable is; a listener's bug must not stop the writer
                log.exception("a listener failed at %d events", len(events))

    def _run(self, connection: sqlite3.Connection, batch: list[_Job]) -> list[Event]:
        """On the database thread: run the batch until what is left of it commits. Returns the committed events."""
        if self._tx is None:
            self._tx = UnitOfWork(connection)
        left: list[_Job] | None = batch
        apart = False
        while left:
            self._tx.begin(self._clock.now())
            for job in left:
                job.error = None
            left, apart = self._attempt(connection, self._tx, left, apart=apart)
            if left is None:
                self.commits += 1
                return self._tx.events
        return []

    def _attempt(
        self, connection: sqlite3.Connection, tx: UnitOfWork, jobs: list[_Job], *, apart: bool
    ) -> tuple[list[_Job] | None, bool]:
        """One transaction over `jobs`, each in a savepoint where they run `apart`: None once it is durable.

        Else those to run again, and whether apart. Where one broke the transaction as a whole, they are all the others, for even an
        error of theirs may have come of writes that are undone now; where one has to be undone and has no savepoint, they are all.
        """
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                written = connection.total_changes
                if apart:
                    connection.execute("SAVEPOINT job")
                ran = _run_job(tx, job)
                if not connection.in_transaction:
                    return [other for other in jobs if other is not job], apart
                if apart:
                    if not ran:
                        connection.execute("ROLLBACK TO job")
                    connection.execute("RELEASE job")
                elif not ran and connection.total_changes != written:
                    connection.execute("ROLLBACK")
                    return (jobs if len(jobs) > 1 else []), True
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in jobs:
                job.error = translate(error)
            return [], apart
        return None, apart


def _run_job(tx: UnitOfWork, job: _Job) -> bool:
    """Run one function; False when it raised, whatever that may have left in the transaction."""
    mark = len(tx.events)
    try:
        job.value = job.work(tx)
        tx.write_events()
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller that sent the function
        job.error = translate(error)
        tx.take_back(mark)
        return False
    return True


def _in_snapshot(connection: sqlite3.Connection, view: UnitOfWork, work: Callable[[UnitOfWork], R]) -> R:
    try:
        connection.execute("BEGIN")
        try:
            return work(view)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except (sqlite3.Error, StopIteration) as error:
        raise translate(error) from error
