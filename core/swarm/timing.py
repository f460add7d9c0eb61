"""What time brings: leases, reviews and deadlines, found by the rows' `due`; and what the last stop interrupted."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from core.errors import Unavailable
from core.swarm import bidding
from core.swarm import task as life
from core.swarm.bidding import HUB
from core.swarm.booking import take
from core.swarm.docket import find
from core.swarm.patience import PutOff, complain
from core.swarm.task import AT_WORK, Status, is_person

if TYPE_CHECKING:
    from core.ports import Clock
    from core.store import Store
    from core.swarm.bidding import Terms
    from core.swarm.docket import Docket
    from core.swarm.ports import SwarmTx
    from core.swarm.task import Task
    from core.swarm.walk import Walk

log = logging.getLogger(__name__)

_EVER = 2**62


class Timing:
    """Changes the tasks whose time has come, and sets out with those that can go on."""

    def __init__(self, store: Store[SwarmTx], clock: Clock, docket: Docket, walk: Walk, terms: Terms) -> None:
        self._store = store
        self._clock = clock
        self._docket = docket
        self._walk = walk
        self._terms = terms
        self._put_off = PutOff()

    async def run(self) -> None:
        """Do what time brings, for ever."""
        alarm = self._docket.alarm
        while True:
            alarm.rung.clear()
            alarm.due = None  # whatever is written during the look rings
            alarm.due = await self._upcoming()
            await self._clock.until(alarm.due, alarm.rung)
            for number in await self._due():
                try:
                    await self._tick(number)
                except Exception as error:  # noqa: BLE001 - one task must not stop the clock for the others
                    complain(number, error)
                    self._put_off.put(number, error, self._clock.now())
                else:
                    self._put_off.done(number)

    async def _upcoming(self) -> int | None:
        """When time next has something to do. A task that was put off does not hide those behind it."""
        count = len(self._put_off) + 1
        tasks = await self._store.read(lambda tx: tx.tasks.due(_EVER, count))
        return min((max(task.due or 0, self._put_off.until(task.id)) for task in tasks), default=None)

    async def _due(self) -> list[int]:
        """The tasks whose time has come, some at a time."""
        now, count = self._clock.now(), len(self._put_off) + 100
        numbers = [task.id for task in await self._store.read(lambda tx: tx.tasks.due(now, count))]
        self._put_off.keep(set(numbers))
        return [number for number in numbers if self._put_off.until(number) <= now]

    async def _tick(self, number: int) -> None:
        """One task whose time has come."""

        def work(tx: SwarmTx) -> tuple[Task, Task]:
            before = find(tx, number)
            return before, self._timely(tx, before)

        before, task = await self._store.write(work)
        self._docket.note(task)
        if before.status in AT_WORK and task.status not in AT_WORK:
            self._walk.ended(before)
        if before.status is Status.BIDDING:
            self._walk.closed(task)
        else:
            self._walk.restart(task)

    def _timely(self, tx: SwarmTx, task: Task) -> Task:
        if task.due is None or task.due > tx.now:
            return task
        if task.status is Status.DELIVERED:
            return take(tx, task, life.settle(task, how="review"), HUB)
        if tx.now >= task.deadline:
            return take(tx, task, life.expire(task), HUB)
        if task.status is Status.BIDDING:
            return self._closed(tx, task)
        if self._walk.at_it(task):
            return self._renew(tx, task)
        return take(tx, task, life.lose(task, why=f"{task.agent} went silent"), HUB)

    def _closed(self, tx: SwarmTx, task: Task) -> Task:
        """A task whose auction is over."""
        if bidding.halted(tx, task):
            return take(tx, task, life.wait(task, reason="frozen"), HUB)
        if (end := min(bidding.extended(tx, task, self._terms), task.deadline)) > tx.now:
            longer = task.but(closes_at=end)
            tx.tasks.save(longer, task)
            return longer
        return bidding.close(tx, task, self._terms)

    async def recover(self) -> int:
        """Take up every task that the last stop interrupted; returns how many. Leases start anew, with all their time."""
        try:
            found = await self._store.write(lambda tx: [self._take_up(tx, task) for task in tx.tasks.live()])
        except Unavailable:
            raise
        except Exception:
            log.exception("not all tasks can be taken up together; taking them one by one")
            return await self._recover_each()
        for task, answered in found:
            self._go_on(task, answered)
        return len(found)

    async def _recover_each(self) -> int:
        """Take up what can be; a task that cannot be is looked at again, and keeps no other from it."""
        count = 0
        for task in await self._store.read(lambda tx: tx.tasks.live()):
            try:
                found = await self._store.write(partial(self._take_up_one, task.id))
            except Exception as error:  # noqa: BLE001 - it is one of many
                complain(task.id, error)
                self._walk.resume(task.id)
            else:
                self._go_on(*found)
                count += 1
        return count

    def _go_on(self, task: Task, answered: set[str]) -> None:
        """A task was taken up: workers are told before anything else is written, or the board would be behind the rows."""
        self._docket.board.restore(task, answered)
        self._walk.start(task)

    def _take_up_one(self, number: int, tx: SwarmTx) -> tuple[Task, set[str]]:
        return self._take_up(tx, find(tx, number))

    def _take_up(self, tx: SwarmTx, task: Task) -> tuple[Task, set[str]]:
        """A task as it goes on, and who has answered to its auction."""
        task = self._rearm(tx, task)
        if task.status is not Status.BIDDING:
            return task, set()
        return task, {one.bid.agent for one in tx.tasks.answers(task.id, task.attempt)}

    def _rearm(self, tx: SwarmTx, task: Task) -> Task:
        if task.status in AT_WORK and not is_person(task.agent):
            if not self._terms.capacity(task.agent or "") and not self._terms.afar(task.agent):
                return take(tx, task, life.lose(task, why=f"{task.agent} is no longer on the roster", blame=False), HUB)
            return self._renew(tx, task)
        if task.status is Status.BIDDING and not task.waits_for_people:
            end = min(self._terms.crew.closing(self._terms.crew.hands(task), tx.now, self._terms.window), task.deadline)
            longer = task.but(closes_at=max(task.closes_at or 0, end))
            tx.tasks.save(longer, task)
            return longer
        return task

    def _renew(self, tx: SwarmTx, task: Task) -> Task:
        """The whole lease once more for an attempt that goes on."""
        longer = task.but(lease_until=tx.now + self._terms.lease)
        tx.tasks.save(longer, task)
        return longer
