"""The swarm's service: it walks every task from its post to its end, and keeps walking after a crash.

Each public method is one decision of a person or an agent, in one unit of work. What must follow at once is started
after the commit and goes its way in `walk`; what time brings, and what a restart interrupted, is taken up in `timing`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from core.access import Action, NeedsTap, authorize, looking
from core.errors import Unavailable, UserError
from core.events import Kind
from core.money import to_msat
from core.swarm import bidding, orders
from core.swarm import task as life
from core.swarm.appraisal import Appraiser, NotWithModel
from core.swarm.attempt import Attempts, Dismissed
from core.swarm.auction import Bid
from core.swarm.bidding import Terms
from core.swarm.booking import take
from core.swarm.crew import Crew
from core.swarm.desk import Desk
from core.swarm.docket import Docket, find
from core.swarm.orders import Order, Rules
from core.swarm.parking import words
from core.swarm.ports import Decline, Offer, Workers, seated
from core.swarm.task import AT_WORK, Status, Verb, WrongState, is_person
from core.swarm.timing import Timing
from core.swarm.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.chat import Caller
    from core.events import Event, Json
    from core.ports import Clock, IdSource, Spawner
    from core.store import Store
    from core.swarm.ports import Answer, ResultFile, Seat, SwarmTx, Worker
    from core.swarm.reputation import Record
    from core.swarm.roster import Roster
    from core.swarm.task import Task


class NoSuchBid(UserError):
    """{agent} has no bid on {task}. /bids {task} shows who has."""

    status = 404


class AgentBusy(UserError):
    """{agent} is busy with other work. Award {task} again once it is free, or pick another bid."""

    status = 409


class NotYours(UserError):
    """{task} is not yours to deliver: it was awarded to {agent}."""

    status = 403


class AgentsBid(UserError):
    """{task} is for agents to bid on. Its requester lets people bid: pick=ask, to=PERSON, or /notify bids on where it is posted."""

    status = 409


class NotOver(UserError):
    """{task} is {status}; only a task that is over can be tried again. /cancel {task} ends it."""

    status = 409


class Waits(NamedTuple):
    """Tasks that wait, each with the agents of which the first that is free takes it; and workers, by name."""

    tasks: list[tuple[int, tuple[str, ...]]]
    here: list[str]
    away: list[str]


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
        as_now: Callable[[SwarmTx, Caller], Caller],
        rules: Rules | None = None,
        sold: Worker | None = None,
        foresee: Callable[[Any, Task, Sequence[str]], None] | None = None,
        people: Callable[[str], bool] = lambda _: False,
        find_model: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        """`sold`: does the work that strangers bought, where that is not the `worker` too.

        `as_now`: who asks, as they stand in the unit of work that decides; it raises where they are somebody else by then.
        `foresee` takes part in the unit of work that posts a task, and is told who is in the running. `people`: whether people
        asked to bid on what is posted in a conversation. `find_model`: the model here that a name means, by its full name; it
        raises where there is none.
        """
        self._store = store
        self._as_now = as_now
        self._roster = roster
        self._worker = worker
        self._spawner = spawner
        self._foresee = foresee
        self._find_model = find_model
        self.rules = rules or Rules()
        self.crew = Crew(store, clock, roster.called_for)
        self._terms = Terms(
            window=self.rules.window,
            lease=self.rules.lease,
            token=lambda: ids.token(12),
            roster=roster,
            crew=self.crew,
            people=people,
        )
        self._docket = Docket(store, clock, self.crew)
        workers = Workers(worker, sold or worker)
        self._appraiser = Appraiser(roster, workers)
        attempts = Attempts(store, self._docket, roster, workers, lease=self.rules.lease)
        self._walk = Walk(self._docket, self._appraiser, attempts, self._terms, clock=clock, spawner=spawner)
        self._timing = Timing(store, clock, self._docket, self._walk, self._terms)
        self.desk = Desk(store, self._docket, self._walk, self._terms, spawner, review=self.rules.review)

    def _known(self, name: str) -> str:
        """An agent's full name, of the roster or the crew. Raises `UnknownAgent`."""
        return name if self.crew.has(name) else self._roster.get(name).name

    def _now(self, tx: SwarmTx, caller: Caller, key: str) -> Caller:
        """Who asks, as they stand now; what was done under this key already was done as who they were then."""
        return caller if tx.applied(key) is not None else self._as_now(tx, caller)

    # What people decide ----------------------------------------------------------------------------------------

    async def examine(self, order: Order) -> Order:
        """The order in its proper form. Raises where it, or the task itself, is at fault."""
        self._authorize(order)
        order = await self._in_form(order)
        await self._appraiser.examine(order)
        return order

    async def vain(self, order: Order) -> str:
        """Why an order for whoever is here would fail at once, where all who say why say the same; empty where it might not.

        Raises where the task itself is at fault.
        """
        said = [answer for _, answer in await self._appraiser.examine(order)]
        whys = {one.why for one in said if isinstance(one, Decline)}
        able = any(isinstance(one, Offer) for one in said) or any(self.crew) or self._terms.people(order.conversation)
        return "" if able or len(whys) != 1 else whys.pop()

    async def post(
        self,
        order: Order,
        tell: Callable[[SwarmTx, Task], None] | None = None,
        fund: Callable[[SwarmTx, Order], Order] | None = None,
    ) -> Task:
        """Post a task: its budget is held, its auction starts. Refused, with nothing changed, where the task itself is at fault.

        `fund` and `tell` take part in the unit of work: the first brings what it is paid with, the second comes when it is posted.
        """
        with suppress(NeedsTap):  # a device's person is asked once it is seen that it can be done
            self._authorize(order)
        try:
            order = await self._in_form(order)
            appraised = await self._appraiser.examine(order)
        except UserError:
            posted = await self._store.read(lambda tx: tx.applied(order.key))
            if posted is None:
                raise
            return await self.show(int(posted))  # it was in order when it was posted, before a restart

        def work(tx: SwarmTx) -> tuple[Task, bool]:
            now = order._replace(caller=self._now(tx, order.caller, order.key))
            if fund is not None:
                now = fund(tx, now)
            task, new = orders.post(tx, now, self.rules)
            if order.caller.proxy is not None:
                self._authorize(order)
            if new and self._foresee is not None and not self._terms.people(task.conversation):
                self._foresee(tx, task, bidding.able(task, appraised, self._terms))
            if tell is not None:
                tell(tx, task)
            return task, new

        task, new = await self._store.write(work)
        if new:
            self._docket.alarm.expect(task)
            self._walk.start(task, appraised)
        return task

    def _authorize(self, order: Order) -> None:
        authorize(order.caller, Action.POST, cost=orders.budget_of(order, self.rules))
        if order.model is not None:
            authorize(order.caller, Action.TASK_MODEL)

    async def _in_form(self, order: Order) -> Order:
        """The order checked, its model by its full name. Which models a worker of the crew has, the hub does not know.

        Where the models cannot be listed the order is at fault: what waits for a model server waits for no node, nor for a restart.
        """
        order = orders.checked(order, self._known)
        if order.model is None or self._find_model is None or self.crew.has(order.only):
            return order
        try:
            return order._replace(model=await self._find_model(order.model))
        except Unavailable as error:
            raise NotWithModel(model=order.model, why=str(error).rstrip(".")) from error

    async def bid(self, caller: Caller, number: int, sats: int, *, eta: int | None, note: str, key: str) -> Task:
        """A person bids; where only they were asked, they have won."""
        orders.check_eta(eta)

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.BID):
                if tx.applied(key) is not None:
                    return task
                if task.status is not Status.BIDDING:
                    raise WrongState(task=task.name, status=task.status.value, verb="bid on")
                if not task.waits_for_people and not self._terms.people(task.conversation):
                    raise AgentsBid(task=task.name)
                said = f"{note} (bid by {now.recorded})".strip() if now.acting_for else note
                by: dict[str, Json] = {"by": now.recorded}
                bid = Bid(now.name, to_msat(sats), eta, said, 1000, tx.now)
                known = bidding.trusted(tx, [bid.agent], self._roster.field_of(task.description))[bid.agent]
                bidding.place(tx, task, bid, by, known, selves=now.linked)
                tx.mark(key, "")
                if now.means(task.only) and task.pick == "auto":
                    task = bidding.close(tx, task, self._terms, now.recorded)
                return task

        return await self._docket.write(work)

    async def award(self, caller: Caller, number: int, given: str, *, key: str) -> Task:
        """The requester (or an operator) picks a bid. An agent starts at once; a person delivers when done."""
        agent = given if is_person(given) else given.lower()

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.AWARD, own=now.means(task.requester)):
                if tx.applied(key) is not None:
                    return task
                life.check(task, Verb.AWARD)
                answers = tx.tasks.answers(task.id, task.attempt)
                bid = next((answer.bid for answer in answers if answer.bid.agent == agent and not answer.refused), None)
                if bid is None:
                    raise NoSuchBid(agent=given[:40], task=task.name)
                if not is_person(agent) and tx.tasks.load(self._known(agent)) >= self._terms.capacity(agent):
                    raise AgentBusy(agent=agent, task=task.name)
                tx.mark(key, "")
                return bidding.award(tx, task, bid, self._terms, now.recorded)

        task = await self._docket.write(work)
        if task.status is Status.AWARDED:
            self._walk.start(task)
        return task

    async def deliver(self, caller: Caller, number: int, result: str, *, key: str) -> Task:
        """The person who won hands in the result; the requester has the review time to reject it."""

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.DELIVER):
                if tx.applied(key) is not None:
                    return task
                if task.status in AT_WORK and not now.means(task.agent):
                    raise NotYours(task=task.name, agent=task.agent)
                if task.status is Status.AWARDED:
                    task = take(tx, task, life.start(task, lease_until=None), now.recorded)
                life.check(task, Verb.DELIVER)
                tx.mark(key, "")
                step = life.deliver(
                    task, result=result, now=tx.now, review_until=tx.now + self.rules.review, selves=now.linked
                )
                return take(tx, task, step, now.recorded)

        return await self._docket.write(work)

    async def accept(self, caller: Caller, number: int, *, key: str) -> Task:
        """The requester accepts: the escrow goes to the worker."""

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.JUDGE, own=now.means(task.requester)):
                if tx.applied(key) is not None:
                    return task
                life.check(task, Verb.SETTLE)
                tx.mark(key, "")
                return take(tx, task, life.settle(task, how="accepted"), now.recorded)

        return await self._docket.write(work)

    async def reject(self, caller: Caller, number: int, why: str, *, key: str) -> Task:
        """The requester rejects: another attempt without that worker, or a refund when none is left."""

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.JUDGE, own=now.means(task.requester)):
                if tx.applied(key) is not None:
                    return task
                life.check(task, Verb.REJECT)
                tx.mark(key, "")
                return take(tx, task, life.reject(task, why=why), now.recorded)

        task = await self._docket.write(work)
        self._walk.restart(task)
        return task

    async def cancel(self, caller: Caller, number: int, *, key: str) -> Task:
        """Call a task off; whatever was set aside comes back, and a worker at it is stopped."""

        def work(tx: SwarmTx) -> Task:
            task, now = find(tx, number), self._now(tx, caller, key)
            with looking(now, Action.CANCEL, own=now.means(task.requester)):
                if tx.applied(key) is not None:
                    return task
                life.check(task, Verb.CANCEL)
                tx.mark(key, "")
                return take(tx, task, life.cancel(task), now.recorded)

        task = await self._docket.write(work)
        self._walk.ended(task)
        return task

    async def run_out(self, number: int, why: str, *, gone: bool) -> None:
        """What a task is paid with can be held no longer, or is `gone`: one that is delivered is paid, if it still can be."""

        def work(tx: SwarmTx) -> Task:
            task = find(tx, number)
            if task.over:
                return task
            if task.status is not Status.DELIVERED:
                step = life.expire(task, why=why)
            else:
                step = life.forfeit(task, why=why) if gone else life.settle(task, how="review")
            return take(tx, task, step, bidding.HUB)

        task = await self._docket.write(work)
        if task.status is Status.EXPIRED:
            self._walk.ended(task)

    async def retry(self, caller: Caller, number: int, *, conversation: str, key: str) -> Task:
        """Post a task that is over once more, as a new one linked to it."""
        task = await self.show(number)
        with looking(caller, Action.RETRY, own=caller.means(task.requester)):
            if not task.over:
                raise NotOver(task=task.name, status=task.status.value)
        order = Order(
            caller, conversation, task.description, key, budget=task.budget, time=task.deadline - task.posted_at,
            only=task.only, pick=task.pick, retry_of=task.id, model=task.model,
        )  # fmt: skip
        return await self.post(order)

    async def dismiss(
        self, caller: Caller, name: str, *, key: str, also: Callable[[SwarmTx], None] | None = None
    ) -> tuple[str, int]:
        """Take an agent off the roster; what it was doing goes to somebody else. Returns its name and how many tasks that is.

        `also`: what becomes of a worker besides, in the same unit of work.
        """
        if self.crew.knows(name):
            agent, new = name, await self.crew.turn(caller, name, live=False, key=key, as_now=self._as_now, also=also)
        else:
            agent, new = await self._roster.dismiss(caller, name, key=key, as_now=self._as_now)
        load = await self._store.read(lambda tx: tx.tasks.load(agent))
        if new:
            self._walk.offer_again(self._docket.parking.waiting_for(agent))
            self.lose(agent, str(Dismissed(agent=agent)), blame=False)
        return agent, load

    def lose(self, agent: str, why: str, *, blame: bool = True) -> None:
        """What an agent was doing goes to somebody else. `blame`: it counts as having failed."""
        self._spawner.spawn(self._hand_over(agent, why, blame=blame), f"what {agent} was doing")

    async def _hand_over(self, agent: str, why: str, *, blame: bool) -> None:
        for task in await self._store.read(lambda tx: tx.tasks.live()):
            if task.agent == agent and task.status in AT_WORK:
                await self._walk.lose(task, why, blame=blame)

    async def spawn(self, caller: Caller, given: str, *, key: str) -> str:
        """Add an agent of a persona, or let a dismissed worker work here again; returns its name.

        Tasks that wait for somebody capable are offered again.
        """
        if self.crew.knows(given):
            await self.crew.turn(caller, given, live=True, key=key, as_now=self._as_now)
            return given
        agent, new = await self._roster.spawn(caller, given, key=key, as_now=self._as_now)
        if new:
            self._walk.offer_again(self._docket.parking.waiting())
        return agent.name

    # Looking ---------------------------------------------------------------------------------------------------

    async def show(self, number: int) -> Task:
        """A task. Raises `UnknownTask`."""
        return await self._docket.show(number)

    async def tasks(self, status: Status | None, start: int | None, limit: int) -> tuple[list[Task], int]:
        """Tasks without their results, newest first, from number `start` down, and how many there are of them in all.

        A negative limit means every one.
        """

        def work(tx: SwarmTx) -> tuple[list[Task], int]:
            return tx.tasks.newest(status, limit, start=start, results=False), tx.tasks.count(status, start=start)

        return await self._store.read_apart(work)

    async def answers(self, number: int) -> tuple[Task, list[Answer]]:
        """A task and every answer to its present auction, sealed or not: who may see them is the asker's business."""

        def work(tx: SwarmTx) -> tuple[Task, list[Answer]]:
            task = find(tx, number)
            return task, tx.tasks.answers(task.id, task.attempt)

        return await self._store.read(work)

    def waits(self) -> Waits:
        """What waits for whom, and how the crew stands."""
        open_for = [
            (number, agents) for number, agents in self._docket.parking.all() if number not in self._docket.board
        ]
        here = [worker.name for worker in self.crew if self.crew.here(worker.name)]
        away = [worker.name for worker in self.crew if not self.crew.here(worker.name)]
        return Waits(open_for, here, away)

    def stranded(self, number: int, loads: Mapping[str, int], *, frozen: bool) -> str:
        """Why an open task waits for nobody who will take it; empty where it does."""
        agents = self._docket.parking.whom(number)
        if agents is None:
            return "it waits for nobody"
        if not agents:
            return "" if frozen else "spending goes on, and it was not put up again"
        if any(self._walk.comes_to(agent, number, loads.get(agent, 0)) for agent in agents):
            return ""
        return f"it waits for {', '.join(agents[: bidding.MOST_NAMED])}, busy with nothing here"

    def resume(self, number: int) -> None:
        """Set out with a task that may have been left lying."""
        self._walk.resume(number)

    def progress(self, number: int) -> str | None:
        """How it goes with a task: what was last said of its work, or whom it waits for."""
        agents = self._docket.parking.whom(number)
        if agents is None or number in self._docket.board:
            return self._docket.progress.get(number)
        return words(agents)

    async def files(self, number: int) -> list[ResultFile]:
        """A task's result files."""
        return await self._store.read(lambda tx: tx.tasks.files(number))

    async def record(self, agent: str) -> dict[str, Record]:
        """What an agent did, by field."""
        return await self._store.read(lambda tx: tx.tasks.records(agent))

    async def market(self) -> list[tuple[str, str, Record]]:
        """What every agent did: (agent, field, record). What people earn is theirs to know."""
        found = await self._store.read(lambda tx: tx.tasks.reputation())
        return [row for row in found if not is_person(row[0])]

    def is_here(self, name: str) -> bool:
        """Whether there is an agent of this name now, of the roster or the crew."""
        return self._roster.capacity(name) > 0 or (self.crew.has(name) and self.crew.here(name))

    async def seats(self) -> list[Seat]:
        """Who works here: the hub's own agents, then the crew."""
        loads = await self._store.read(lambda tx: tx.tasks.loads())
        return [
            *[seated(agent, loads[agent.name], await self._worker.ready(agent)) for agent in self._roster],
            *(self.crew.seat(worker, loads[worker.name]) for worker in self.crew),
        ]

    async def seat(self, given: str) -> Seat:
        """One of them, by name. Raises `UnknownAgent`."""
        name = self._known(given)
        return next(seat for seat in await self.seats() if seat.name == name)

    # Going on --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what time brings, for ever."""
        await self._timing.run()

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed: where spending goes on, what waited for that is put up."""
        if any(event.kind is Kind.SPENDING_UNFROZEN for event in events):
            self._spawner.spawn(self._thaw(), "what waited for spending to go on")

    async def _thaw(self) -> None:
        tasks = await self._store.read(lambda tx: tx.tasks.live())
        self._walk.offer_again(task.id for task in tasks if task.status is Status.OPEN)

    async def recover(self) -> int:
        """Take up every task that the last stop interrupted; returns how many. Leases start anew, with all their time."""
        return await self._timing.recover()
