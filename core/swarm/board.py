"""The board: what workers of other processes may bid on, and what was awarded to them, in memory; whoever waits for it is woken.

It follows the rows: each task is noted here after it was written. Nothing is asked of the database while a worker waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.errors import UserError
from core.swarm.task import AT_WORK, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from core.swarm.crew import Enrolled
    from core.swarm.task import Task


Found = TypeVar("Found")

MOST_POLLS = 16
"""Polls of one worker that wait at a time: each keeps a connection."""

MOST_SHOWN = 100
"""Auctions that a worker is told of at a time; the next ones once it has answered."""

SLICE = 64
"""Workers that are woken in one turn of the loop."""


class TooManyPolls(UserError):
    """You wait {most} times at once already, the most a worker may. Wait for an answer before you ask again."""

    status = 429


class Workforce(Protocol):
    """Whom a board is for: the crew, or what a gateway knows of it."""

    def has(self, name: str | None) -> bool:
        """Whether a worker of this name is enrolled."""

    def get(self, name: str) -> Enrolled:
        """Raises `NotEnrolled`."""

    def here(self, name: str) -> bool:
        """Whether a worker is here, or is expected back."""

    def fitting(self, task: Task) -> Sequence[Enrolled]:
        """Those who may bid on a task and are asked to."""

    def fits(self, name: str, task: Task) -> bool:
        """Whether a worker may bid on a task, and is asked to."""

    def called_for(self, description: str) -> frozenset[str]:
        """The capabilities that a task calls for."""

    def loaded(self, name: str, load: int) -> None:
        """A worker has so many tasks now."""


class Onlooker(Protocol):
    """Is told of whatever changes on a board."""

    def noted(self, number: int) -> None:
        """A task is not as it was."""

    def answered(self, number: int, name: str) -> None:
        """A worker has bid on a task, or refused it."""

    def looked(self, name: str) -> None:
        """Something about a worker has changed."""


class Board:
    """Open auctions, those that each worker may still answer, and the tasks that each worker has."""

    def __init__(self, crew: Workforce) -> None:
        self._crew = crew
        self.onlooker: Onlooker | None = None
        self._open: dict[int, Task] = {}
        self._answered: dict[int, Counter[str]] = {}
        self._asked: dict[str, dict[int, Task]] = {}
        self._bids: dict[str, set[int]] = {}
        self._work: dict[str, dict[int, Task]] = {}
        self._at: dict[int, str] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._closed = False

    def __contains__(self, number: int) -> bool:
        """Whether a task is up for bids."""
        return number in self._open

    def note(self, task: Task) -> None:
        """A task was written, and is so now."""
        known = self._open.get(task.id)
        if known is None or task.status is not Status.BIDDING or task.attempt != known.attempt:
            self._close(task.id)
            if task.status is Status.BIDDING:
                self._ask(task)
        had = self._at.pop(task.id, None)
        if had is not None:
            del self._work[had][task.id]
        if task.status in AT_WORK and self._crew.has(task.agent):
            self._at[task.id] = agent = task.agent or ""
            self._work.setdefault(agent, {})[task.id] = task
            self._wake([agent])
        elif had is not None:
            self._wake([had])
        for name in {had, self._at.get(task.id)}:
            if name is not None:
                self._crew.loaded(name, len(self._work[name]))
        if self.onlooker is not None:
            self.onlooker.noted(task.id)

    def shown(self, number: int) -> Task | None:
        """A task that is up for bids, or that a worker has."""
        return self._open.get(number) or self._work.get(self._at.get(number, ""), {}).get(number)

    def all(self) -> Iterator[int]:
        """The tasks that are up for bids, then those that workers have."""
        yield from self._open
        yield from self._at

    def who_answered(self, number: int) -> Iterable[str]:
        """Who has bid on a task that is up for bids, or refused it."""
        return self._answered.get(number, ())

    def _ask(self, task: Task) -> None:
        self._open[task.id] = task
        names = [one.name for one in self._crew.fitting(task)]
        for name in names:
            self._asked.setdefault(name, {})[task.id] = task
        self._wake(names)

    def _close(self, number: int) -> None:
        if (task := self._open.pop(number, None)) is not None:
            for name in self._answered.pop(number, ()):
                self._bids.get(name, set()).discard(number)
            for one in self._crew.fitting(task):
                self._asked.get(one.name, {}).pop(number, None)

    def restore(self, task: Task, answered: set[str]) -> None:
        """Take up a task that the last stop left, and who has answered to its auction."""
        self.note(task)
        for name in answered:
            self.answered(task.id, name)

    def answered(self, number: int, name: str, *, bid: bool = False) -> None:
        """A worker has bid on a task, or refused it."""
        if number in self._open:
            self._answered.setdefault(number, Counter())[name] += 1
            self._asked.get(name, {}).pop(number, None)
            bids = self._bids.setdefault(name, set())
            (bids.add if bid else bids.discard)(number)
            if self.onlooker is not None:
                self.onlooker.answered(number, name)

    def times(self, number: int, name: str) -> int:
        """How often a worker has answered to an auction."""
        return self._answered[number][name] if number in self._answered else 0

    def spare(self, name: str, number: int) -> int:
        """How many hands of a worker have no work, and none to come from an auction of an older task, that it may still win."""
        up = [*self._asked.get(name, {}).values(), *(self._open[number] for number in self._bids.get(name, ()))]
        taken = len(self._work.get(name, ())) + sum(task.id < number and not task.waits_for_people for task in up)
        return (self._crew.get(name).concurrency if self._crew.has(name) else 0) - taken

    def tasks(self, name: str, wanted: frozenset[str] = frozenset()) -> list[Task]:
        """The open auctions that a worker may bid in and has not answered, oldest first, some at a time.

        None while it has no hand free. `wanted`: only those that call for one of these capabilities.
        """
        if len(self._work.get(name, ())) >= self._crew.get(name).concurrency:
            return []
        asked = self._asked.get(name, {})
        found = (
            task
            for task in map(asked.__getitem__, sorted(asked))
            if not wanted or task.only == name or not wanted.isdisjoint(self._crew.called_for(task.description))
        )
        return list(islice(found, MOST_SHOWN))

    def given(self, name: str) -> Task | None:
        """The oldest task that was awarded to a worker and is not started."""
        given = (task for task in self._work.get(name, {}).values() if task.status is Status.AWARDED)
        return min(given, key=lambda task: task.id, default=None)

    async def wait(self, name: str, look: Callable[[], Found], seconds: float) -> Found:
        """What `look` finds, as soon as it finds something, or after so many seconds, or when the worker is let go of.

        Raises `TooManyPolls`.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if len(self._waiting.get(name, ())) >= MOST_POLLS:
            raise TooManyPolls(most=MOST_POLLS)
        while not (found := look()) and self._crew.here(name) and not self._closed and loop.time() < end:
            waiter = loop.create_future()
            timer = loop.call_at(end, _wake, waiter)
            waiting = self._waiting.setdefault(name, set())
            waiting.add(waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                waiting.discard(waiter)
                if not waiting and self._waiting.get(name) is waiting:
                    del self._waiting[name]
        return found

    def who_waits(self) -> list[str]:
        """Those who wait for something now."""
        return list(self._waiting)

    def close(self) -> None:
        """The hub stops: nobody waits any more."""
        self._closed = True
        for waiting in self._waiting.values():
            for waiter in waiting:
                _wake(waiter)

    def look(self, name: str) -> None:
        """Something about a worker has changed: what it is asked, and what it waits for, is looked at again."""
        self._asked[name] = {
            number: task
            for number, task in self._open.items()
            if name not in self._answered.get(number, ()) and self._crew.has(name) and self._crew.fits(name, task)
        }
        self._wake([name])
        if self.onlooker is not None:
            self.onlooker.looked(name)

    def _wake(self, names: Iterable[str]) -> None:
        """Wake these, some at a time: the first are answered before the last are woken, and nothing else has to wait for all."""
        self._wake_some(chain.from_iterable(list(self._waiting.get(name, ())) for name in names))

    def _wake_some(self, waiters: Iterator[asyncio.Future[None]]) -> None:
        some = list(islice(waiters, SLICE))
        for waiter in some:
            _wake(waiter)
        if len(some) == SLICE:
            asyncio.get_running_loop().call_soon(self._wake_some, waiters)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
