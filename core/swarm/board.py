"""The board: what workers of other processes may bid on, and what was awarded to them, in memory; whoever waits for it is woken.

It follows the rows: each task is noted here after it was written. Nothing is asked of the database while a worker waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from core.errors import UserError
from core.swarm.task import AT_WORK, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.swarm.crew import Crew
    from core.swarm.task import Task


Found = TypeVar("Found")

MOST_POLLS = 16
"""Polls of one worker that wait at a time: each keeps a connection."""

MOST_SHOWN = 100
"""Auctions that a worker is told of at a time; the next ones once it has answered."""


class TooManyPolls(UserError):
    """You wait {most} times at once already, the most a worker may. Wait for an answer before you ask again."""

    status = 429


class Board:
    """Open auctions, and the tasks that each worker has."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._open: dict[int, Task] = {}
        self._answered: dict[int, set[str]] = {}
        self._work: dict[str, dict[int, Task]] = {}
        self._at: dict[int, str] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def note(self, task: Task) -> None:
        """A task was written, and is so now."""
        known = self._open.pop(task.id, None)
        if known is not None and (task.status is not Status.BIDDING or task.attempt != known.attempt):
            self._answered.pop(task.id, None)
        had = self._at.pop(task.id, None)
        if had is not None:
            del self._work[had][task.id]
        if task.status is Status.BIDDING:
            self._open[task.id] = task
            if known is None:
                self._wake(one.name for one in self._crew if self._crew.fits(one, task))
        elif task.status in AT_WORK and self._crew.has(task.agent):
            self._at[task.id] = agent = task.agent or ""
            self._work.setdefault(agent, {})[task.id] = task
            self._wake([agent])
        elif had is not None:
            self._wake([had])
        for name in {had, self._at.get(task.id)}:
            if name is not None:
                self._crew.loaded(name, len(self._work[name]))

    def restore(self, task: Task, answered: set[str]) -> None:
        """Take up a task that the last stop left, and who has answered to its auction."""
        self.note(task)
        if answered:
            self._answered[task.id] = answered

    def answered(self, number: int, name: str) -> None:
        """A worker has bid on a task, or refused it."""
        if number in self._open:
            self._answered.setdefault(number, set()).add(name)

    def tasks(self, name: str, wanted: frozenset[str] = frozenset()) -> list[Task]:
        """The open auctions that a worker may bid in and has not answered, oldest first, some at a time.

        None while it has no hand free. `wanted`: only those that call for one of these capabilities.
        """
        worker = self._crew.get(name)
        if len(self._work.get(name, ())) >= worker.concurrency:
            return []
        found = (
            task
            for number, task in sorted(self._open.items())
            if name not in self._answered.get(number, ())
            and self._crew.fits(worker, task)
            and (not wanted or task.only == name or not wanted.isdisjoint(self._crew.called_for(task.description)))
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
        changed = asyncio.Event()
        waiting = self._waiting.setdefault(name, set())
        if len(waiting) >= MOST_POLLS:
            raise TooManyPolls(most=MOST_POLLS)
        waiting.add(changed)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not (found := look()) and self._crew.here(name):
                        await changed.wait()
                        changed.clear()
                    return found
            return look()
        finally:
            waiting.discard(changed)
            if not waiting:
                self._waiting.pop(name, None)

    def look(self, name: str) -> None:
        """Something about a worker has changed: what it waits for is looked at again."""
        self._wake([name])

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            for changed in self._waiting.get(name, ()):
                changed.set()
