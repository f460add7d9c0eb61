"""The swarm's service: it walks every task from its post to its end, and keeps walking after a crash.

Each public method is one decision of a person or an agent, in one unit of work. What must follow at once is started
after the commit; what time brings (closings, leases, reviews, deadlines) is found by the rows' `due`, and `recover`
takes up everything that a restart interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from core.access import Action, authorize
from core.errors import HubError, Unavailable, UserError
from core.events import Event, Kind
from core.ids import task_name
from core.money import to_msat, to_sats
from core.store import patiently
from core.swarm import bidding
from core.swarm import task as life
from core.swarm.auction import Bid
from core.swarm.bidding import HUB, Terms
from core.swarm.booking import take
from core.swarm.patience import PutOff, pause_after
from core.swarm.ports import Decline, Delivery, Offer
from core.swarm.task import AT_WORK, Status, Task, Verb, WrongState, is_person
from core.tokens import check_actor
from core.wallet import wallet
from core.wallet.ledger import user_account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from core.chat import Caller
    from core.events import Json
    from core.ports import Clock, IdSource, Spawner
    from core.store import Store
    from core.swarm.auction import Standing
    from core.swarm.ports import Agent, Answer, ResultFile, SwarmTx, Worker
    from core.swarm.roster import Roster

log = logging.getLogger(__name__)

SECOND = 1000
MAX_DESCRIPTION = 8000
MAX_DEADLINE = 30 * 24 * 3600 * SECOND
APPRAISAL_SECONDS = 2.0
_EVER = 2**62


class UnknownTask(UserError):
    """There is no task {task}. /tasks lists them."""

    status = 404


class NoWork(UserError):
    """A task needs words: what is to be done? For example: /task summarise welcome.md"""


class TooManyWords(UserError):
    """A task is described in at most {limit} characters; this has {given}. Put the rest into a file of the workspace."""


class BadDeadline(UserError):
    """{what} is from 1s to 30d; you wrote {given}."""


class NoSuchBid(UserError):
    """{agent} has no bid on {task}. /bids {task} shows who has."""

    status = 404


class AgentBusy(UserError):
    """{agent} is busy with other work. Award {task} again once it is free, or pick another bid."""

    status = 409


class NotYours(UserError):
    """{task} is not yours to deliver: it was awarded to {agent}."""

    status = 403


class NotTheirWork(UserError):
    """{agent} cannot do this, but {able} can. Leave out to={agent}, or name another agent."""

    status = 409


class NotOver(UserError):
    """{task} is {status}; only a task that is over can be tried again. /cancel {task} ends it."""

    status = 409


@dataclass(frozen=True, slots=True)
class Rules:
    """The house rules of auctions: times in ms, amounts in msat (CONTRACT, settings "auction")."""

    window: int = 5 * SECOND
    budget: int = to_msat(200)
    deadline: int = 24 * 3600 * SECOND
    review: int = 24 * 3600 * SECOND
    attempts: int = 3
    lease: int = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Order:
    """A task as somebody asks for it. `budget` in msat and `time` in ms, None for the house rule; `key` makes it once."""

    caller: Caller
    conversation: str
    description: str
    key: str
    budget: int | None = None
    time: int | None = None
    only: str | None = None
    pick: str = "auto"
    retry_of: int | None = None


class Coordinator:
    """Posts, auctions, awards, runs, settles. Reads and writes tasks through `store`; the work itself is the `worker`'s."""

    def __init__(  # noqa: PLR0913 - its ports
        self,
        store: Store[SwarmTx],
        roster: Roster,
        worker: Worker,
        *,
        clock: Clock,
        ids: IdSource,
        spawner: Spawner,
        rules: Rules | None = None,
    ) -> None:
        self._store = store
        self._roster = roster
        self._worker = worker
        self._clock = clock
        self._spawner = spawner
        self.rules = rules or Rules()
        self._terms = Terms(
            window=self.rules.window, lease=self.rules.lease, token=lambda: ids.token(12), capacity=roster.capacity
        )
        self._working: dict[tuple[int, int], asyncio.Timeout] = {}
        self._waiting: dict[int, tuple[str, ...]] = {}
        self._parked: dict[str, set[int]] = {}
        self._put_off = PutOff()
        self._next_due: int | None = None
        self._time = asyncio.Event()

    # What people decide ----------------------------------------------------------------------------------------

    async def post(self, order: Order) -> Task:
        """Post a task: its budget is held, its auction starts. Refused, with nothing changed, where the task itself is at fault."""
        authorize(order.caller, Action.POST)
        try:
            order = self._checked(order)
            appraised = await self._appraise(order.description, order.only, ())
            _refuse_faulty(order, appraised)
            await self._refuse_wrong_agent(order, appraised)
        except UserError:
            posted = await self._store.read(lambda tx: tx.applied(order.key))
            if posted is None:
                raise
            return await self.show(int(posted))  # it was in order when it was posted, before a restart
        task, new = await self._store.write(lambda tx: self._post(tx, order))
        if new:
            self._expect(task)
            self._set_out(task.id, partial(self._walk, task, appraised))
        return task

    async def bid(self, caller: Caller, number: int, sats: int, *, eta: int | None, note: str, key: str) -> Task:
        """A person bids; where only they were asked, they have won."""
        authorize(caller, Action.BID)
        if eta is not None and eta > MAX_DEADLINE:
            raise BadDeadline(what="The time that a bid promises", given=_span(eta))

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            if tx.applied(key) is not None:
                return task
            if task.status is not Status.BIDDING:
                raise WrongState(task=task.name, status=task.status.value, verb="bid on")
            said = f"{note} (bid by {caller.recorded})".strip() if caller.acting_for else note
            by: dict[str, Json] = {"by": caller.recorded}
            bidding.place(tx, task, Bid(caller.name, to_msat(sats), eta, said, 1000, tx.now), by)
            tx.mark(key, "")
            if task.only == caller.name and task.pick == "auto":
                task = bidding.close(tx, task, self._terms, caller.recorded)
            return task

        return await self._decided(work)

    async def award(self, caller: Caller, number: int, given: str, *, key: str) -> Task:
        """The requester (or an operator) picks a bid. An agent starts at once; a person delivers when done."""
        agent = given if is_person(given) else given.lower()

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            authorize(caller, Action.AWARD, own=task.requester == caller.name)
            if tx.applied(key) is not None:
                return task
            life.check(task, Verb.AWARD)
            answers = tx.tasks.answers(task.id, task.attempt)
            bid = next((answer.bid for answer in answers if answer.bid.agent == agent and not answer.refused), None)
            if bid is None:
                raise NoSuchBid(agent=given[:40], task=task.name)
            if not is_person(agent) and tx.tasks.load(agent) >= self._roster.capacity(agent):
                raise AgentBusy(agent=agent, task=task.name)
            tx.mark(key, "")
            return bidding.award(tx, task, bid, self._terms, caller.recorded)

        task = await self._decided(work)
        if task.status is Status.AWARDED:
            self._set_out(task.id, partial(self._walk, task))
        return task

    async def deliver(self, caller: Caller, number: int, result: str, *, key: str) -> Task:
        """The person who won hands in the result; the requester has the review time to reject it."""
        authorize(caller, Action.DELIVER)

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            if tx.applied(key) is not None:
                return task
            if task.status in AT_WORK and task.agent != caller.name:
                raise NotYours(task=task.name, agent=task.agent)
            if task.status is Status.AWARDED:
                task = take(tx, task, life.start(task, lease_until=None), caller.recorded)
            life.check(task, Verb.DELIVER)
            tx.mark(key, "")
            step = life.deliver(task, result=result, review_until=tx.now + self.rules.review)
            return take(tx, task, step, caller.recorded)

        return await self._decided(work)

    async def accept(self, caller: Caller, number: int, *, key: str) -> Task:
        """The requester accepts: the escrow goes to the worker."""

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            authorize(caller, Action.JUDGE, own=task.requester == caller.name)
            if tx.applied(key) is not None:
                return task
            life.check(task, Verb.SETTLE)
            tx.mark(key, "")
            return take(tx, task, life.settle(task, how="accepted"), caller.recorded)

        return await self._decided(work)

    async def reject(self, caller: Caller, number: int, why: str, *, key: str) -> Task:
        """The requester rejects: another attempt without that worker, or a refund when none is left."""

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            authorize(caller, Action.JUDGE, own=task.requester == caller.name)
            if tx.applied(key) is not None:
                return task
            life.check(task, Verb.REJECT)
            tx.mark(key, "")
            return take(tx, task, life.reject(task, why=why), caller.recorded)

        task = await self._decided(work)
        self._restart(task)
        return task

    async def cancel(self, caller: Caller, number: int, *, key: str) -> Task:
        """Call a task off; whatever was set aside comes back, and a worker at it is stopped."""

        def work(tx: SwarmTx) -> Task:
            task = _find(tx, number)
            authorize(caller, Action.CANCEL, own=task.requester == caller.name)
            if tx.applied(key) is not None:
                return task
            life.check(task, Verb.CANCEL)
            tx.mark(key, "")
            return take(tx, task, life.cancel(task), caller.recorded)

        task = await self._decided(work)
        self._ended(task)
        return task

    async def retry(self, caller: Caller, number: int, *, conversation: str, key: str) -> Task:
        """Post a task that is over once more, as a new one linked to it."""
        task = await self.show(number)
        authorize(caller, Action.RETRY, own=task.requester == caller.name)
        if not task.over:
            raise NotOver(task=task.name, status=task.status.value)
        order = Order(
            caller, conversation, task.description, key, budget=task.budget, time=task.deadline - task.posted_at,
            only=task.only, pick=task.pick, retry_of=task.id,
        )  # fmt: skip
        return await self.post(order)

    async def dismiss(self, caller: Caller, name: str, *, key: str) -> tuple[str, int]:
        """Take an agent off the roster; what it was doing goes to somebody else. Returns its name and how many tasks that is."""
        agent, new = await self._roster.dismiss(caller, name, key=key)
        load = await self._store.read(lambda tx: tx.tasks.load(agent))
        if new:
            self._offer_again(self._parked.get(agent, ()))
            self._spawner.spawn(self._hand_over(agent), f"what {agent} was doing")
        return agent, load

    async def _hand_over(self, agent: str) -> None:
        for task in await self._store.read(lambda tx: tx.tasks.live()):
            if task.agent == agent and task.status in AT_WORK:
                await self._lose(task, f"{agent} was dismissed")

    async def spawn(self, caller: Caller, persona: str, *, key: str) -> Agent:
        """Add an agent; tasks that wait for somebody capable are offered again."""
        agent, new = await self._roster.spawn(caller, persona, key=key)
        if new:
            self._offer_again(self._waiting)
        return agent

    # Looking ---------------------------------------------------------------------------------------------------

    async def show(self, number: int) -> Task:
        """A task. Raises `UnknownTask`."""
        return await self._store.read(lambda tx: _find(tx, number))

    async def tasks(self, status: Status | None, limit: int = -1) -> list[Task]:
        """Tasks, newest first, without their results: there may be very many."""
        return await self._store.read_apart(lambda tx: tx.tasks.newest(status, limit, results=False))

    async def answers(self, number: int) -> tuple[Task, list[Answer]]:
        """A task and every answer to its present auction, sealed or not: who may see them is the asker's business."""

        def work(tx: SwarmTx) -> tuple[Task, list[Answer]]:
            task = _find(tx, number)
            return task, tx.tasks.answers(task.id, task.attempt)

        return await self._store.read(work)

    async def files(self, number: int) -> list[ResultFile]:
        """A task's result files."""
        return await self._store.read(lambda tx: tx.tasks.files(number))

    async def record(self, agent: str) -> tuple[Standing, int]:
        """What an agent's work says of it, and what it has earned, msat."""
        return await self._store.read(lambda tx: (tx.tasks.standing(agent), tx.tasks.earned(agent)))

    async def ready(self, agent: Agent) -> tuple[int, str | None]:
        """How many tasks an agent has, and why it cannot work at all (None: it can)."""
        load = await self._store.read(lambda tx: tx.tasks.load(agent.name))
        return load, await self._worker.ready(agent)

    # The walk --------------------------------------------------------------------------------------------------

    def _set_out(self, number: int, walk: Callable[[], Awaitable[object]]) -> None:
        self._spawner.spawn(self._surely(number, walk), f"task {task_name(number)}")

    async def _surely(self, number: int, walk: Callable[[], Awaitable[object]]) -> None:
        """Walk; where a walk breaks off, its task is looked at again, later and later, so that none is left lying."""
        tries = 0
        while True:
            try:
                await walk()
            except Exception as error:  # noqa: BLE001 - whatever it was, the task waits with its budget held
                _complain(number, error)
                tries += 1
                pause, walk = pause_after(error, tries), partial(self._again, number)
            else:
                return
            await self._clock.sleep(pause)

    async def _again(self, number: int) -> None:
        """Look at a task that may have been left lying. One whose work ended unwritten is its lease's to take back."""
        task = await self.show(number)
        if task.status is not Status.RUNNING:
            await self._walk(task)

    async def _walk(self, task: Task, appraised: Sequence[tuple[Agent, Offer | Decline | None]] | None = None) -> None:
        """Take a task as far as it goes without anybody: auction, work, and again while attempts are left."""
        while True:
            if task.status is Status.OPEN or bidding.collects(task):
                task = await self._auction(task, appraised)
            if task.status not in AT_WORK or is_person(task.agent) or self._at_it(task):
                return
            task, appraised = await self._work(task), None
            if task.status is not Status.OPEN:
                return

    async def _auction(self, task: Task, appraised: Sequence[tuple[Agent, Offer | Decline | None]] | None) -> Task:
        if appraised is None or task.excluded:
            appraised = await self._appraise(task.description, task.only, task.excluded)
        answers = appraised
        self._park(task.id, [agent.name for agent, answer in answers if isinstance(answer, Offer)])
        busy: list[str] = []

        def work(tx: SwarmTx) -> Task:
            now = _find(tx, task.id)
            asked = [(agent, answer) for agent, answer in answers if agent.name not in now.excluded]
            if now.status is Status.OPEN:
                now = bidding.open_and_close(tx, now, asked, self._terms)
            if bidding.collects(now):
                busy[:] = bidding.join(tx, now, asked)
            return now

        after = await self._decided(work)
        if bidding.collects(after):
            self._park(task.id, busy)
        return after

    async def _work(self, task: Task) -> Task:
        """One attempt, from its start to its end. Whoever ends it from outside stops it, whatever it is at."""
        try:
            async with asyncio.timeout(None) as scope:
                self._working[task.id, task.attempt] = scope
                after = await self._attempt(task)
        except TimeoutError:
            log.info("%s was stopped at %s", task.agent, task.name)
            after = await self.show(task.id)
        finally:
            del self._working[task.id, task.attempt]
        self._freed(task.agent or "")
        return after

    async def _attempt(self, task: Task) -> Task:
        """Start it if that is still to be done, do the work, and write what came of it, however long that takes."""
        if task.status is Status.AWARDED:
            started = await self._started(task)
            if started is None:
                return task
            task = started
        outcome = await self._outcome(task)
        if isinstance(outcome, Delivery):
            return await self._written(lambda tx: self._finish(tx, task, outcome))
        blame = not isinstance(outcome, UserError)
        return await self._written(lambda tx: self._lost(tx, task, str(outcome), blame=blame))

    async def _outcome(self, task: Task) -> Delivery | UserError | str:
        """The work, or why there is none: the task's own fault, or a reason."""
        try:
            return await self._worker.work(self._roster.get(task.agent or ""), task)
        except UserError as error:
            return error
        except HubError as error:
            return str(error)
        except Exception:
            log.exception("%s broke off at %s", task.agent, task.name)
            return "its work broke off unexpectedly (the log says more)"

    async def _started(self, task: Task) -> Task | None:
        """Start an awarded attempt: only one of several walks can, and that one does the work."""

        def work(tx: SwarmTx) -> Task | None:
            now = _find(tx, task.id)
            if now.lease != task.lease or now.status is not Status.AWARDED:
                return None
            return take(tx, now, life.start(now, lease_until=tx.now + self.rules.lease), task.agent or HUB)

        started = await self._store.write(work)
        if started is not None:
            self._expect(started)
        return started

    def _finish(self, tx: SwarmTx, task: Task, delivery: Delivery) -> Task:
        """Result, state and payout in one unit of work, for this attempt's lease only: late or double results do nothing."""
        now = _find(tx, task.id)
        if now.lease != task.lease or now.status is not Status.RUNNING:
            return now
        tx.tasks.attach(task.id, delivery.files, tx.now)
        worker = task.agent or HUB
        now = take(tx, now, life.deliver(now, result=delivery.text, review_until=tx.now), worker)
        return take(tx, now, life.settle(now, how="auto"), worker)

    def _lost(self, tx: SwarmTx, task: Task, why: str, *, blame: bool = True) -> Task:
        """An attempt ended without a result."""
        now = _find(tx, task.id)
        if now.lease != task.lease or now.status not in AT_WORK:
            return now
        return take(tx, now, life.lose(now, why=why, blame=blame), HUB)

    async def _lose(self, task: Task, why: str) -> None:
        """End an attempt from outside. Its walk goes on with the next one; a task that nobody walks is restarted."""
        after = await self._written(lambda tx: self._lost(tx, task, why))
        walked = self._at_it(task)
        self._ended(task)
        if not walked:
            self._restart(after)

    def _restart(self, task: Task) -> None:
        if task.status is Status.OPEN:
            self._set_out(task.id, partial(self._walk, task))

    def _at_it(self, task: Task) -> bool:
        """Whether a walk of this process is at this attempt of the task."""
        return (task.id, task.attempt) in self._working

    def _ended(self, task: Task) -> None:
        """An attempt was ended from outside. Its own walk is stopped, and frees the agent; without one it is free now."""
        if self._at_it(task):
            scope = self._working[task.id, task.attempt]
            if not scope.expired():
                scope.reschedule(0)
        elif task.agent is not None:
            self._freed(task.agent)

    # Waiting for busy agents -----------------------------------------------------------------------------------

    def _park(self, number: int, agents: Sequence[str]) -> None:
        """Note whom a task could wait for, before its auction finds out whether it must: a wake-up in between is not missed."""
        self._unpark(number)
        self._waiting[number] = tuple(agents)
        for agent in agents:
            self._parked.setdefault(agent, set()).add(number)

    def _unpark(self, number: int) -> None:
        for agent in self._waiting.pop(number, ()):
            self._parked[agent].discard(number)

    def _offer_again(self, numbers: Iterable[int]) -> None:
        for number in sorted(numbers):
            self._unpark(number)
            self._set_out(number, partial(self._again, number))

    def _freed(self, agent: str) -> None:
        """An agent is free again: the tasks that wait for it are put up, the oldest first, until it is busy."""
        if self._parked.get(agent):
            self._spawner.spawn(self._refill(agent), f"refill {agent}")

    async def _refill(self, agent: str) -> None:
        while waiting := self._parked.get(agent):
            number = min(waiting)
            self._unpark(number)
            try:
                task = await self._auction(await self.show(number), None)
            except Exception as error:  # noqa: BLE001 - one task must not hold up those that wait behind it
                _complain(number, error)
                self._set_out(number, partial(self._again, number))
                continue
            if task.status is Status.AWARDED:
                self._set_out(number, partial(self._walk, task))
            if task.agent == agent or number in self._parked.get(agent, ()):
                return

    # Time ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what time brings, for ever."""
        while True:
            self._time.clear()
            self._next_due = await self._upcoming()
            await self._clock.until(self._next_due, self._time)
            for number in await self._due():
                try:
                    await self._tick(number)
                except Exception as error:  # noqa: BLE001 - one task must not stop the clock for the others
                    _complain(number, error)
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
            before = _find(tx, number)
            return before, self._timely(tx, before)

        before, task = await self._store.write(work)
        self._note(task)
        if before.status in AT_WORK and task.status not in AT_WORK:
            self._ended(before)
        if task.status is Status.AWARDED and before.status is Status.BIDDING:
            self._set_out(number, partial(self._walk, task))
        self._restart(task)

    def _timely(self, tx: SwarmTx, task: Task) -> Task:
        if task.due is None or task.due > tx.now:
            return task
        if task.status is Status.DELIVERED:
            return take(tx, task, life.settle(task, how="review"), HUB)
        if tx.now >= task.deadline:
            return take(tx, task, life.expire(task), HUB)
        if task.status is Status.BIDDING:
            return bidding.close(tx, task, self._terms)
        if self._at_it(task):
            task = task.but(lease_until=tx.now + self.rules.lease)
            tx.tasks.save(task)
            return task
        return take(tx, task, life.lose(task, why=f"{task.agent} went silent"), HUB)

    def _expect(self, task: Task) -> None:
        """Wake the clock if this task is due before everything else."""
        if task.due is not None and (self._next_due is None or task.due < self._next_due):
            self._next_due = task.due
            self._time.set()

    async def recover(self) -> int:
        """Take up every task that the last stop interrupted; returns how many. Leases start anew, with all their time."""
        try:
            tasks = await self._store.write(lambda tx: [self._rearm(tx, task) for task in tx.tasks.live()])
        except Unavailable:
            raise
        except Exception:
            log.exception("not all tasks can be taken up together; taking them one by one")
            tasks = await self._recover_each()
        for task in tasks:
            self._set_out(task.id, partial(self._walk, task))
        return len(tasks)

    async def _recover_each(self) -> list[Task]:
        """Take up what can be; a task that cannot be is looked at again, and keeps no other from it."""
        tasks = []
        for task in await self._store.read(lambda tx: tx.tasks.live()):
            try:
                tasks.append(await self._store.write(partial(_on, task.id, self._rearm)))
            except Exception as error:  # noqa: BLE001 - it is one of many
                _complain(task.id, error)
                self._set_out(task.id, partial(self._again, task.id))
        return tasks

    def _rearm(self, tx: SwarmTx, task: Task) -> Task:
        if task.status is Status.BIDDING and not task.waits_for_people:
            return bidding.close(tx, task, self._terms)
        if task.status in AT_WORK and not is_person(task.agent):
            if not self._roster.capacity(task.agent or ""):
                return take(tx, task, life.lose(task, why=f"{task.agent} is no longer on the roster"), HUB)
            task = task.but(lease_until=tx.now + self.rules.lease)
            tx.tasks.save(task)
        return task

    # Parts -----------------------------------------------------------------------------------------------------

    async def _decided(self, work: Callable[[SwarmTx], Task]) -> Task:
        task = await self._store.write(work)
        self._note(task)
        return task

    async def _written(self, work: Callable[[SwarmTx], Task]) -> Task:
        """The same for what exists nowhere else yet: it is written in the end, however long the disk is full."""
        task = await patiently(self._store, work, self._clock)
        self._note(task)
        return task

    def _note(self, task: Task) -> None:
        """A task was written: the clock may have to know, and one that takes no more bids waits for nobody."""
        self._expect(task)
        if task.status is not Status.OPEN and not bidding.collects(task):
            self._unpark(task.id)

    def _checked(self, order: Order) -> Order:
        words = order.description.strip()
        if not any(map(str.isalnum, words)):
            raise NoWork
        if len(words) > MAX_DESCRIPTION:
            raise TooManyWords(limit=MAX_DESCRIPTION, given=len(words))
        if order.time is not None and not SECOND <= order.time <= MAX_DEADLINE:
            raise BadDeadline(what="A task's time", given=_span(order.time))
        only = order.only
        if only is not None:
            only = check_actor(only) if is_person(only) else self._roster.get(only).name
        return replace(order, description=words, only=only)

    def _post(self, tx: SwarmTx, order: Order) -> tuple[Task, bool]:
        if (done := tx.applied(order.key)) is not None:
            return _find(tx, int(done)), False
        number = tx.tasks.next_id()
        budget = order.budget or self.rules.budget
        account = user_account(order.caller.payer)  # under `--as` too: trying things out spends nobody else's sats
        hold = wallet.hold_budget(tx, account=account, task=number, amount=budget)
        task = Task(
            id=number, requester=order.caller.name, account=account, conversation=order.conversation,
            description=order.description, status=Status.OPEN, budget=budget, hold=hold, pick=order.pick, only=order.only,
            attempt=1, attempts=self.rules.attempts, posted_at=tx.now,
            deadline=tx.now + (order.time or self.rules.deadline), retry_of=order.retry_of,
        )  # fmt: skip
        tx.tasks.add(task)
        tx.emit(Event(Kind.TASK_POSTED, number, data={"budget_sats": to_sats(budget), "by": order.caller.recorded}))
        tx.mark(order.key, str(number))
        return task, True

    async def _appraise(
        self, description: str, only: str | None, excluded: Sequence[str]
    ) -> list[tuple[Agent, Offer | Decline | None]]:
        agents = [agent for agent in self._roster if agent.name not in excluded and only in {None, agent.name}]

        said: dict[str, Offer | Decline | None] = {}

        async def ask(agent: Agent) -> None:
            try:
                said[agent.name] = await self._worker.appraise(agent, description)
            except HubError as error:
                said[agent.name] = Decline(str(error))
            except Exception:
                log.exception("%s cannot say what a task would take", agent.name)
                said[agent.name] = Decline("could not look at it (the log says more)")

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(APPRAISAL_SECONDS):
                await asyncio.gather(*(ask(agent) for agent in agents))
        late = Decline("did not answer in time")
        return [(agent, said.get(agent.name, late)) for agent in agents]

    async def _refuse_wrong_agent(
        self, order: Order, appraised: Sequence[tuple[Agent, Offer | Decline | None]]
    ) -> None:
        """Refuse a task for an agent that does no such work, where others do."""
        if order.only is None or is_person(order.only) or any(answer for _, answer in appraised):
            return
        others = await self._appraise(order.description, None, (order.only,))
        able = [agent.name for agent, answer in others if isinstance(answer, Offer)]
        if able:
            raise NotTheirWork(agent=order.only, able=" and ".join(able))


def _refuse_faulty(order: Order, appraised: Sequence[tuple[Agent, Offer | Decline | None]]) -> None:
    """Refuse a task that nobody can do because of what it names (a missing file, say), before anything is written."""
    people = is_person(order.only) or (order.pick == "ask" and order.only is None)
    if people or any(isinstance(answer, Offer) for _, answer in appraised):
        return
    for _, answer in appraised:
        if isinstance(answer, Decline) and answer.fault is not None:
            raise answer.fault


def _span(time: int) -> str:
    """A time in ms as people write it: `31d`, `90s`."""
    seconds = time // SECOND
    size, unit = next(one for one in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")) if seconds % one[0] == 0)
    return f"{seconds // size}{unit}"


def _complain(number: int, error: Exception) -> None:
    """Log why a task did not go on."""
    if isinstance(error, Unavailable):
        log.warning("%s waits: %s", task_name(number), error)
    else:
        log.error("%s did not go on: %r", task_name(number), error, exc_info=error)


def _on(number: int, work: Callable[[SwarmTx, Task], Task], tx: SwarmTx) -> Task:
    return work(tx, _find(tx, number))


def _find(tx: SwarmTx, number: int) -> Task:
    task = tx.tasks.find(number)
    if task is None:
        raise UnknownTask(task=task_name(number))
    return task
