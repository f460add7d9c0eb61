"""The books under any order of commands, time, failures and kills, against a plain model (MONEY, "Invariants").

A Hypothesis machine drives the real coordinator, ledger and writer over a real SQLite file. After every step everything
that can run has run, and each invariant but the ninth (there is no Lightning node yet) is checked from outside, with SQL
of its own. `make test-deep` tries more examples than `make test`, and `make test-kill` runs it for minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.sqlite.connection import connect_reader
from adapters.sqlite.unit_of_work import UnitOfWork
from core.access import NotAllowed
from core.approval import parse_approval
from core.chat import Caller, Reply, Role
from core.errors import HubError
from core.events import Kind
from core.linking import NotLinked, OwnCode, UnderWay
from core.money import MAX_SATS
from core.store import LAST_PAUSE, DiskFull
from core.swarm.appraisal import NotTheirWork
from core.swarm.bidding import BidOutOfRange, HadItsTurn, NotInvited
from core.swarm.coordinator import AgentBusy, NoSuchBid, NotOver, NotYours
from core.swarm.orders import Order
from core.swarm.roster import UnknownAgent
from core.swarm.task import WrongState
from core.wallet.ledger import NotEnoughSats
from core.wallet.limits import Frozen
from tests.depth import depth
from tests.fakes import FakeClock, FakeIds, IdleSelector
from tests.property.checks import balanced
from tests.property.model import AT_WORK, LIVE, OVER, Model
from tests.property.mortal import PERSONAS, RULES, Blow, Hub, new_book

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from core.events import Event
    from core.swarm.coordinator import Coordinator
    from tests.property.model import Deal

OWNER = Caller("console:owner", Role.OWNER)
ANN, TWIN = Caller("telegram:1", Role.MEMBER), Caller("matrix:@second:example.org", Role.MEMBER)
"""A person, and somebody who is sometimes linked to them."""

PEOPLE = (OWNER, ANN, Caller("matrix:@whale:example.org", Role.MEMBER), TWIN)
GRANTS = {OWNER.name: 10_000, ANN.name: 300, PEOPLE[2].name: MAX_SATS, TWIN.name: 150}
NAMES = tuple(persona.name for persona in PERSONAS)
SECOND, HOUR = 1000, 3_600_000

NEW_BOOK: list[bytes] = []
"""A database whose people have been granted sats, made once."""

any_number = st.integers(0, 999)
prices = st.integers(-20, 120).map(lambda sats: sats if sats > 0 else 0 if sats % 2 else None)
budgets = st.one_of(st.integers(1, 300), st.integers(60, 300), st.sampled_from([10_000, MAX_SATS - 1, MAX_SATS]))
people = st.sampled_from(PEOPLE)


@dataclass(frozen=True)
class Command:
    """One decision. `refused` is the error that the model expects, None where it must succeed."""

    words: str
    run: Callable[[Coordinator], Coroutine[Any, Any, object]]
    refused: type[HubError] | None = None


@dataclass(frozen=True)
class Wish:
    """A task as it was asked for."""

    only: str | None
    pick: str
    description: str


def _any_is(*statuses: str) -> Callable[[Any], bool]:
    return lambda machine: bool(machine._in(*statuses))


class Books(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="books-"))
        self.selector = IdleSelector()
        self.runner = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self.selector))
        self.clock = FakeClock()
        self.ids = FakeIds()
        self.model = Model(RULES.attempts)
        self.wishes: dict[int, Wish] = {}
        self.asks: dict[str, Mapping[str, int | None]] = {}
        self.answered: list[Command] = []
        self.unanswered: list[Command] = []
        self.count = 0
        self.last_event = 0
        self.closed: dict[int, tuple[str, int]] = {}
        self.offers: dict[tuple[int, str], set[int | None]] = {}
        self.next_blow: Blow | None = None

    # Lives -----------------------------------------------------------------------------------------------------

    @initialize(pace=st.lists(st.integers(0, 2), min_size=1, max_size=7))
    def begin(self, pace: list[int]) -> None:
        self.pace = itertools.cycle(pace)
        path = self.folder / "000" / "hub.db"
        path.parent.mkdir()
        if not NEW_BOOK:
            self.runner.run(new_book(path, self.clock, GRANTS))
            NEW_BOOK.append(path.read_bytes())
        path.write_bytes(NEW_BOOK[0])
        for name, sats in GRANTS.items():
            self.model.posted[f"user:{name}"] += sats * 1000
            self.model.posted["external"] -= sats * 1000
        self._start(path)

    def _start(self, path: Path, blow: Blow | None = None) -> None:
        self.hub = Hub(path, self.clock, self.ids, self.selector, self.pace)
        self.hub.desk.asks = self.asks
        self.runner.run(self.hub.start(blow))
        self.view = connect_reader(path)
        self._look()

    def _bury(self) -> Path:
        self.view.close()
        self.runner.run(self.hub.end())
        return self.hub.store.image if self.hub.dead else self.hub.path

    def teardown(self) -> None:
        if hasattr(self, "view"):
            path = self._bury()
            with closing(connect_reader(path)) as last:
                UnitOfWork(last).books.prove()
        self.runner.close()
        shutil.rmtree(self.folder)

    def _look(self) -> None:
        """Read what was committed, and let the model hear it."""
        for event in UnitOfWork(self.view).events_after(self.last_event, 10_000):
            assert event.id == self.last_event + 1, "an event is missing"
            self.last_event = event.id
            self.model.hear(event)
            if event.kind is Kind.TASK_AWARDED:
                assert event.data["price_sats"] in self._offers(event), f"{event} is not what was bid"

    def _offers(self, award: Event) -> set[int | None]:
        """What the winner has asked for the task."""
        deal, name = self.model.deals[award.task or 0], award.agent or ""
        persona = name.partition("-")[0]
        return self.offers.get((deal.number, name)) or {self.asks[self._wish(deal).description].get(persona)}

    def _ask(self, *commands: Command, meanwhile: Callable[[], object] = bool, alone: bool = True) -> None:
        """Send commands side by side; hold the answer of a single one against what the model expects."""
        before = self._written()
        calls = (command.run(self.hub.coordinator) for command in commands)
        outcomes = self.runner.run(self.hub.run(_do(meanwhile), *calls))[1:]
        for command, outcome in zip(commands, outcomes, strict=True):
            if outcome is None or isinstance(outcome, DiskFull):
                assert self.hub.store.struck, f"{command.words}: {outcome!r}"
                self.unanswered.append(command)
            elif isinstance(outcome, BaseException):
                assert isinstance(outcome, HubError), f"{command.words}: {outcome!r}"
                assert not alone or type(outcome) is command.refused, f"{command.words}: {outcome!r}"
                assert not alone or self._written() == before, f"{command.words} was refused and changed something"
            else:
                assert not alone or command.refused is None, f"{command.words} was not refused"
                self.answered.append(command)
        self._survive()

    def _survive(self) -> None:
        """Hear what happened; after a kill, start again from the image."""
        self._look()
        while self.hub.dead:
            blow, self.next_blow = self.next_blow, None
            self._start(self._bury(), blow)

    def _written(self) -> tuple[int, frozenset[str], frozenset[tuple[int, int]]]:
        """What changes with any commit that wrote, and what the hub keeps in memory of it."""
        (version,) = self.view.execute("PRAGMA data_version").fetchone()
        return version, self._live(), frozenset(self.hub.desk.benches)

    def _live(self) -> frozenset[str]:
        return frozenset(agent.name for agent in self.hub.roster)

    def _not_theirs(self, wish: Wish) -> bool:
        """Whether it is meant for an agent that does no such work, where another would."""
        if wish.only is None or ":" in wish.only:
            return False
        asks = {agent.name: self.asks[wish.description].get(agent.persona.name) for agent in self.hub.roster}
        return asks.pop(wish.only) is None and any(asks.values())

    # Choosing --------------------------------------------------------------------------------------------------

    def _key(self) -> str:
        self.count += 1
        return f"k{self.count}"

    def _in(self, *statuses: str) -> list[Deal]:
        return [deal for deal in self.model.deals.values() if deal.status in statuses][::-1]

    def _deal(self, number: int, *statuses: str) -> Deal:
        """Mostly a task in one of the statuses, sometimes any."""
        some = (number % 8 and self._in(*statuses)) or list(self.model.deals.values())[::-1]
        return some[number // 8 % len(some)]

    def _by(self, deal: Deal, number: int) -> tuple[Caller, bool]:
        """Mostly the requester, sometimes a stranger: (caller, whether they may)."""
        own = next(person for person in PEOPLE if person.name == deal.requester)
        caller = own if number % 7 else PEOPLE[number // 7 % len(PEOPLE)]
        return caller, caller is OWNER or self._as(caller).means(deal.requester)

    def _as(self, person: Caller) -> Caller:
        """Somebody as the hub sees them now."""
        if person not in {ANN, TWIN} or TWIN.actor not in self.model.accounts:
            return person
        return person._replace(account=None if person is ANN else ANN.actor, linked=frozenset({ANN.actor, TWIN.actor}))

    # Commands --------------------------------------------------------------------------------------------------

    def _post(self, caller: Caller, sats: int, wish: Wish) -> Command:
        key, name = self._key(), self._as(caller).name
        person = wish.only is not None and ":" in wish.only
        refused: type[HubError] | None = None
        if wish.only is not None and not person and wish.only not in self._live():
            refused = UnknownAgent
        elif self._not_theirs(wish):
            refused = NotTheirWork
        elif self.model.frozen:
            refused = Frozen
        elif sats * 1000 > self.model.free(name):
            refused = NotEnoughSats

        async def run(coordinator: Coordinator) -> object:
            order = Order(
                self._as(caller), "console:1", wish.description, key, budget=sats * 1000, only=wish.only, pick=wish.pick
            )
            task = await coordinator.post(order)
            self.wishes[task.id] = wish
            return task

        return Command(f"post {sats} as {caller.name} {wish}", run, refused)

    def _bid(self, caller: Caller, deal: Deal, sats: int) -> Command:
        key, number, only = self._key(), deal.number, self._wish(deal).only
        bidder = self._as(caller)
        self.offers.setdefault((number, bidder.name), set()).add(sats)
        refused: type[HubError] | None = None
        if deal.status != "bidding":
            refused = WrongState
        elif sats * 1000 > deal.budget:
            refused = BidOutOfRange
        elif only is not None and not bidder.means(only):
            refused = NotInvited
        elif any(map(bidder.means, deal.excluded)):
            refused = HadItsTurn
        elif self.model.frozen and only is not None and self._wish(deal).pick == "auto":
            refused = Frozen  # the bid would win
        return Command(
            f"bid {sats} on {number} as {caller.name}",
            lambda coordinator: coordinator.bid(self._as(caller), number, sats, eta=None, note="", key=key),
            refused,
        )

    def _award(self, deal: Deal, choice: int, name: str | None = None) -> Command:
        caller, may = self._by(deal, choice)
        key, number = self._key(), deal.number
        names = sorted(deal.bids) or ["echo"]
        name = name or (names[choice % len(names)] if choice % 5 else "quill")
        refused: type[HubError] | None = None
        if not may:
            refused = NotAllowed
        elif deal.status != "bidding":
            refused = WrongState
        elif name not in deal.bids:
            refused = NoSuchBid
        elif ":" not in name and name not in self._live():
            refused = UnknownAgent
        elif ":" not in name and self.model.busy(name):
            refused = AgentBusy
        elif self.model.frozen:
            refused = Frozen
        return Command(
            f"award {number} to {name}",
            lambda coordinator: coordinator.award(self._as(caller), number, name, key=key),
            refused,
        )

    def _deliver(self, caller: Caller, deal: Deal) -> Command:
        key, number = self._key(), deal.number
        refused: type[HubError] | None = None
        if deal.status not in AT_WORK:
            refused = WrongState
        elif not self._as(caller).means(deal.agent):
            refused = NotYours
        return Command(
            f"deliver {number} as {caller.name}",
            lambda coordinator: coordinator.deliver(self._as(caller), number, "done", key=key),
            refused,
        )

    def _settle(self, verb: str, deal: Deal, choice: int) -> Command:
        caller, may = self._by(deal, choice)
        key, number = self._key(), deal.number
        fits = LIVE if verb == "cancel" else {"delivered"}
        refused = NotAllowed if not may else None if deal.status in fits else WrongState

        async def run(coordinator: Coordinator) -> object:
            match verb:
                case "accept":
                    return await coordinator.accept(self._as(caller), number, key=key)
                case "reject":
                    return await coordinator.reject(self._as(caller), number, "not good", key=key)
                case _:
                    return await coordinator.cancel(self._as(caller), number, key=key)

        return Command(f"{verb} {number} as {caller.name}", run, refused)

    def _retry(self, deal: Deal, choice: int) -> Command:
        caller, may = self._by(deal, choice)
        key, wish = self._key(), self._wish(deal)
        refused: type[HubError] | None = None
        if not may:
            refused = NotAllowed
        elif deal.status not in OVER:
            refused = NotOver
        elif wish.only is not None and ":" not in wish.only and wish.only not in self._live():
            refused = UnknownAgent
        elif self._not_theirs(wish):
            refused = NotTheirWork
        elif self.model.frozen:
            refused = Frozen
        elif deal.budget > self.model.free(self._as(caller).name):
            refused = NotEnoughSats

        async def run(coordinator: Coordinator) -> object:
            task = await coordinator.retry(self._as(caller), deal.number, conversation="console:1", key=key)
            self.wishes[task.id] = wish
            return task

        return Command(f"retry {deal.number} as {caller.name}", run, refused)

    def _spawn(self, persona: str) -> Command:
        key = self._key()
        return Command(f"spawn {persona}", lambda coordinator: coordinator.spawn(OWNER, persona, key=key))

    def _dismiss(self, name: str) -> Command:
        key = self._key()
        refused = None if name in self._live() else UnknownAgent
        return Command(f"dismiss {name}", lambda coordinator: coordinator.dismiss(OWNER, name, key=key), refused)

    def _wish(self, deal: Deal) -> Wish:
        """What was asked for; a post whose answer a kill swallowed is read from its row."""
        if deal.number not in self.wishes:
            row = self.view.execute("SELECT only, pick, description FROM task WHERE id = ?", (deal.number,)).fetchone()
            self.wishes[deal.number] = Wish(*row)
        return self.wishes[deal.number]

    def _any(self, data: st.DataObject) -> Command:
        """Any command on any task, in turn or out of turn."""
        choice = data.draw(any_number)
        caller = PEOPLE[choice % len(PEOPLE)]
        deal = self._deal(data.draw(any_number), "bidding", *AT_WORK, "delivered")
        makers: list[Callable[[], Command]] = [
            lambda: self._bid(caller, deal, 1 + choice % 150),
            lambda: self._award(deal, choice),
            lambda: self._deliver(caller, deal),
            lambda: self._settle("accept", deal, choice),
            lambda: self._settle("reject", deal, choice),
            lambda: self._settle("cancel", deal, choice),
            lambda: self._retry(deal, choice),
            lambda: self._spawn(NAMES[choice % 3]),
            lambda: self._dismiss(NAMES[choice % 3]),
        ]
        return makers[data.draw(st.integers(0, len(makers) - 1))]()

    # Rules -----------------------------------------------------------------------------------------------------

    @rule(caller=people, sats=budgets, pick=st.sampled_from(["auto", "ask"]), asks=st.tuples(prices, prices, prices))
    def post(self, caller: Caller, sats: int, pick: str, asks: tuple[int | None, ...]) -> None:
        self._ask(self._post(caller, sats, self._wish_for(None, pick, asks)))

    @rule(
        caller=people,
        sats=budgets,
        only=st.sampled_from([*(person.name for person in PEOPLE), *NAMES]),
        asks=st.tuples(prices, prices, prices),
    )
    def post_to(self, caller: Caller, sats: int, only: str, asks: tuple[int | None, ...]) -> None:
        self._ask(self._post(caller, sats, self._wish_for(only, "auto", asks)))

    def _wish_for(self, only: str | None, pick: str, asks: tuple[int | None, ...]) -> Wish:
        description = f"job {len(self.asks)}"
        self.asks[description] = dict(zip(NAMES, asks, strict=True))
        return Wish(only, pick, description)

    @precondition(_any_is("bidding"))
    @rule(caller=people, number=any_number, sats=st.integers(1, 150))
    def bid(self, caller: Caller, number: int, sats: int) -> None:
        deal = self._deal(number, "bidding")
        asked = next((person for person in PEOPLE if person.name == self._wish(deal).only), None)
        self._ask(self._bid(asked or caller, deal, min(sats, deal.budget // 1000) if number % 6 else sats))

    @precondition(_any_is("bidding"))
    @rule(number=any_number, choice=any_number, times=st.integers(1, 2))
    def award(self, number: int, choice: int, times: int) -> None:
        self._ask(*[self._award(self._deal(number, "bidding"), choice)] * times, alone=times == 1)

    @precondition(lambda self: any(":" in (deal.agent or "") for deal in self._in(*AT_WORK)))
    @rule(number=any_number)
    def deliver(self, number: int) -> None:
        deals = [deal for deal in self._in(*AT_WORK) if ":" in (deal.agent or "")]
        deal = deals[number % len(deals)]
        self._ask(self._deliver(next(person for person in PEOPLE if person.name == deal.agent), deal))

    @precondition(_any_is("bidding"))
    @rule(caller=people, number=any_number, then=st.sampled_from(["accept", "reject", "reject", "lapse", "wait"]))
    def do_it_oneself(self, caller: Caller, number: int, then: str) -> None:
        """A person bids, is awarded, delivers and is judged, one after the other."""
        deal = self._deal(number, "bidding")
        self.bid(caller, number, 1 + number % 60)
        people = sorted(bidder for bidder in deal.bids if ":" in bidder)
        if deal.status == "bidding" and people:
            self._ask(self._award(deal, 7, people[0]))
        winner = next((person for person in PEOPLE if person.name == deal.agent), None)
        if winner is not None:
            self._ask(self._deliver(winner, deal))
        if then == "lapse":
            self.time_passes(RULES.review)
        elif deal.status == "delivered" and then != "wait":
            self._ask(self._settle(then, deal, 1))

    @precondition(_any_is("delivered"))
    @rule(verb=st.sampled_from(["accept", "reject"]), number=any_number, choice=any_number, times=st.integers(1, 2))
    def judge(self, verb: str, number: int, choice: int, times: int) -> None:
        self._ask(*[self._settle(verb, self._deal(number, "delivered"), choice)] * times, alone=times == 1)

    @precondition(_any_is(*LIVE))
    @rule(number=any_number, choice=any_number)
    def cancel(self, number: int, choice: int) -> None:
        self._ask(self._settle("cancel", self._deal(number, *LIVE), choice))

    @precondition(_any_is(*OVER))
    @rule(number=any_number, choice=any_number)
    def retry(self, number: int, choice: int) -> None:
        self._ask(self._retry(self._deal(number, *OVER), choice))

    @precondition(lambda self: self.model.deals)
    @rule(data=st.data())
    def out_of_turn(self, data: st.DataObject) -> None:
        self._ask(self._any(data))

    @rule(taps=st.booleans())
    def link(self, taps: bool) -> None:
        """The second identity says the first one's code, and agrees to its sats coming along, or does not."""
        (given,) = self.runner.run(self.hub.run(self.hub.links.code(self._as(ANN))))
        self._survive()
        if not isinstance(given, Reply):
            return  # a kill or a full disk took the code
        key, code = self._key(), str(given.data["code"])
        deals = [deal for deal in self.model.deals.values() if deal.status not in OVER]
        refused: type[HubError] | None = None
        if TWIN.actor in self.model.accounts:
            refused = OwnCode
        elif any(
            TWIN.actor in {deal.requester, deal.agent, *(deal.bids if deal.status == "bidding" else ())}
            for deal in deals
        ):
            refused = UnderWay

        async def run(_: Coordinator) -> object:
            asked = await self.hub.links.join(self._as(TWIN), code, "", key=key)
            if taps and "approval" in asked.data:
                number = parse_approval(str(asked.data["approval"]))
                return await self.hub.approvals.settle(self._as(TWIN), number, yes=True, key=f"{key}/yes")
            return asked

        self._ask(Command("link", run, refused))

    @rule(owner=st.booleans())
    def unlink(self, owner: bool) -> None:
        key, caller = self._key(), OWNER if owner else ANN
        refused = None if TWIN.actor in self.model.accounts else NotLinked
        self._ask(Command("unlink", lambda _: self.hub.links.unlink(self._as(caller), TWIN.actor, key=key), refused))

    @rule(stops=st.booleans())
    def freeze(self, stops: bool) -> None:
        key = self._key()

        async def run(_: Coordinator) -> object:
            act = self.hub.spending.freeze if stops else self.hub.spending.unfreeze
            return await act(OWNER, key=key)

        self._ask(Command("freeze" if stops else "unfreeze", run))

    @rule(name=st.sampled_from([*NAMES, "quill-2"]), leaves=st.booleans())
    def change_the_roster(self, name: str, leaves: bool) -> None:
        self._ask(self._dismiss(name) if leaves else self._spawn(name.removesuffix("-2")))

    @precondition(lambda self: self.hub.desk.benches)
    @rule(number=any_number, how=st.sampled_from(["done", "done", "fails", "crashes"]))
    def worker_ends(self, number: int, how: str) -> None:
        def end() -> None:
            if how == "done":
                self.hub.desk.finish(bench)
            else:
                self.hub.desk.fail(bench, crash=how == "crashes")

        benches = sorted(self.hub.desk.benches)
        bench = benches[number % len(benches)]
        self._ask(meanwhile=end)

    @rule(ms=st.sampled_from([SECOND, 6 * SECOND, 61 * SECOND, HOUR + 1, 25 * HOUR]))
    def time_passes(self, ms: int) -> None:
        store = self.hub.store
        over = store.struck and not store.blow
        self._ask(meanwhile=lambda: self.clock.advance(ms))
        if over and store is self.hub.store and ms > LAST_PAUSE * SECOND:
            store.struck = False  # what a full disk broke off was tried again by now, however often it was before

    @precondition(lambda self: self.model.deals)
    @rule(data=st.data(), twice=st.booleans(), wakes=st.booleans(), ms=st.sampled_from([0, 0, 61 * SECOND, 25 * HOUR]))
    def together(self, data: st.DataObject, twice: bool, wakes: bool, ms: int) -> None:
        """Two commands (or one that arrives twice), a worker's end and time, all at once."""
        first = self._any(data)
        second = first if twice else self._any(data)

        def meanwhile() -> None:
            for bench in sorted(self.hub.desk.benches)[: int(wakes)]:
                self.hub.desk.finish(bench)
            self.clock.advance(ms)

        self._ask(first, second, meanwhile=meanwhile, alone=False)

    @precondition(lambda self: self.answered and not self.hub.store.blow and not self.hub.store.struck)
    @rule()
    def replay(self) -> None:
        """What had its effect changes nothing when it all comes again, key for key, whatever happened since."""
        before = self._written()
        for command in self.answered:
            self.runner.run(self.hub.run(command.run(self.hub.coordinator)))
            assert self._written() == before, f"{command.words} again changed something"

    @precondition(lambda self: self.unanswered)
    @rule(number=any_number)
    def repeat(self, number: int) -> None:
        """A command that nobody answered, because of a kill or a full disk, is sent once more, with its key."""
        command = self.unanswered.pop(number % len(self.unanswered))
        self._ask(command, alone=False)

    @precondition(lambda self: not self.hub.store.blow)
    @rule(
        blow=st.sampled_from(Blow), countdown=st.integers(0, 3), then=st.sampled_from([None, Blow.BEFORE, Blow.AFTER])
    )
    def fault(self, blow: Blow, countdown: int, then: Blow | None) -> None:
        """One of the next commits is struck; and the life after a kill may be struck as it recovers."""
        self.hub.store.blow, self.hub.store.countdown, self.next_blow = blow, countdown, then

    @rule()
    def restart(self) -> None:
        """An orderly stop and start."""
        self._start(self._bury())

    # Invariants ------------------------------------------------------------------------------------------------

    @invariant()
    def all_holds(self) -> None:
        self.books_balance()
        self.holds_close_once()
        self.books_are_the_models()
        self.tasks_are_the_models()
        UnitOfWork(self.view).books.prove()  # 10
        self.the_roster_is_the_rows()
        self.nobody_is_forgotten()

    def books_balance(self) -> None:
        """1, 2, 3, 12: zero sums; the balances are the sums of postings and open holds; floors hold."""
        assert balanced(self.view) == {"external"}

    def holds_close_once(self) -> None:
        """4, and that no hold outlives its task."""
        for number, state, amount in self.view.execute("SELECT id, state, amount FROM hold"):
            assert self.closed.get(number, (state, amount)) == (state, amount)
            if state != "open":
                self.closed[number] = (state, amount)

    def books_are_the_models(self) -> None:
        """5, 7, 8, 11: every account is what the events say, so nothing is paid twice, lost or left in escrow."""
        expected = {name: (posted, 0) for name, posted in self.model.posted.items()}
        for person in GRANTS:
            expected[f"user:{person}"] = (self.model.posted[f"user:{person}"], self.model.held(person))
        for deal in self.model.deals.values():
            assert not (deal.status in OVER and (deal.escrow or deal.held))
            expected[f"escrow:{deal.number}"] = (deal.escrow, 0)
        found = {name: tuple(row) for name, *row in self.view.execute("SELECT name, posted, held FROM account")}
        assert _full(found) == _full(expected)
        flows: Counter[str] = Counter()
        for kind, amount in self.view.execute("SELECT kind, amount FROM posting JOIN txn ON id = txn WHERE amount > 0"):
            flows[kind] += amount
        escrow = sum(deal.escrow for deal in self.model.deals.values())
        assert flows["settle"] == sum(self.model.earned.values()) == flows["escrow"] - flows["refund"] - escrow

    def tasks_are_the_models(self) -> None:
        rows = self.view.execute("SELECT id, status, requester, budget, attempt FROM task")
        assert {number: tuple(row) for number, *row in rows} == {
            deal.number: (deal.status, deal.requester, deal.budget, deal.attempt) for deal in self.model.deals.values()
        }
        records = self.view.execute(
            "SELECT agent, sum(settled), sum(failed), sum(earned) FROM reputation GROUP BY agent"
        )
        found = {name: row for name, *row in records}
        model = self.model
        sure = model.settled.keys() | model.failed.keys()
        assert sure <= found.keys() <= sure | model.spared.keys()
        for name, (settled, failed, earned) in found.items():
            assert (settled, earned) == (model.settled[name], model.earned[name])
            assert 0 <= failed - model.failed[name] <= model.spared[name]

    def the_roster_is_the_rows(self) -> None:
        assert self._live() == {name for (name,) in self.view.execute("SELECT name FROM agent WHERE live = 1")}

    def nobody_is_forgotten(self) -> None:
        """What can go on has gone on: nobody works twice or for nothing, waits without need, or is overdue."""
        desk = self.hub.desk
        assert desk.doubled == []
        if self.hub.store.struck:
            return  # a full disk ended a walk half-way; it goes on after a second, or a restart
        deals = self.model.deals.values()
        own = [deal for deal in deals if deal.status in AT_WORK and ":" not in (deal.agent or "")]
        assert {(deal.number, deal.attempt) for deal in own if deal.status == "running"} == set(desk.benches)
        assert [deal for deal in own if deal.status == "awarded"] == []
        for deal in deals:
            if deal.status == "open" and not self.model.frozen:
                able = self._able(deal)
                assert able, f"nobody can do {deal}, and it waits"
                assert all(self.model.busy(agent) for agent in able), f"somebody is free for {deal}, and it waits"
            if deal.status == "bidding" and self._wish(deal).pick == "ask":
                late = [agent for agent in self._able(deal) if agent not in deal.bids and not self.model.busy(agent)]
                assert late == [], f"{late} could bid on {deal}, and are not asked"
        for deal in deals:
            ends = deal.since + (RULES.review if deal.status == "delivered" else RULES.deadline)
            assert deal.status in OVER or ends > self.clock.now(), f"the clock has left {deal} lying"

    def _able(self, deal: Deal) -> list[str]:
        wish = self._wish(deal)
        asks = self.asks[wish.description]
        return [
            agent.name
            for agent in self.hub.roster
            if 0 < (asks[agent.persona.name] or 0) * 1000 <= deal.budget
            and agent.name not in deal.excluded
            and wish.only in {None, agent.name}
        ]


async def _do(happens: Callable[[], object]) -> object:
    return happens()


def _full(accounts: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: row for name, row in accounts.items() if any(row)}


PROFILE = settings(
    max_examples=depth(4, 200),
    stateful_step_count=30,
    deadline=None,
    phases=set(Phase) - {Phase.explain},  # it traces every line, and a failing example is a story already
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def test_what_ends_as_it_is_taken_up_after_a_crash_is_not_worked_at() -> None:
    books = Books()
    try:
        books.begin(pace=[0])
        books.post(caller=PEOPLE[0], sats=1, pick="auto", asks=(None, None, 1))
        books.fault(blow=Blow.BEFORE, countdown=0, then=None)
        books.time_passes(25 * HOUR)
        books.all_holds()
    finally:
        books.teardown()


@pytest.mark.deep
@pytest.mark.timeout(600)  # a red run shrinks its example
def test_the_books_hold() -> None:
    run_state_machine_as_test(Books, settings=PROFILE)


@pytest.mark.kill_sweep
@pytest.mark.timeout(7200)
def test_the_books_hold_over_a_long_sweep() -> None:
    run_state_machine_as_test(Books, settings=settings(PROFILE, max_examples=2000, stateful_step_count=50))
