"""A swarm's history that drifts, made from a seed: what five thousand tasks asked for, who could do them, what became of them.

Auctions are decided by the hub's own rule and its own trust. Agents come and go, get dearer, slower and worse for a while, and
better again; the budget says something of the size of a task, and no more.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.swarm.auction import Bid, ranking, score
from core.swarm.reputation import NOTHING, trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.swarm.reputation import Record

FIELDS = ("research", "writing", "data", "code", "images")
AGENTS = 10
LONG = 5000
BETWEEN_MS = 15 * 60_000
DAY_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Happened:
    """A task: when it was posted, what was known then, and what became of it `took` ms later. Amounts in msat."""

    at: int
    field: str
    budget: int
    able: tuple[str, ...]
    lost: tuple[str, ...]
    by: str
    price: int
    took: int
    until: int

    @property
    def winner(self) -> str:
        """Who won the first auction."""
        return (*self.lost, self.by)[0]


@dataclass(slots=True)
class _Craft:
    """What an agent asks and takes in a field, in logarithms of sats and seconds."""

    price: float
    by_size: float
    varies: float
    took: float
    slow: float
    fails: float  # log odds
    late: float = 0.0
    dear: float = 0.0
    bad: float = 0.0


@dataclass(slots=True)
class _Agent:
    name: str
    crafts: dict[str, _Craft]
    busy: float
    records: dict[str, Record] = field(default_factory=dict)


def happened(seed: int, count: int = LONG) -> Iterator[Happened]:
    """The tasks of a history, in the order of their posts."""
    dice = random.Random(seed)  # noqa: S311 - a history, no secret
    agents = [_agent(dice, f"agent-{number}") for number in range(AGENTS)]
    weights = [dice.uniform(0.5, 1.5) for _ in FIELDS]
    now, made = 1_700_000_000_000, AGENTS
    for _ in range(count):
        now += round(dice.expovariate(1.0) * BETWEEN_MS)
        if dice.random() < 1 / 400:
            agents[dice.randrange(AGENTS)] = _agent(dice, f"agent-{made}")
            made += 1
        _drift(dice, agents)
        (kind,) = dice.choices(FIELDS, weights)
        yield _task(dice, agents, kind, now)


def _agent(dice: random.Random, name: str) -> _Agent:
    crafts = {}
    for kind in dice.sample(FIELDS, dice.randint(2, 3)):
        dear = math.log(40) + 0.5 * FIELDS.index(kind) / len(FIELDS) + dice.gauss(0, 0.3)
        crafts[kind] = _Craft(
            price=dear, by_size=dice.choice((0.0, 0.0, 0.4, 0.8)), varies=dice.choice((0.0, 0.05, 0.2)),
            took=math.log(20) + dice.gauss(0, 0.8), slow=dice.uniform(0.2, 0.8), fails=dice.choice((-3.5, -2.5, -1.5, -0.5)),
        )  # fmt: skip
    return _Agent(name, crafts, dice.uniform(0.1, 0.5))


def _drift(dice: random.Random, agents: list[_Agent]) -> None:
    """Little by little, and now and then at once: one gets dearer, slower or worse, in one field or in all, and mends again."""
    for one in agents:
        for craft in one.crafts.values():
            craft.price += dice.gauss(0, 0.004)
            craft.took += dice.gauss(0, 0.004)
    if dice.random() < 1 / 60:
        one = dice.choice(agents)
        crafts = list(one.crafts.values()) if dice.random() < 0.5 else [dice.choice(list(one.crafts.values()))]
        what, much = dice.randrange(6), dice.uniform(0.3, 0.8)
        for craft in crafts:
            if what == 0:
                craft.dear = dice.choice((-0.5, 0.5)) * much
            elif what == 1:
                craft.late = 2 * much
            elif what == 2:
                craft.bad = 5 * much
            else:
                craft.dear = craft.late = craft.bad = 0.0


def _task(dice: random.Random, agents: list[_Agent], kind: str, now: int) -> Happened:
    size, hard = dice.gauss(0, 0.6), dice.gauss(0, 1.0)
    budget = round(math.exp(math.log(150) + size + dice.gauss(0, 0.3))) * 1000
    crowd = [one for one in agents if kind in one.crafts and dice.random() >= one.busy]
    bids = {one.name: _bid(dice, one, kind, size, now) for one in crowd}
    crowd = [one for one in crowd if bids[one.name].price <= budget]
    able = tuple(one.name for one in crowd)
    lost: list[str] = []
    spent = 0
    for _ in range(3):
        if not crowd:
            break
        ranked = ranking(_scored(one, bids[one.name], kind, now) for one in crowd)
        winner = next(one for one in crowd if one.name == ranked[0].agent)
        craft = winner.crafts[kind]
        work = round(1000 * math.exp(craft.took + craft.late + 0.7 * size + dice.gauss(0, craft.slow)))
        spent += work
        record = winner.records.get(kind, NOTHING)
        finished = dice.random() * (1 + math.exp(craft.fails + craft.bad + size + hard)) < 1
        price = bids[winner.name].price
        winner.records[kind] = record.paid(now, price, work) if finished else record.failing(now)
        if finished:
            return Happened(now, kind, budget, able, (*lost,), winner.name, price, spent, now + spent)
        crowd.remove(winner)
        lost.append(winner.name)
    return Happened(now, kind, budget, able, (*lost,), "", 0, 0, now + spent)


def _bid(dice: random.Random, one: _Agent, kind: str, size: float, now: int) -> Bid:
    craft = one.crafts[kind]
    asks = craft.price + craft.dear + craft.by_size * size + dice.gauss(0, 1) * craft.varies
    return Bid(one.name, max(1, round(math.exp(asks))) * 1000, None, "", 1000, now)


def _scored(one: _Agent, bid: Bid, kind: str, now: int) -> Bid:
    seen = [record.weight(where) for where, record in one.records.items()]
    points = score(bid, trust(seen, kind, now), time_left=DAY_MS)
    return Bid(bid.agent, bid.price, bid.eta, bid.note, bid.fit, bid.at, points)
