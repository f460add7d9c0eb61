"""The docket: tasks are looked up in it and changed through it, so that nobody who waits for a change is forgotten.

Those are the clock, which may have to wake earlier, the agents that a task was waiting for, and workers that wait for work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.errors import UserError
from core.ids import task_name
from core.store import patiently
from core.swarm import bidding
from core.swarm.board import Board
from core.swarm.parking import Parking
from core.swarm.task import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.ports import Clock
    from core.store import Store
    from core.swarm.crew import Crew
    from core.swarm.ports import SwarmTx
    from core.swarm.task import Task


class UnknownTask(UserError):
    """There is no task {task}. {known}."""

    status = 404


def find(tx: SwarmTx, number: int) -> Task:
    """A task, inside a unit of work. Raises `UnknownTask`."""
    task = tx.tasks.find(number)
    if task is None:
        raise UnknownTask(task=task_name(number), known="/tasks lists them")
    return task


def under_way(tx: SwarmTx, actor: str) -> list[Task]:
    """The tasks not over that an identity has posted, has won, or has a live bid on."""

    def bids(task: Task) -> bool:
        answers = tx.tasks.answers(task.id, task.attempt) if task.status is Status.BIDDING else ()
        return any(one.bid.agent == actor and not one.refused for one in answers)

    return [task for task in tx.tasks.live() if actor in {task.requester, task.agent} or bids(task)]


class Alarm:
    """When time next has something to do (`due`, Unix ms; None: never); `rung` is set where that has become earlier."""

    def __init__(self) -> None:
        self.due: int | None = None
        self.rung = asyncio.Event()

    def expect(self, task: Task) -> None:
        """Wake the clock if this task is due before everything else."""
        if task.due is not None and (self.due is None or task.due < self.due):
            self.due = task.due
            self.rung.set()


class Docket:
    """The tasks of a store: the alarm of the clock, the parking of those that wait for busy agents, the board of workers."""

    def __init__(self, store: Store[SwarmTx], clock: Clock, crew: Crew) -> None:
        self._store = store
        self._clock = clock
        self.alarm = Alarm()
        self.parking = Parking()
        self.board = Board(crew)
        self.progress: dict[int, str] = {}
        """What was last said of tasks under way."""

    async def show(self, number: int) -> Task:
        """A task. Raises `UnknownTask`."""
        return await self._store.read(lambda tx: find(tx, number))

    async def waiting(self) -> list[Task]:
        """The tasks that wait for somebody, oldest first."""
        tasks = await self._store.read(lambda tx: tx.tasks.live())
        return [task for task in tasks if task.status is Status.OPEN and task.id in self.parking.waiting()]

    async def write(self, work: Callable[[SwarmTx], Task]) -> Task:
        """Write a change of a task in one unit of work, and note it."""
        task = await self._store.write(work)
        self.note(task)
        return task

    async def write_patiently(self, work: Callable[[SwarmTx], Task]) -> Task:
        """The same for what exists nowhere else yet: it is written in the end, however long the disk is full."""
        task = await patiently(self._store, work, self._clock)
        self.note(task)
        return task

    def note(self, task: Task) -> None:
        """A task was written: the clock may have to know, and one that takes no more bids waits for nobody."""
        self.alarm.expect(task)
        self.board.note(task)
        if task.status is not Status.RUNNING:
            self.progress.pop(task.id, None)
        if task.status is not Status.OPEN and not bidding.collects(task):
            self.parking.unpark(task.id)
