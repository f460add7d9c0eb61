"""The clauses that stand beside a description of work: what it may cost, how long it may take, who is to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.times import read_deadline, read_duration
from core.language.words import Phrases, bag

if TYPE_CHECKING:
    from core.language.times import Duration
    from core.voice.facts import Fact
    from core.voice.said import Said

PRICE_BEFORE = bag(
    "for at most up to no more than max maximum a budget of with the is under not id ill i would will pay offer",
    "offering paying limit costing cost costs less over only below spend spending willing we well budgeted price",
    "around about roughly within and it should can my on that exactly just reward prize payment fee rate giving give",
    "happy im am spends be bounty cap ceiling capped tops",
)
PRICE_OPENS = bag(
    "offer for at up no max maximum budget with under not id ill i paying offering costing limit below less pay",
    "within and we it my the im price reward payment fee only spend its bounty cap ceiling capped",
)
PRICE_AFTER = bag("max maximum tops budget limit most at or less top ceiling cap reward bounty")
BARE_PRICE = bag("max maximum budget most limit")
DEADLINE_OPENS = bag("within inside in under taking by")
BY_SOMEBODY = Phrases(
    "by an agent, by a worker, by somebody, by someone, by the swarm, by one of the agents, done by an agent",
    "done by somebody, done by someone, from an agent, from the swarm, by the agents, done, made, made by an agent",
)
HAND_OVER = Phrases(
    "and give it to, give it to, and assign it to, assign it to, and hand it to, and let, and award it to",
    "to be done by, and send it to, done by, for agent, to agent, and have, assigned to, it should go to, from, by",
    "from agent, and pass it to, and make, give that to, and put, hand it to, it goes to, by agent",
)

PICKING = Phrases(
    "let me pick, let me choose, let me decide, let me select, ill pick, ill choose, i will pick, i will choose",
    "i want to pick, i want to choose, i would like to pick, i would like to choose, id like to pick, id like to choose",
    "i pick, i choose, pick ask, i pick the winner, i choose the winner, let me pick the winner, let me choose the winner",
    "ill pick the winner, ill choose the winner, let me pick the bid, let me choose the bid, ask me to pick",
    "ask me to choose, let me pick one, let me choose one, i want to pick the winner, i want to choose the winner",
    "let me pick who does it, let me choose who does it, let me choose among the bids, let me pick among the bids",
)
WIDEST_PICK = 7
ALSO = bag("and but then")


def price_said(said: Said) -> str:
    """How many sats the clause on the price names."""
    return said.amounts[0].value if said.amounts else _bare_price(said)[0].value


def price(said: Said, start: int) -> tuple[int, int] | None:
    """Where the clause on the price stands: `for at most 50 sats`, `budget 300 sats`, `1500 sats max`."""
    prices = said.amounts or _bare_price(said)
    if not prices:
        return None
    amount = prices[0]
    first = amount.start
    while (
        first > 0
        and said.words[first - 1] in PRICE_BEFORE
        and not (first < amount.start and _ends_clause(said, first - 1))
    ):
        first -= 1
    while first < amount.start and said.words[first] not in PRICE_OPENS:
        first += 1
    last = amount.end
    while last < len(said.words) and said.words[last] in PRICE_AFTER and not _ends_clause(said, last - 1):
        last += 1
    opened = first < amount.start or last > amount.end or _stands_apart(said, amount) or start > amount.start
    return (first, last) if opened else None


def _ends_clause(said: Said, at: int) -> bool:
    return said.written[at][-1] in ",;:.!?"


def _stands_apart(said: Said, amount: Fact) -> bool:
    return amount.start > 0 and _ends_clause(said, amount.start - 1)


def _bare_price(said: Said) -> list[Fact]:
    return [one for one in said.numbers if one.start and said.words[one.start - 1] in BARE_PRICE]


def deadline(said: Said, start: int) -> tuple[int, Duration] | None:
    """Where the time that it may take stands: `within two hours`."""
    for at in (said.start, *range(start, said.end)):
        bare = at > start and said.written[at - 1][-1] == "," and bool(said.amounts) and read_duration(said.words, at)
        if bare and bare.end >= said.end:
            return at, bare
        if said.words[at] in DEADLINE_OPENS:
            found = read_deadline(said.words, at)
            if found and (found.end >= said.end or at in {start, said.start} or _followed_by_price(said, found.end)):
                return at, found
    return None


def _followed_by_price(said: Said, at: int) -> bool:
    return said.words[at] in PRICE_BEFORE or said.words[at] in {"to", "please"} or at in said.priced


def picking(said: Said, start: int) -> int:
    """Where `..., let me pick` begins at the end of a task: its requester chooses among the bids. 0: nowhere."""
    if said.bag.isdisjoint(PICKING.firsts):
        return 0
    places = range(max(said.end - WIDEST_PICK, start + 1), said.end)
    at = next((at for at in places if PICKING.at(said.words, at) == said.end), 0)
    return at - (at > start + 1 and said.words[at - 1] in ALSO)


DELEGATED = bag("delegate outsource subcontract farm leave entrust give hand pass")
TO_WHOM = Phrases(
    "to the swarm, to the agents, to the workers, to an agent, to a worker, to somebody, to someone, to my agents",
    "to the team, to one of the agents, to one of the workers, to the crew, to whoever is free, to any agent",
    "to our agents, to the bots",
)


def delegated(said: Said, start: int) -> tuple[str, int] | None:
    """`delegate checking the logs to helm`: the agent, if one is named, and the place where "to helm" begins."""
    for name in said.agents:
        if name.end == said.end and said.words[name.start - 1] in {"to", "with"} and name.start - 1 > start:
            return name.value, name.start - 1
    places = range(max(said.end - 5, start + 1), said.end)
    return next((("", at) for at in places if TO_WHOM.at(said.words, at) == said.end), None)


def handed_over(said: Said, start: int) -> tuple[str, set[int]]:
    """`... and give it to echo`: the agent, and the places of the clause."""
    by = next(
        (at for at in range(max(said.end - 5, start + 1), said.end) if BY_SOMEBODY.at(said.words, at) == said.end),
        said.end,
    )
    for name in said.agents:
        for width in (5, 4, 3, 2, 1):
            at = name.start - width
            if at > start and HAND_OVER.at(said.words, at) == name.start:
                end = said.end if said.words[name.end : name.end + 2] in (["do", "it"], ["on", "it"]) else name.end
                return name.value, {*range(at, end)}
    return "", {*range(by, said.end)}
