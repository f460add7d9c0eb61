"""One attempt at a task, from its start to what came of it; whoever ends it from outside stops it.

An attempt writes only while its lease is the task's own: what comes late or twice does nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from core.errors import HubError, UserError
from core.swarm import task as life
from core.swarm.bidding import HUB
from core.swarm.booking import take
from core.swarm.docket import find
from core.swarm.ports import Delivery
from core.swarm.roster import UnknownAgent
from core.swarm.task import AT_WORK, Status

if TYPE_CHECKING:
    from core.store import Store
    from core.swarm.docket import Docket
    from core.swarm.ports import SwarmTx, Workers
    from core.swarm.roster import Roster
    from core.swarm.task import Task

log = logging.getLogger(__name__)


class Dismissed(UserError):
    """{agent} was dismissed."""


class Attempts:
    """The attempts that this process is at. `lease` in ms."""

    def __init__(self, store: Store[SwarmTx], docket: Docket, roster: Roster, workers: Workers, *, lease: int) -> None:
        self._store = store
        self._docket = docket
        self._roster = roster
        self._workers = workers
        self._lease = lease
        self._working: dict[tuple[int, int], asyncio.Timeout] = {}

    def at_it(self, task: Task) -> bool:
        """Whether a walk of this process is at this attempt of the task."""
        return (task.id, task.attempt) in self._working

    def stop(self, task: Task) -> None:
        """Stop an attempt that this process is at."""
        scope = self._working[task.id, task.attempt]
        if not scope.expired():
            scope.reschedule(0)

    async def make(self, task: Task) -> Task:
        """One attempt, from its start to its end. Whoever ends it from outside stops it, whatever it is at."""
        try:
            async with asyncio.timeout(None) as scope:
                self._working[task.id, task.attempt] = scope
                after = await self._attempt(task)
        except TimeoutError:
            log.info("%s was stopped at %s", task.agent, task.name)
            after = await self._docket.show(task.id)
        finally:
            del self._working[task.id, task.attempt]
        return after

    async def _attempt(self, task: Task) -> Task:
        """Start it if that is still to be done, do the work, and write what came of it, however long that takes."""
        if task.status is Status.AWARDED:
            started = await self._started(task)
            if started is None:
                return await self._docket.show(task.id)  # somebody ended it first; what became of it may need a walk
            task = started
        elif (now := await self._docket.show(task.id)).status is not Status.RUNNING or now.lease != task.lease:
            return now  # it ended as it was taken up again, when nobody could be stopped yet
        outcome = await self._outcome(task)
        if isinstance(outcome, Delivery):
            return await self._docket.write_patiently(lambda tx: _finish(tx, task, outcome))
        blame = task.model is None and not isinstance(
            outcome, UserError
        )  # which model it was is no choice of the agent's
        return await self._docket.write_patiently(lambda tx: lose(tx, task, str(outcome), blame=blame))

    async def _started(self, task: Task) -> Task | None:
        """Start an awarded attempt: only one of several walks can, and that one does the work."""

        def work(tx: SwarmTx) -> Task | None:
            now = find(tx, task.id)
            if now.lease != task.lease or now.status is not Status.AWARDED:
                return None
            return take(tx, now, life.start(now, lease_until=tx.now + self._lease), task.agent or HUB)

        started = await self._store.write(work)
        if started is not None:
            self._docket.alarm.expect(started)
        return started

    async def _outcome(self, task: Task) -> Delivery | UserError | str:
        """The work, or why there is none: what is no fault of the agent's, or a reason."""
        try:
            agent = self._roster.get(task.agent or "")._replace(model=task.model)
        except UnknownAgent:
            return Dismissed(agent=task.agent)
        try:
            return await self._workers.of(task.requester).work(agent, task)
        except UserError as error:
            return error
        except HubError as error:
            return str(error)
        except Exception:
            log.exception("%s broke off at %s", task.agent, task.name)
            return "its work broke off unexpectedly (the log says more)"


def _finish(tx: SwarmTx, task: Task, delivery: Delivery) -> Task:
    """Result, state and payout in one unit of work, for this attempt's lease only: late or double results do nothing."""
    now = find(tx, task.id)
    if now.lease != task.lease or now.status is not Status.RUNNING:
        return now
    tx.tasks.attach(task.id, delivery.files, tx.now)
    worker = task.agent or HUB
    now = take(tx, now, life.deliver(now, result=delivery.text, now=tx.now, review_until=tx.now), worker)
    return take(tx, now, life.settle(now, how="auto"), worker)


def lose(tx: SwarmTx, task: Task, why: str, *, blame: bool = True) -> Task:
    """An attempt ended without a result; one that is over already stays as it is."""
    now = find(tx, task.id)
    if now.lease != task.lease or now.status not in AT_WORK:
        return now
    return take(tx, now, life.lose(now, why=why, blame=blame), HUB)
