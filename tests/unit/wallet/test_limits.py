"""Limits on spending: which there are, what counts towards them and for how long, and how a refusal reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sqlite.connection import schema_files
from adapters.sqlite.unit_of_work import UnitOfWork
from core.money import MAX_SATS, BadAmount, to_msat
from core.wallet import limits
from core.wallet.ledger import TREASURY, KeyConflict, user_account
from core.wallet.limits import DAY, HOUR, MINUTE, Frozen, OverLimit, Path, Spend, UnknownScope, check_scope
from tests.depth import depth
from tests.fakes import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN, BOB = "telegram:1", "telegram:2"
ACCOUNT = user_account(ANN)


@pytest.fixture
def tx() -> Iterator[UnitOfWork]:
    """A unit of work over limits alone, at a time that the test sets."""
    with closing(sqlite3.connect(":memory:")) as connection:
        yield _at_epoch(connection)


def _at_epoch(connection: sqlite3.Connection) -> UnitOfWork:
    for _, file in schema_files():
        if file.name.endswith(("_limits.sql", "_bounds.sql")):
            connection.executescript(file.read_text())
    tx = UnitOfWork(connection)
    tx.begin(EPOCH)
    return tx


def one(sats: int, key: str, path: Path = Path.TRANSFER, account: str = ACCOUNT, **who: Any) -> Spend:
    return Spend(account, to_msat(sats), path, key, **who)


def limit(tx: UnitOfWork, **sats: int) -> None:
    for scope, amount in sats.items():
        tx.limits.put_rule(scope, to_msat(amount))


def spent(tx: UnitOfWork, scope: str = "day", account: str = ACCOUNT) -> int:
    return next(one.spent for one in limits.standings(tx, account) if one.scope == scope) // 1000


# Scopes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("payment", "payment"), ("Hour", "hour"), (" DAY ", "day"), ("approve", "approve"), ("agent:Quill-2", "agent:quill-2"),
        ("class:writing", "class:writing"), ("peer:hub.example.org", "peer:hub.example.org"), ("treasury.day", "treasury.day"),
        ("Treasury.Agent:Echo", "treasury.agent:echo"), ("telegram:5", "telegram:5"), ("agent:telegram:5", "agent:telegram:5"),
        ("treasury.agent:telegram:5", "treasury.agent:telegram:5"), ("treasury.Sold", "treasury.sold"),
        ("matrix:@Ann:example.org", "matrix:@Ann:example.org"),
    ],
)  # fmt: skip
def test_what_can_be_limited(given: str, kept: str) -> None:
    assert check_scope(given) == kept


@pytest.mark.parametrize(
    "given",
    ["", "week", "days", "sold", "agent:", "agent:a b", "treasury", "treasury.", "treasury.approve", "treasury.telegram:5",
     "worker:x", "shortcuts:phone", "schedule:1", "agent:worker:x", "class:telegram:5", "telegram:ann", "day\u200b"],
)  # fmt: skip
def test_what_cannot_be_limited_names_what_can(given: str) -> None:
    with pytest.raises(UnknownScope, match=r"payment, hour, day, agent:NAME.*telegram:12345"):
        check_scope(given)


# What counts -------------------------------------------------------------------------------------------------------


def test_a_spend_counts_once_whatever_is_asked_under_its_key(tx: UnitOfWork) -> None:
    limit(tx, day=100)
    assert limits.spend(tx, one(60, "k")) == 60_000
    tx.limits.freeze(ANN, tx.now)
    assert limits.spend(tx, one(60, "k")) == 60_000, "it is the same spend"
    for other in (one(61, "k"), one(60, "k", account=user_account(BOB))):
        with pytest.raises(KeyConflict):
            limits.spend(tx, other)
    assert spent(tx) == 60


@pytest.mark.parametrize("msat", [0, -1, -500_000, to_msat(MAX_SATS) + 1, 2**80])
def test_no_amount_is_none_or_more_than_there_will_ever_be(tx: UnitOfWork, msat: int) -> None:
    with pytest.raises(BadAmount):
        limits.spend(tx, Spend(ACCOUNT, msat, Path.PAYMENT, "k"))
    assert tx.limits.counted("k") is None


def test_what_was_not_spent_in_the_end_counts_no_more(tx: UnitOfWork) -> None:
    limit(tx, day=100)
    limits.spend(tx, one(100, "k"))
    limits.adjust(tx, "k", 30_000)
    assert spent(tx) == 30
    limits.void(tx, "k")
    assert spent(tx) == 0
    assert limits.spend(tx, one(100, "k")) == 100_000, "and under the same key it is a new spend"
    with pytest.raises(OverLimit):
        limits.spend(tx, one(1, "another"))


NAMED = ["payment", "hour", "day", "agent:quill", "class:writing", "peer:far"]


@pytest.mark.parametrize(
    ("rule", "account"),
    [
        *((rule, ACCOUNT) for rule in (*NAMED, ANN, BOB)),
        *((f"treasury.{rule}", TREASURY) for rule in NAMED),
        (BOB, TREASURY),
    ],
)
def test_each_rule_limits_what_it_is_named_after_and_nothing_else(tx: UnitOfWork, rule: str, account: str) -> None:
    limit(tx, **{rule: 100})
    for path in set(Path) - {Path.SOLD}:
        whole = one(101, "a", path, account, agent="quill", kind="writing", peer="far", by=BOB)
        with pytest.raises(OverLimit, match=f"101 sats is over the limit {rule} of 100 sats"):
            limits.spend(tx, whole)
    limits.spend(tx, one(100, "b", account=account, agent="quill", kind="writing", peer="far"))
    other = ACCOUNT if account == TREASURY else TREASURY
    limits.spend(tx, one(101, "c", account=other, agent="quill", kind="writing", peer="far"))


def test_a_person_has_one_limit_for_their_own_sats_and_what_they_approve(tx: UnitOfWork) -> None:
    limit(tx, **{BOB: 100})
    limits.spend(tx, one(40, "own", account=user_account(BOB), by=BOB))
    limits.spend(tx, one(40, "approved", by=BOB))
    with pytest.raises(OverLimit, match=f"limit {BOB} of 100 sats a day: 20 sats left"):
        limits.spend(tx, one(21, "treasury", account=TREASURY, by=BOB))
    assert [(one.scope, one.spent) for one in limits.people(tx)] == [(BOB, 80_000)]
    assert spent(tx) == 40


def sold(sats: int, key: str, **who: Any) -> Spend:
    return one(sats, key, Path.SOLD, TREASURY, **who)


def test_what_strangers_paid_for_uses_up_no_budget_of_the_treasurys_own(tx: UnitOfWork) -> None:
    limit(tx, **{"treasury.hour": 100, "treasury.day": 100})
    for number in range(5):
        assert limits.spend(tx, sold(90, f"t{number}")) == 90_000
        assert limits.spend(tx, sold(90, f"t{number}")) == 90_000, "once"
        limits.award(tx, sold(80, f"t{number}", agent="quill", kind="writing"))
    assert limits.fit(tx, sold(90, "again")) == 90_000
    with pytest.raises(KeyConflict):
        limits.spend(tx, sold(91, "t0"))
    assert (spent(tx, "treasury.day", TREASURY), spent(tx, "treasury.sold", TREASURY)) == (0, 490)
    limits.spend(tx, one(100, "own", account=TREASURY))
    with pytest.raises(OverLimit, match=r"limit treasury\.(hour|day) of"):
        limits.spend(tx, one(1, "more", account=TREASURY))


@pytest.mark.parametrize(
    "rule", ["treasury.payment", "treasury.sold", "treasury.agent:quill", "treasury.class:writing"]
)
def test_owners_can_still_bound_what_is_done_for_strangers(tx: UnitOfWork, rule: str) -> None:
    limit(tx, **{rule: 100})
    with pytest.raises(OverLimit, match=f"101 sats is over the limit {rule} of 100 sats"):
        limits.spend(tx, sold(101, "a", agent="quill", kind="writing"))
    limits.spend(tx, one(100, "own", account=TREASURY))
    limits.spend(tx, sold(100, "b", agent="quill", kind="writing"))


def test_above_its_amount_somebody_taps(tx: UnitOfWork) -> None:
    assert not limits.needs_tap(tx, one(10**9, "k"))
    tx.limits.preset("approve", 1_000_000)
    assert [limits.needs_tap(tx, one(sats, "k")) for sats in (1000, 1001)] == [False, True]
    limit(tx, approve=5)
    assert limits.needs_tap(tx, one(6, "k"))
    tx.limits.put_rule("approve", None)
    assert not limits.needs_tap(tx, one(6, "k")), "what the settings say holds again"


# Tasks: a budget, then a price ---------------------------------------------------------------------------------------


def test_an_award_counts_towards_who_wins_and_the_rest_of_the_budget_comes_back(tx: UnitOfWork) -> None:
    limit(tx, **{"agent:quill": 100, "class:writing": 150, "day": 200})
    limits.spend(tx, one(200, "t", Path.TASK))
    for agent, kind, sats in (("quill", "writing", 101), ("echo", "writing", 151)):
        with pytest.raises(OverLimit):
            limits.award(tx, one(sats, "t", Path.TASK, agent=agent, kind=kind))
    limits.award(tx, one(100, "t", Path.TASK, agent="quill", kind="writing"))
    assert [spent(tx, scope) for scope in ("day", "agent:quill", "class:writing")] == [100, 100, 100]
    assert limits.refusal(tx, one(100, "t", Path.TASK, agent="quill", kind="writing")) is None, "it is counted already"
    assert isinstance(limits.refusal(tx, one(1, "u", Path.TASK, agent="quill")), OverLimit)
    tx.limits.freeze(ANN, tx.now)
    with pytest.raises(Frozen):
        limits.award(tx, one(1, "u", Path.TASK, agent="echo"))


@pytest.mark.parametrize("by", [None, ANN, BOB])
@pytest.mark.parametrize("rule", ["hour", "day", "agent:quill", ANN])
def test_an_award_counts_nothing_a_second_time(tx: UnitOfWork, rule: str, by: str | None) -> None:
    limit(tx, **{rule: 100, BOB: 100})
    budget = one(80, "t", Path.TASK, agent="quill", by=by)
    limits.spend(tx, budget)
    assert limits.refusal(tx, budget) is None
    limits.award(tx, budget)
    assert spent(tx) == 80
    with pytest.raises(OverLimit, match=f"limit {rule} of 100 sats"):
        limits.spend(tx, one(21, "u", Path.TASK, agent="quill"))


def test_a_price_may_not_be_more_than_one_spend_may_be_by_then(tx: UnitOfWork) -> None:
    limits.spend(tx, one(200, "t", Path.TASK))
    limit(tx, payment=50)
    with pytest.raises(OverLimit, match="51 sats is over the limit payment of 50 sats for one spend"):
        limits.award(tx, one(51, "t", Path.TASK, agent="quill"))


def test_what_came_back_is_set_aside_again_as_far_as_the_limits_leave_it(tx: UnitOfWork) -> None:
    tx.limits.freeze(ANN, tx.now)
    assert limits.fit(tx, one(70, "t1", Path.TASK)) == 70_000
    limit(tx, day=100)
    assert limits.fit(tx, one(70, "t2", Path.TASK)) == 30_000
    assert limits.fit(tx, one(70, "t3", Path.TASK)) == 0
    assert tx.limits.counted("t3") is None
    limit(tx, day=1000, payment=20)
    assert limits.fit(tx, one(70, "t4", Path.TASK)) == 20_000


def test_what_a_person_spent_comes_along_to_their_account_whole_and_stays_spent_by_them(tx: UnitOfWork) -> None:
    limits.spend(tx, one(30, "a", agent="quill", by=ANN))
    limits.spend(tx, one(5, "b", account=TREASURY, by=ANN))
    limits.spend(tx, one(40, "c", account=user_account(BOB)))
    limits.bring_along(tx, ANN, BOB)
    limit(tx, **{ANN: 100, BOB: 100, "agent:quill": 100})
    assert [(one.scope, one.spent) for one in limits.people(tx)] == [(ANN, 35_000), (BOB, 75_000)]
    assert [spent(tx, scope, user_account(BOB)) for scope in ("day", "agent:quill")] == [70, 30]
    assert [spent(tx, scope) for scope in ("day", "agent:quill")] == [30, 30], "should they be taken off again"
    limits.void(tx, "a")
    assert spent(tx, account=user_account(BOB)) == 70, "what was spent before is not given back to anybody"


# Time ----------------------------------------------------------------------------------------------------------------


def test_a_refusal_says_how_much_is_left_and_when_it_is_enough(tx: UnitOfWork) -> None:
    limit(tx, hour=100)
    limits.spend(tx, one(30, "a"))
    tx.begin(EPOCH + 10 * MINUTE)
    limits.spend(tx, one(50, "b"))
    tx.begin(EPOCH + 18 * MINUTE)
    with pytest.raises(OverLimit) as refused:
        limits.spend(tx, one(45, "c"))
    assert str(refused.value) == (
        "45 sats is over the limit hour of 100 sats an hour: 20 sats left, enough again in 43 min. Spend less, wait, or let an"
        " owner say: /limits hour AMOUNT"
    )
    with pytest.raises(
        OverLimit, match=r"101 sats is over the limit hour of 100 sats an hour: 20 sats left\. Spend less, or"
    ):
        limits.spend(tx, one(101, "c"))
    with pytest.raises(OverLimit, match="enough again in 53 min"):
        limits.spend(tx, one(60, "c"))
    limit(tx, day=100)
    tx.limits.put_rule("hour", None)
    with pytest.raises(OverLimit, match="enough again in 23 h 43 min"):
        limits.spend(tx, one(45, "c"))


def test_a_clock_that_was_put_back_makes_no_room(tx: UnitOfWork) -> None:
    limit(tx, hour=100, day=150)
    limits.spend(tx, one(100, "a"))
    for moved in (-1, -HOUR, -30 * DAY):
        tx.begin(EPOCH + moved)
        with pytest.raises(OverLimit):
            limits.spend(tx, one(1, "b"))
    tx.begin(EPOCH + HOUR + MINUTE)
    limits.spend(tx, one(50, "c"))
    tx.begin(EPOCH)
    with pytest.raises(OverLimit, match="limit hour"):
        limits.spend(tx, one(1, "d"))


def test_sums_stay_within_63_bits(tx: UnitOfWork) -> None:
    for number in range(9):
        limits.spend(tx, one(MAX_SATS, f"k{number}"))
    limit(tx, day=MAX_SATS)
    with pytest.raises(OverLimit):
        limits.spend(tx, one(1, "k"))


steps = st.lists(
    st.tuples(
        st.sampled_from(["spend", "spend", "spend", "void", "adjust"]), st.integers(1, 120), st.integers(0, 5),
        st.sampled_from([0, 1, MINUTE - 1, MINUTE, 20 * MINUTE, HOUR, DAY, -MINUTE, -HOUR]),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=depth(60, 2000), deadline=None)
@given(steps=steps)
def test_no_window_ever_holds_more_than_its_limit(steps: list[tuple[str, int, int, int]]) -> None:
    """Against a plain list of what was spent: never too much, and never refused what fits with a minute to spare."""
    connection = sqlite3.connect(":memory:")
    tx, now, kept = _at_epoch(connection), EPOCH, dict[str, list[int]]()
    limits_of = {HOUR: 100_000, DAY: 250_000}
    tx.limits.put_rule("hour", limits_of[HOUR])
    tx.limits.put_rule("day", limits_of[DAY])
    for number, (what, sats, key, ms) in enumerate(steps):
        now += ms
        tx.begin(now)
        name = f"k{key}"
        if what == "void":
            limits.void(tx, name)
            kept.pop(name, None)
        elif what == "adjust" and name in kept:
            kept[name][0] = min(kept[name][0], to_msat(sats))
            limits.adjust(tx, name, kept[name][0])
        elif what == "spend":
            name = name if name not in kept else f"{name}/{number}"
            room = min(most - _within(kept, now - window) for window, most in limits_of.items())
            surely = min(most - _within(kept, now - window - MINUTE) for window, most in limits_of.items())
            try:
                limits.spend(tx, one(sats, name))
            except OverLimit:
                assert to_msat(sats) > surely
            else:
                assert to_msat(sats) <= room
                kept[name] = [to_msat(sats), now]
    connection.close()


def _within(kept: dict[str, list[int]], since: int) -> int:
    return sum(amount for amount, at in kept.values() if at > since)
