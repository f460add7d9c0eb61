"""The walk of a task: as far as it goes without anybody, auction after attempt, and back again when it was left lying."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.ids import task_name
from core.swarm import attempt, bidding
from core.swarm.docket import find
from core.swarm.patience import complain, pause_after
from core.swarm.task import AT_WORK, Status, is_person

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from core.ports import Clock, Spawner
    from core.swarm.appraisal import Appraiser
    from core.swarm.attempt import Attempts
    from core.swarm.bidding import Terms
    from core.swarm.docket import Docket
    from core.swarm.ports import Agent, Said, SwarmTx
    from core.swarm.task import Task


class Walk:
    """Walks tasks, each in a job of its own; several may be at one task, and its rows decide which of them goes on."""

    def __init__(
        self,
        docket: Docket,
        appraiser: Appraiser,
        attempts: Attempts,
        terms: Terms,
        *,
        clock: Clock,
        spawner: Spawner,
    ) -> None:
        self._docket = docket
        self._parking = docket.parking
        self._appraiser = appraiser
        self._attempts = attempts
        self._terms = terms
        self._clock = clock
        self._spawner = spawner
        self._refilling: dict[str, bool] = {}

    # Setting out -----------------------------------------------------------------------------------------------

    def start(self, task: Task, appraised: Sequence[tuple[Agent, Said]] | None = None) -> None:
        """Set out with a task as it was just written; `appraised` where its agents were asked already."""
        self._set_out(task.id, partial(self._walk, task, appraised))

    def restart(self, task: Task) -> None:
        """Set out with a task that is open for another attempt."""
        if task.status is Status.OPEN:
            self.start(task)

    def closed(self, task: Task) -> None:
        """The auction of a task was closed by an answer, or by the clock: its work begins, or it waits."""
        if task.status in {Status.OPEN, Status.AWARDED}:
            self.start(task)
        self._spared()

    def resume(self, number: int) -> None:
        """Set out with a task that may have been left lying."""
        self._set_out(number, partial(self._again, number))

    def _set_out(self, number: int, walk: Callable[[], Awaitable[object]]) -> None:
        self._spawner.spawn(self._surely(number, walk), f"task {task_name(number)}")

    async def _surely(self, number: int, walk: Callable[[], Awaitable[object]]) -> None:
        """Walk; where a walk breaks off, its task is looked at again, later and later, so that none is left lying."""
        tries = 0
        while True:
            try:
                await walk()
            except Exception as error:  # noqa: BLE001 - whatever it was, the task waits with its budget held
                complain(number, error)
                tries += 1
                pause, walk = pause_after(error, tries), partial(self._again, number)
            else:
                return
            await self._clock.sleep(pause)

    async def _again(self, number: int) -> None:
        """Look at a task that may have been left lying. One whose work ended unwritten is its lease's to take back."""
        task = await self._docket.show(number)
        if task.status is not Status.RUNNING:
            await self._walk(task)

    # On the way ------------------------------------------------------------------------------------------------

    async def _walk(self, task: Task, appraised: Sequence[tuple[Agent, Said]] | None = None) -> None:
        """Take a task as far as it goes without anybody: auction, work, and again while attempts are left."""
        while True:
            if task.status is Status.OPEN or bidding.collects(task):
                task = await self._auction(task, appraised)
            elsewhere = is_person(task.agent) or self._terms.afar(task.agent)
            if task.status not in AT_WORK or elsewhere or self.at_it(task):
                return
            agent, appraised = task.agent or "", None
            task = await self._attempts.make(task)
            self._freed(agent)
            if task.status is not Status.OPEN:
                return

    async def _auction(self, task: Task, appraised: Sequence[tuple[Agent, Said]] | None) -> Task:
        answers = [] if task.excluded else list(appraised or ())
        # Until everybody has been asked: somebody who joins the roster meanwhile is told of no task that is not parked yet.
        while more := await self._appraiser.ask(
            task.description,
            task.only,
            [*task.excluded, *(agent.name for agent, _ in answers)],
            task.requester,
            task.model,
        ):
            answers += more
        # Whom it could wait for is noted before the auction finds out whether it must: a wake-up in between is not missed.
        self._parking.park(task.id, bidding.able(task, answers, self._terms))
        busy: list[str] = []
        halted = False

        def work(tx: SwarmTx) -> Task:
            nonlocal halted
            now = find(tx, task.id)
            halted = now.status is Status.OPEN and bidding.halted(tx, now)
            if halted:
                return now
            gone = {agent.name for agent, _ in answers if not self._terms.capacity(agent.name)}  # since they were asked
            asked = [(agent, answer) for agent, answer in answers if agent.name not in gone.union(now.excluded)]
            if now.status is Status.OPEN:
                now = bidding.open_and_close(tx, now, asked, self._terms)
            if bidding.collects(now):
                busy[:] = bidding.join(tx, now, asked, self._terms)
            return now

        after = await self._docket.write(work)
        if halted:
            self._parking.park(task.id, ())  # for no agent that gets free, but for spending to go on
        if bidding.collects(after):
            self._parking.park(task.id, busy)
        return after

    # What ends an attempt from outside -------------------------------------------------------------------------

    async def lose(self, task: Task, why: str, *, blame: bool) -> None:
        """End an attempt from outside. Its walk goes on with the next one; a task that nobody walks is restarted."""
        after = await self._docket.write_patiently(lambda tx: attempt.lose(tx, task, why, blame=blame))
        walked = self.at_it(task)
        self.ended(task)
        if not walked:
            self.restart(after)

    def at_it(self, task: Task) -> bool:
        """Whether a walk of this process is at this attempt of the task."""
        return self._attempts.at_it(task)

    def ended(self, task: Task) -> None:
        """An attempt was ended from outside. Its own walk is stopped, and frees the agent; without one it is free now."""
        if self.at_it(task):
            self._attempts.stop(task)
        elif task.agent is not None:
            self._freed(task.agent)
        else:
            self._spared()

    # Waiting for busy agents -----------------------------------------------------------------------------------

    def offer_again(self, numbers: Iterable[int]) -> None:
        """Put up tasks that wait: who can do them has changed."""
        for number in sorted(numbers):
            self._parking.unpark(number)
            self.resume(number)

    def joined(self, name: str) -> None:
        """A worker came, or can do something else now: what waits is put up where it is for it, or was and is not any more."""
        if self._parking.waiting():
            self._spawner.spawn(self._offer(name), f"what waits for {name}")

    async def _offer(self, name: str) -> None:
        for task in await self._docket.waiting():
            if name in self._terms.crew.hands(task):
                self._parking.join(task.id, name)
            elif task.id in self._parking.waiting_for(name):
                self.offer_again([task.id])
        self._freed(name)

    def _freed(self, agent: str) -> None:
        """An agent is free again: the tasks that wait for it are put up, the oldest first, until it is busy."""
        if agent in self._refilling:
            self._refilling[agent] = True
        elif self._parking.waiting_for(agent):
            self._refilling[agent] = True
            self._spawner.spawn(self._refill(agent), f"refill {agent}")

    def _spared(self) -> None:
        """An auction ended, which may have kept hands of workers that it did not take."""
        for agent in self._parking.agents():
            oldest = min(self._parking.waiting_for(agent))
            if self._terms.afar(agent) and self._docket.board.spare(agent, oldest) > 0:
                self._freed(agent)

    async def _refill(self, agent: str) -> None:
        try:
            while self._refilling[agent]:
                self._refilling[agent] = False
                await self._put_up(agent)
        finally:
            del self._refilling[agent]

    async def _put_up(self, agent: str) -> None:
        failed: set[int] = set()
        while waiting := self._parking.waiting_for(agent) - failed:
            number = min(waiting)
            if self._spoken_for(agent, number):
                return
            self._parking.unpark(number)
            try:
                task = await self._auction(await self._docket.show(number), None)
            except Exception as error:  # noqa: BLE001 - one task must not hold up those that wait behind it
                complain(number, error)
                failed.add(number)
                self.resume(number)
                continue
            if task.status is Status.AWARDED:
                self.start(task)
            if task.agent == agent or number in self._parking.waiting_for(agent):
                return

    def comes_to(self, agent: str, number: int, load: int) -> bool:
        """Whether an agent with so many tasks will be asked about one that waits: once it is free, or an auction is over."""
        capacity = self._terms.capacity(agent)
        there = capacity > 0 and (not self._terms.afar(agent) or self._terms.crew.here(agent))
        return there and (load >= capacity or self._spoken_for(agent, number))

    def _spoken_for(self, agent: str, number: int) -> bool:
        """Whether all hands of a worker that is here are at work, or may be taken by auctions of older tasks than this one.

        One of a newer task keeps it from nothing: there may always be one.
        """
        return self._terms.afar(agent) and self._terms.crew.here(agent) and self._docket.board.spare(agent, number) <= 0
