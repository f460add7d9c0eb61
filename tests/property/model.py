"""What the books must say, told from the events alone: CONTRACT's table "Tasks" and its column "money", written out again.

Nothing here is shared with the hub but the event itself. Amounts in msat.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.events import Kind

if TYPE_CHECKING:
    from core.events import Event

LIVE = frozenset({"open", "bidding", "awarded", "running"})
OVER = frozenset({"settled", "failed", "cancelled", "expired"})
AT_WORK = frozenset({"awarded", "running"})

EDGES: dict[tuple[str, Kind], str] = {
    ("open", Kind.AUCTION_OPENED): "bidding",
    ("bidding", Kind.TASK_WAITING): "open",
    ("bidding", Kind.TASK_AWARDED): "awarded",
    ("bidding", Kind.TASK_FAILED): "failed",
    ("awarded", Kind.TASK_STARTED): "running",
    ("awarded", Kind.ATTEMPT_FAILED): "open",
    ("running", Kind.ATTEMPT_FAILED): "open",
    ("awarded", Kind.TASK_FAILED): "failed",
    ("running", Kind.TASK_FAILED): "failed",
    ("running", Kind.TASK_DELIVERED): "delivered",
    ("delivered", Kind.TASK_SETTLED): "settled",
    ("delivered", Kind.TASK_REJECTED): "open",
    ("delivered", Kind.TASK_FAILED): "failed",
    **{(status, Kind.TASK_CANCELLED): "cancelled" for status in LIVE},
    **{(status, Kind.TASK_EXPIRED): "expired" for status in LIVE},
}


@dataclass
class Deal:
    """A task, as far as money goes."""

    number: int
    requester: str
    budget: int
    posted_at: int
    since: int
    status: str = "open"
    attempt: int = 1
    held: int = 0
    escrow: int = 0
    agent: str | None = None
    orphaned: bool = False
    """Who was to do it was dismissed."""
    bids: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)


@dataclass
class Model:
    """Balances, tasks and reputations."""

    attempts: int
    posted: Counter[str] = field(default_factory=Counter)
    deals: dict[int, Deal] = field(default_factory=dict)
    settled: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    spared: Counter[str] = field(default_factory=Counter)
    """What was taken from who was dismissed: it may have failed by itself just then, or not."""
    earned: Counter[str] = field(default_factory=Counter)
    accounts: dict[str, str] = field(default_factory=dict)
    """Whose account an identity is of, where it is linked."""
    frozen: bool = False

    def held(self, person: str) -> int:
        """What is set aside of a person's sats."""
        return sum(deal.held for deal in self.deals.values() if deal.requester == person)

    def free(self, person: str) -> int:
        """What a person can spend."""
        return self.posted[f"user:{person}"] - self.held(person)

    def busy(self, agent: str) -> bool:
        """Whether an agent has a task."""
        return any(deal.agent == agent and deal.status in AT_WORK for deal in self.deals.values())

    def hear(self, event: Event) -> None:
        """Take one event: it must be an edge of the table, and its money moves here."""
        if event.task is None:
            self._hear_of_no_task(event)
            return
        if event.kind is Kind.TASK_POSTED:
            self._post(event)
            return
        deal = self.deals[event.task]
        if event.kind in {Kind.BID_PLACED, Kind.BID_REFUSED}:
            assert deal.status == "bidding", f"an answer to {deal}"
            assert event.agent is not None
            assert event.agent not in deal.excluded
            (deal.bids.add if event.kind is Kind.BID_PLACED else deal.bids.discard)(event.agent)
            return
        assert (deal.status, event.kind) in EDGES, f"{event} cannot happen to {deal}"
        before, deal.status = deal.status, EDGES[deal.status, event.kind]
        assert "attempt" not in event.data or event.data["attempt"] == deal.attempt, f"{event} is of another attempt"
        deal.since = event.at if event.kind is Kind.TASK_DELIVERED else deal.posted_at
        match event.kind:
            case Kind.TASK_AWARDED:
                self._award(deal, event)
            case Kind.TASK_SETTLED:
                self._pay(deal, event)
            case Kind.ATTEMPT_FAILED | Kind.TASK_REJECTED:
                self._again(deal)
            case Kind.TASK_FAILED | Kind.TASK_CANCELLED | Kind.TASK_EXPIRED:
                if before in {"awarded", "running", "delivered"} and event.kind is Kind.TASK_FAILED:
                    assert deal.attempt == self.attempts, "it failed with an attempt left"
                    self._fail(deal)
                self._give_back(deal)
            case _:
                pass

    def _hear_of_no_task(self, event: Event) -> None:
        if event.kind is Kind.AGENT_DISMISSED:
            for deal in self.deals.values():
                deal.orphaned |= deal.agent == event.agent and deal.status in AT_WORK
        if event.kind in {Kind.ACTOR_LINKED, Kind.ACTOR_UNLINKED}:
            self._link(event)
        if event.kind in {Kind.SPENDING_FROZEN, Kind.SPENDING_UNFROZEN}:
            self.frozen = event.kind is Kind.SPENDING_FROZEN

    def _link(self, event: Event) -> None:
        actor, account = event.data["actor"], event.data["account"]
        assert isinstance(actor, str)
        assert isinstance(account, str)
        assert self.held(actor) == 0, "what is held cannot come along"
        if event.kind is Kind.ACTOR_UNLINKED:
            assert self.accounts.pop(actor) == account
            return
        assert actor not in self.accounts, "one link, made twice"
        self.accounts[actor] = account
        moved = self.posted.pop(f"user:{actor}", 0)
        assert event.data["msat"] == moved, "its sats come along, all of them"
        self.posted[f"user:{account}"] += moved

    def _post(self, event: Event) -> None:
        requester, budget = event.data["by"], event.data["budget_sats"]
        assert isinstance(requester, str)
        requester = self.accounts.get(requester, requester)
        assert isinstance(budget, int)
        assert event.task is not None
        assert event.task not in self.deals, "one task, posted twice"
        assert not self.frozen, "posted while spending is frozen"
        assert budget * 1000 <= self.free(requester), "a budget that nobody has"
        self.deals[event.task] = Deal(event.task, requester, budget * 1000, event.at, event.at, held=budget * 1000)

    def _award(self, deal: Deal, event: Event) -> None:
        price = event.data["price_sats"]
        assert isinstance(price, int)
        assert 0 < price * 1000 <= deal.budget
        assert not self.frozen, "awarded while spending is frozen"
        assert event.agent in deal.bids, "a winner who never bid"
        deal.agent, deal.orphaned, deal.held, deal.escrow = event.agent, False, 0, price * 1000
        self.posted[f"user:{deal.requester}"] -= deal.escrow

    def _pay(self, deal: Deal, event: Event) -> None:
        assert deal.agent is not None
        assert event.data["price_sats"] == deal.escrow // 1000
        person = ":" in deal.agent
        self.posted[f"user:{deal.agent}" if person else "treasury"] += deal.escrow
        self.settled[deal.agent] += 1
        self.earned[deal.agent] += deal.escrow
        deal.escrow = 0

    def _again(self, deal: Deal) -> None:
        assert deal.agent is not None
        assert deal.attempt < self.attempts, "an attempt too many"
        self._fail(deal)
        self._give_back(deal)
        deal.budget = deal.held = min(deal.budget, self.free(deal.requester))
        deal.excluded.add(deal.agent)
        deal.agent, deal.bids, deal.attempt = None, set(), deal.attempt + 1

    def _fail(self, deal: Deal) -> None:
        (self.spared if deal.orphaned else self.failed)[deal.agent or ""] += 1

    def _give_back(self, deal: Deal) -> None:
        self.posted[f"user:{deal.requester}"] += deal.escrow
        deal.escrow = deal.held = 0
