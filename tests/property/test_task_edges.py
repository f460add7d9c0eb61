"""The table "Tasks" of the contract, written out here, against the code's; and the auction's published rule."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MAX_SATS, to_msat
from core.swarm import task as life
from core.swarm.auction import Bid, ranking, score
from core.swarm.task import EDGES, OVER, Move, Status, Task, Verb, WrongState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.swarm.task import Step

# from, event, attempts left, to, money
TABLE: list[tuple[str, str, bool | None, str, str]] = [
    ("open", "auction starts", None, "bidding", "–"),
    ("bidding", "closed with a winner", None, "awarded", "price to escrow, the rest released"),
    ("bidding", "capable agents all busy", None, "open", "–"),
    ("bidding", "nobody capable, or all refused", None, "failed", "released"),
    ("awarded", "winner starts", None, "running", "–"),
    ("awarded", "declined, handed back, lease lost, worker failed", True, "open", "escrow back to hold"),
    ("running", "declined, handed back, lease lost, worker failed", True, "open", "escrow back to hold"),
    ("awarded", "declined, handed back, lease lost, worker failed", False, "failed", "refunded"),
    ("running", "declined, handed back, lease lost, worker failed", False, "failed", "refunded"),
    ("running", "result", None, "delivered", "–"),
    ("delivered", "accepted", None, "settled", "escrow to worker"),
    ("delivered", "rejected", True, "open", "escrow back to hold"),
    ("delivered", "rejected", False, "failed", "refunded"),
    ("open", "cancelled", None, "cancelled", "refunded"),
    ("bidding", "cancelled", None, "cancelled", "refunded"),
    ("awarded", "cancelled", None, "cancelled", "refunded"),
    ("running", "cancelled", None, "cancelled", "refunded"),
    ("open", "deadline", None, "expired", "refunded"),
    ("bidding", "deadline", None, "expired", "refunded"),
    ("awarded", "deadline", None, "expired", "refunded"),
    ("running", "deadline", None, "expired", "refunded"),
]
STATUSES = ["open", "bidding", "awarded", "running", "delivered", "settled", "failed", "cancelled", "expired"]
ATTEMPTS = 3

TAKE: dict[str, tuple[Verb, Callable[[Task], Step]]] = {
    "auction starts": (Verb.OPEN_AUCTION, lambda task: life.open_auction(task, closes_at=7)),
    "closed with a winner": (
        Verb.AWARD, lambda task: life.award(task, agent="echo", price=5000, lease="token", lease_until=8, now=5)
    ),
    "capable agents all busy": (Verb.WAIT, lambda task: life.wait(task, reason="busy")),
    "nobody capable, or all refused": (Verb.VOID, lambda task: life.void(task, why="nobody")),
    "winner starts": (Verb.START, lambda task: life.start(task, lease_until=9)),
    "declined, handed back, lease lost, worker failed": (Verb.LOSE, lambda task: life.lose(task, why="it broke")),
    "result": (Verb.DELIVER, lambda task: life.deliver(task, result="done", now=7, review_until=9)),
    "accepted": (Verb.SETTLE, lambda task: life.settle(task, how="accepted")),
    "rejected": (Verb.REJECT, lambda task: life.reject(task, why="not good")),
    "cancelled": (Verb.CANCEL, life.cancel),
    "deadline": (Verb.EXPIRE, life.expire),
}  # fmt: skip
MONEY = {
    "–": {Move.NONE},
    "price to escrow, the rest released": {Move.ESCROW},
    "released": {Move.RELEASE},
    "escrow back to hold": {Move.BACK_TO_HOLD},
    "escrow to worker": {Move.PAY},
}


def a_task(status: str, *, left: bool | None = True) -> Task:
    """A task as it can be in this state: with a hold before the award, an agent, price and lease after it."""
    won = status in {"awarded", "running", "delivered", "settled"}
    return Task(
        id=12, requester="console:owner", account="user:console:owner", conversation="console:1", description="work",
        status=Status(status), budget=100_000, hold=4 if status in {"open", "bidding"} else None, pick="auto", only=None,
        attempt=1 if left else ATTEMPTS, attempts=ATTEMPTS, posted_at=1, deadline=1000,
        closes_at=6 if status == "bidding" else None, agent="quill" if won else None, price=60_000 if won else None,
        lease="token" if status in {"awarded", "running"} else None,
        lease_until=50 if status in {"awarded", "running"} else None, review_until=70 if status == "delivered" else None,
        result="done" if status == "delivered" else None, excluded=() if left else ("mace", "helm"),
    )  # fmt: skip


def moves(before: str, money: str) -> set[Move]:
    """The contract's one word "refunded" is two moves: of what is held before the award, of the escrow after it."""
    if money == "refunded":
        return {Move.RELEASE} if before in {"open", "bidding"} else {Move.REFUND}
    return MONEY[money]


def test_the_code_has_the_states_and_events_of_the_table() -> None:
    assert {status.value for status in Status} == set(STATUSES)
    assert {verb for verb, _ in TAKE.values()} == set(Verb)
    assert {status.value for status in OVER} == {"settled", "failed", "cancelled", "expired"}
    assert {(before, event) for before, event, _, _, _ in TABLE} <= set(itertools.product(STATUSES, TAKE))


@pytest.mark.parametrize("event", TAKE)
@pytest.mark.parametrize("status", STATUSES)
def test_an_edge_is_in_the_code_just_where_it_is_in_the_table(status: str, event: str) -> None:
    verb, _ = TAKE[event]
    to = {Status(after) for before, what, _, after, _ in TABLE if (before, what) == (status, event)}
    assert EDGES.get((Status(status), verb), frozenset()) == to


@pytest.mark.parametrize(("status", "event", "left", "to", "money"), TABLE)
def test_each_edge_leads_where_the_table_says_with_its_money(
    status: str, event: str, left: bool | None, to: str, money: str
) -> None:
    before = a_task(status, left=left)
    step = TAKE[event][1](before)
    assert step.task.status == to
    assert {step.move} == moves(status, money)
    assert step.event.task == before.id
    assert (step.task.id, step.task.requester, step.task.account, step.task.budget, step.task.deadline) == (
        before.id, before.requester, before.account, before.budget, before.deadline,
    )  # fmt: skip


@pytest.mark.parametrize("event", TAKE)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("left", [True, False])
def test_anything_else_is_refused_and_changes_nothing(status: str, event: str, left: bool) -> None:
    task = a_task(status, left=left)
    if any((before, what) == (status, event) for before, what, _, _, _ in TABLE):
        assert TAKE[event][1](task).task != task
        return
    same = a_task(status, left=left)
    with pytest.raises(WrongState) as caught:
        TAKE[event][1](task)
    assert str(caught.value).startswith(f"T-12 is {status}, so it cannot be ")
    assert task == same


@pytest.mark.parametrize(("status", "event", "left", "to", "money"), TABLE)
def test_what_waits_for_a_time_says_until_when(status: str, event: str, left: bool | None, to: str, money: str) -> None:
    """Every state that is not final has a time at which the clock looks at it, so that none is forgotten."""
    after = TAKE[event][1](a_task(status, left=left)).task
    if after.over:
        assert after.due is None
    else:
        assert after.due is not None
        assert after.due <= after.deadline or to == "delivered"


@pytest.mark.parametrize(("status", "event", "left", "to", "money"), TABLE)
def test_no_lease_outlives_its_attempt(status: str, event: str, left: bool | None, to: str, money: str) -> None:
    after = TAKE[event][1](a_task(status, left=left)).task
    assert (after.lease_until is not None) == (to in {"awarded", "running"})
    assert after.lease is None or to not in {"open", "bidding", "failed"}, "another attempt has another's, or none"


@pytest.mark.parametrize("event", ["declined, handed back, lease lost, worker failed", "rejected"])
def test_who_failed_is_left_out_of_the_next_attempt(event: str) -> None:
    before = a_task("delivered" if event == "rejected" else "running")
    after = TAKE[event][1](before).task
    assert (after.attempt, after.excluded, after.agent, after.price) == (2, ("quill",), None, None)
    assert after.result is None


def test_but_changes_what_it_names_and_nothing_else() -> None:
    task = a_task("running")
    for field in Task._fields:
        changed = task.but(**{field: "other"})
        assert [name for name in Task._fields if getattr(changed, name) != getattr(task, name)] == [field]
    with pytest.raises(KeyError):
        task.but(colour="red")


# The auction -------------------------------------------------------------------------------------------------------

names = st.sampled_from(["echo", "mace", "quill", "seer", "telegram:1"])
prices = st.integers(1, to_msat(MAX_SATS))
permille = st.integers(0, 1000)
times = st.integers(0, 30 * 86_400_000)
bids = st.builds(Bid, names, prices, st.one_of(st.none(), times), st.just(""), permille, times)
scored = st.builds(Bid, names, prices, st.none(), st.just(""), permille, st.integers(0, 3), st.integers(0, 2))
auctions = st.lists(scored, max_size=8, unique_by=lambda bid: bid.agent)


@given(auctions)
def test_the_lowest_score_wins_and_of_equal_ones_the_earliest(auction: list[Bid]) -> None:
    ranked = ranking(auction)
    assert sorted(map(id, ranked)) == sorted(map(id, auction))
    for better, worse in itertools.pairwise(ranked):
        assert (better.score, better.at) <= (worse.score, worse.at)


@given(st.data(), auctions)
def test_the_order_of_arrival_decides_nothing_else(data: st.DataObject, auction: list[Bid]) -> None:
    shuffled: Sequence[Bid] = data.draw(st.permutations(auction))
    assert ranking(shuffled) == ranking(auction)


@given(bids, permille, times)
def test_a_score_is_the_published_rule_in_whole_msat(bid: Bid, trust: int, left: int) -> None:
    """The rule of the auction in exact fractions: three parts, each rounded down, so at most 3 msat off."""
    points = score(bid, trust, time_left=left)
    assert type(points) is int
    late = Fraction(0)
    if bid.eta is not None and bid.eta > left:
        late = Fraction(1)
    elif bid.eta is not None and bid.eta > Fraction(left, 2):
        late = Fraction(1, 10)
    exact = bid.price * (1 + Fraction(1000 - trust, 2000) + late + Fraction(1000 - bid.fit, 5000))
    assert exact - 3 < points <= exact
    assert bid.price <= points < 2**63


@given(bids, permille, times, st.integers(1, 10_000))
def test_nobody_gets_worse_by_being_better(bid: Bid, trust: int, left: int, more: int) -> None:
    points = score(bid, trust, time_left=left)

    assert score(bid._replace(price=max(1, bid.price - more)), trust, time_left=left) <= points
    assert score(bid._replace(fit=min(1000, bid.fit + more)), trust, time_left=left) <= points
    assert score(bid, min(1000, trust + more), time_left=left) <= points
    assert score(bid, trust, time_left=left + more) <= points
    if bid.eta is not None:
        assert score(bid._replace(eta=max(0, bid.eta - more)), trust, time_left=left) <= points
