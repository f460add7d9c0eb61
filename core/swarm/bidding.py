"""An auction inside a unit of work: opening it, taking sealed bids, closing it with a winner or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats
from core.swarm import task as life
from core.swarm.auction import Bid, ranking, score
from core.swarm.booking import take
from core.swarm.crew import FIELD
from core.swarm.nobody import nobody
from core.swarm.ports import Answer, Decline, Offer
from core.swarm.reputation import NEWCOMER, trust
from core.swarm.task import Status, is_person
from core.tokens import STRANGER
from core.wallet.limits import OverLimit, refusal
from core.wallet.wallet import price_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.events import Json
    from core.swarm.crew import Crew
    from core.swarm.ports import Agent, Said, SwarmTx
    from core.swarm.roster import Roster
    from core.swarm.task import Task
    from core.wallet.limits import Spend

HUB = "hub"
LATE = "did not answer in time"
MOST_NAMED = 5
"""Workers that are named where none of them answered."""


class BidOutOfRange(UserError):
    """A bid on {task} is a whole number of sats from 1 to its budget of {budget}; you bid {given}."""


class NotInvited(UserError):
    """{task} takes bids from {only} only."""

    status = 409


class HadItsTurn(UserError):
    """{agent} already had {task} and did not finish it. Somebody else may bid."""

    status = 409


@dataclass(frozen=True, slots=True)
class Terms:
    """What an auction needs to know: its window and the lease it awards, in ms; the hub's own agents, and the crew.

    `people`: whether people asked to bid on what is posted in a conversation.
    """

    window: int
    lease: int
    token: Callable[[], str]
    roster: Roster
    crew: Crew
    people: Callable[[str], bool]

    def capacity(self, agent: str) -> int:
        """How many tasks an agent does at a time; 0 for one that there is not."""
        return self.roster.capacity(agent) or self.crew.capacity(agent)

    def field(self, agent: str) -> str:
        """The class of an agent's work, for limits; empty for a person, who may do anything."""
        return FIELD if self.crew.has(agent) else self.roster.field(agent)

    def afar(self, agent: str | None) -> bool:
        """Whether an agent works in another process: it asks for its work by itself."""
        return self.crew.has(agent)


def halted(tx: SwarmTx, task: Task) -> bool:
    """Whether a task's auction waits for spending to go on: it would end by itself, with an award."""
    return not task.waits_for_people and tx.limits.rules().freeze is not None


def able(task: Task, appraisals: Sequence[tuple[Agent, Said]], terms: Terms) -> list[str]:
    """Who is in the running for a task, busy or not: of the hub's own agents those within its budget, of the crew who is here."""
    payable = [agent.name for agent, said in appraisals if isinstance(said, Offer) and said.price <= task.budget]
    return [*payable, *terms.crew.hands(task)]


def open_and_close(tx: SwarmTx, task: Task, appraisals: Sequence[tuple[Agent, Said]], terms: Terms) -> Task:
    """Open a task's auction, take the answers of the hub's own agents, and close it early once nobody is awaited."""
    offers = [(agent, answer) for agent, answer in appraisals if isinstance(answer, Offer)]
    busy = _busy(tx, appraisals)
    payable = {agent.name for agent, offer in offers if offer.price <= task.budget}
    hands = terms.crew.hands(task)
    before = tx.tasks.answers(task.id, task.attempt) if hands else []
    if before:
        said_no = {one.bid.agent for one in before if one.refused}
        hands = [name for name in hands if name not in said_no]
    able, free = bool(payable or hands), not payable <= busy
    if hands and not free:
        loads = tx.tasks.loads()
        free = any(loads[name] < terms.capacity(name) for name in hands)
    if able and not free and not task.waits_for_people:
        return task
    end = task.deadline if task.waits_for_people else terms.crew.closing(hands, tx.now, terms.window)
    task = take(tx, task, life.open_auction(task, closes_at=min(end, task.deadline)), HUB)
    found = _take_answers(tx, task, appraisals, busy, terms.roster.field_of(task.description))
    if task.waits_for_people:
        waits = task.only not in task.excluded and not _named_one_declined(tx, task)
    else:
        waits = awaited(tx, task, terms)
    return task if waits else close(tx, task, terms, answers=None if hands or before else found)


def awaited(tx: SwarmTx, task: Task, terms: Terms) -> bool:
    """Whether an auction waits for somebody: a worker that is here, could do it, has a hand free, and has not answered yet.

    Where people asked to bid they are waited for, since nobody knows who of them will.
    """
    if terms.people(task.conversation):
        return True
    if not (hands := terms.crew.hands(task)):
        return False
    answered = tx.tasks.answered(task.id, task.attempt)
    return any(name not in answered and tx.tasks.load(name) < terms.capacity(name) for name in hands)


def extended(tx: SwarmTx, task: Task, terms: Terms) -> int:
    """When an auction whose time is over closes, Unix ms: now, unless somebody is expected back who has not answered."""
    crew, hands = terms.crew, terms.crew.hands(task)
    if crew.closing(hands, tx.now, 0) == tx.now:
        return tx.now
    answered = tx.tasks.answered(task.id, task.attempt)
    return crew.closing([name for name in hands if name not in answered], tx.now, 0)


def settled(tx: SwarmTx, task: Task, terms: Terms) -> Task:
    """The task after another answer to its auction: closed early, where nobody is awaited any more."""
    if task.waits_for_people:
        over = task.only is not None and _named_one_declined(tx, task)
    else:
        over = not halted(tx, task) and not awaited(tx, task, terms)
    return close(tx, task, terms) if over else task


def _named_one_declined(tx: SwarmTx, task: Task) -> bool:
    """Whether the one agent that may bid will not: nobody else can be waited for."""
    answers = tx.tasks.answers(task.id, task.attempt)
    return not is_person(task.only) and any(one.refused and one.bid.agent == task.only for one in answers)


def join(
    tx: SwarmTx, task: Task, appraisals: Sequence[tuple[Agent, Said]], terms: Terms
) -> list[str]:  # fmt: skip
    """Take the answers of the hub's own agents that have not answered yet: they were busy when the bidding opened, or new.

    Returns those that could do it and are still busy.
    """
    answered = {answer.bid.agent for answer in tx.tasks.answers(task.id, task.attempt)}
    missing = [(agent, answer) for agent, answer in appraisals if agent.name not in answered]
    busy = _busy(tx, missing)
    _take_answers(tx, task, missing, busy, terms.roster.field_of(task.description), late=True)
    return sorted(busy)


def _busy(tx: SwarmTx, appraisals: Sequence[tuple[Agent, Said]]) -> set[str]:
    """Who could do it and has no hand free."""
    offering = [agent for agent, answer in appraisals if isinstance(answer, Offer)]
    loads = tx.tasks.loads() if offering else {}
    return {agent.name for agent in offering if loads[agent.name] >= agent.capacity}


def _take_answers(
    tx: SwarmTx,
    task: Task,
    appraisals: Sequence[tuple[Agent, Said]],
    busy: set[str],
    field: str,
    *,
    late: bool = False,
) -> list[Answer]:
    offering = [agent.name for agent, answer in appraisals if isinstance(answer, Offer)]
    known = trusted(tx, offering, field) if offering else {}
    found = []
    for agent, answer in appraisals:
        if isinstance(answer, Decline):
            found.append(declined(tx, agent.name, answer.why))
        elif isinstance(answer, Offer) and answer.price > task.budget:
            found.append(declined(tx, agent.name, f"asks {format_sats(answer.price)}, more than the budget"))
        elif isinstance(answer, Offer) and agent.name not in busy:
            bid = Bid(agent.name, answer.price, answer.eta, answer.note, answer.fit, tx.now)
            found.append(scored(tx, task, bid, known[agent.name]))
    keep(tx, task, found, {"late": True} if late else {})
    return found


def keep(tx: SwarmTx, task: Task, answers: Sequence[Answer], more: Mapping[str, Json]) -> None:
    """Keep answers to an auction, and tell of them; `more` goes into the events of bids."""
    if answers:
        tx.tasks.answer(task.id, task.attempt, answers)
    for one in answers:
        if one.refused:
            tx.emit(Event(Kind.BID_REFUSED, task.id, one.bid.agent, {"attempt": task.attempt}))
        else:
            tx.emit(Event(Kind.BID_PLACED, task.id, one.bid.agent, {"attempt": task.attempt, **more}))


def trusted(tx: SwarmTx, agents: Sequence[str], field: str) -> dict[str, int]:
    """How much each is trusted in a field, permille."""
    seen = tx.tasks.weights(agents)
    return {name: trust(seen[name], field, tx.now) if name in seen else NEWCOMER for name in agents}


def place(
    tx: SwarmTx, task: Task, bid: Bid, more: Mapping[str, Json], known: int, *, selves: frozenset[str] = frozenset()
) -> None:  # fmt: skip
    """Take a bid, sealed; `more` goes into its event, `known` is the trust in who bids, `selves` are all identities of a person.

    Raises `BidOutOfRange`, `NotInvited`, `HadItsTurn`.
    """
    keep(tx, task, [scored(tx, task, bid, known, selves)], more)


def scored(tx: SwarmTx, task: Task, bid: Bid, known: int, selves: frozenset[str] = frozenset()) -> Answer:
    """A bid with its score. Raises as `place`."""
    if not 1 <= bid.price <= task.budget:
        raise BidOutOfRange(task=task.name, budget=format_sats(task.budget), given=format_sats(bid.price))
    check_asked(task, bid.agent, selves)
    points = score(bid, known, time_left=task.deadline - tx.now)
    return Answer(Bid(bid.agent, bid.price, bid.eta, bid.note, bid.fit, bid.at, points))


def check_asked(task: Task, agent: str, selves: frozenset[str] = frozenset()) -> None:
    """Raise `NotInvited` or `HadItsTurn` where a task is not put to somebody. `selves`: under what other names it is known."""
    names = selves | {agent}
    if task.only is not None and task.only not in names:
        raise NotInvited(task=task.name, only=task.only)
    if not names.isdisjoint(task.excluded):
        raise HadItsTurn(agent=agent, task=task.name)


def declined(tx: SwarmTx, agent: str, why: str) -> Answer:
    """A refusal and its reason."""
    return Answer(Bid(agent, 0, None, why, 0, tx.now), refused=True)


def close(
    tx: SwarmTx, task: Task, terms: Terms, actor: str = HUB, *, answers: Sequence[Answer] | None = None
) -> Task:  # fmt: skip
    """End the bidding: award the best bid that the limits leave; fail if there is none.

    Who has no hand free by now is waited for, where nobody else is left. `answers`: all that count, where they were given in this
    unit of work, so that nothing can have changed since. Raises `Frozen`.
    """
    fresh, answers = answers is not None, tx.tasks.answers(task.id, task.attempt) if answers is None else answers
    bids = ranking(answer.bid for answer in answers if not answer.refused)
    over: list[str] = []
    free = bids if fresh else _free(tx, bids, terms)
    if not free and (any(_there(bid.agent, terms) for bid in bids) or _too_busy_to_bid(tx, task, answers, terms)):
        mute = [name for name in _silent(task, answers, terms) if not _had_no_hand(tx, task, name, terms)]
        keep(tx, task, [declined(tx, name, LATE) for name in mute], {})
        return take(tx, task, life.wait(task, reason="busy"), HUB)
    for bid in free:
        why = refusal(tx, _price(task, bid, terms))
        if not isinstance(why, OverLimit):
            return award(tx, task, bid, terms, actor)
        # What the hub spends on whom is nobody's business but its owners'.
        over.append("the hub cannot fund it now" if task.requester.startswith(STRANGER) else f"{bid.agent}: {why}")
    return take(
        tx,
        task,
        life.void(
            task,
            why="; ".join(dict.fromkeys(over))
            or nobody(task, [*answers, *_late(tx, task, answers, terms)], terms.roster),
        ),
        HUB,
    )


def _late(tx: SwarmTx, task: Task, answers: Sequence[Answer], terms: Terms) -> list[Answer]:
    """Of workers that were here and said nothing, that they said nothing."""
    return [declined(tx, name, LATE) for name in _silent(task, answers, terms)[:MOST_NAMED]]


def _too_busy_to_bid(tx: SwarmTx, task: Task, answers: Sequence[Answer], terms: Terms) -> bool:
    """Whether a worker that could do it has not answered for want of a free hand, now or when the bidding opened."""
    return any(_had_no_hand(tx, task, name, terms) for name in _silent(task, answers, terms))


def _silent(task: Task, answers: Sequence[Answer], terms: Terms) -> list[str]:
    """The workers that are here, could do a task, and have not answered."""
    return sorted({*terms.crew.hands(task)}.difference(answer.bid.agent for answer in answers))


def _had_no_hand(tx: SwarmTx, task: Task, name: str, terms: Terms) -> bool:
    """Whether a worker has no hand free, or had none when the bidding opened."""
    opened = (task.closes_at or tx.now) - terms.window
    return terms.crew.had_no_time(name, opened) or tx.tasks.load(name) >= terms.capacity(name)


def _there(agent: str, terms: Terms) -> bool:
    """Whether a bidder is still there to do the work."""
    return is_person(agent) or (terms.capacity(agent) > 0 and (not terms.afar(agent) or terms.crew.here(agent)))


def _free(tx: SwarmTx, bids: Sequence[Bid], terms: Terms) -> list[Bid]:
    """The bids of those who can begin now."""
    loads = tx.tasks.loads()
    there = [bid for bid in bids if _there(bid.agent, terms)]
    return [bid for bid in there if is_person(bid.agent) or loads[bid.agent] < terms.capacity(bid.agent)]


def award(tx: SwarmTx, task: Task, bid: Bid, terms: Terms, actor: str = HUB) -> Task:
    """Give the task to a bidder at the price it bid. Raises `Frozen` and `OverLimit`."""
    lease_until = None if is_person(bid.agent) else tx.now + terms.lease
    step = life.award(
        task,
        agent=bid.agent,
        price=bid.price,
        lease=terms.token(),
        lease_until=lease_until,
        now=tx.now,
        field=terms.roster.field_of(task.description),
        kind=terms.field(bid.agent),
    )
    return take(tx, task, step, actor)


def _price(task: Task, bid: Bid, terms: Terms) -> Spend:
    return price_of(
        account=task.account, task=task.id, attempt=task.attempt, price=bid.price, agent=bid.agent,
        kind=terms.field(bid.agent), path=task.path,
    )  # fmt: skip


def sealed(task: Task) -> bool:
    """Whether the bids of a task's present auction are still secret."""
    return task.status in {Status.OPEN, Status.BIDDING} and task.pick != "ask"


def collects(task: Task) -> bool:
    """Whether a task's bids are being collected for its requester to pick one: agents may join in for as long as that lasts."""
    return task.status is Status.BIDDING and task.pick == "ask"
