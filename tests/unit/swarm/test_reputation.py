"""Trust is a mean that begins somewhere and forgets; the rules of docs/auction.md, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.swarm.auction import Bid, score
from core.swarm.reputation import (
    EXPLORE,
    HALF_LIFE,
    NEWCOMER,
    NOTHING,
    ONE,
    Record,
    fade,
    together,
    trust,
)

NOW = 1_750_000_000_000
weights = st.integers(0, 10_000 * ONE)
times = st.integers(0, 10 * HALF_LIFE)
counts = st.integers(1, 10_000)
records = st.builds(Record, good=weights, bad=weights, at=st.just(NOW))


def only(own: Record) -> int:
    """The trust in somebody who did nothing else."""
    return trust([own.weight("a")], "a", NOW)


def test_a_newcomer_is_trusted_four_fifths_and_a_little_more() -> None:
    assert trust([], "a", NOW) == trust([NOTHING.weight("a")], "a", NOW) == NEWCOMER == 800 + EXPLORE


@pytest.mark.parametrize(
    ("since", "left"),
    [(0, 1000), (HALF_LIFE // 2, 750), (HALF_LIFE, 500), (3 * HALF_LIFE // 2, 375), (2 * HALF_LIFE, 250), (10 * HALF_LIFE, 0),
     (1000 * HALF_LIFE, 0)],
)  # fmt: skip
def test_what_was_seen_loses_half_its_weight_in_a_half_life(since: int, left: int) -> None:
    assert fade(1000, since) == left


@given(weights, times, times)
def test_it_only_ever_fades_and_nearly_as_an_exponential(weight: int, since: int, more: int) -> None:
    assert 0 <= fade(weight, since + more) <= fade(weight, since) <= weight
    exact = weight * 2 ** (-since / HALF_LIFE)
    assert exact - 1.5 <= fade(weight, since) <= exact * 1.07 + 1


@given(records, records)
def test_trust_is_the_published_mean(own: Record, other: Record) -> None:
    everything = together([own, other], NOW)
    whole = Fraction(everything.good + 4 * ONE, everything.good + everything.bad + 5 * ONE)
    exact = Fraction(own.good + 5 * ONE * whole) / (own.good + own.bad + 5 * ONE)
    bonus = Fraction(EXPLORE * ONE, ONE + everything.good + everything.bad) / 1000
    found = Fraction(trust([own.weight("a"), other.weight("b")], "a", NOW), 1000)
    wanted = min(exact + bonus, Fraction(1))
    assert wanted - Fraction(4, 1000) <= found <= wanted


@given(records)
def test_good_work_raises_trust_and_bad_work_lowers_it(own: Record) -> None:
    before = only(own)
    better, worse = own.paid(NOW, 5_000, 7_000), own.failing(NOW)
    assert only(better) >= before - 1, "but for what is rounded down"
    assert only(worse) <= before
    paid = (own.settled + 1, own.earned + 5_000, own.took + 7_000, own.failed)
    assert (better.settled, better.earned, better.took, better.failed) == paid
    assert (worse.failed, worse.settled) == (own.failed + 1, own.settled)


@given(records, times)
def test_whoever_does_nothing_becomes_a_newcomer_again(own: Record, since: int) -> None:
    aged = own.faded(NOW + since).faded(NOW + 100 * HALF_LIFE)
    assert (aged.good, aged.bad) == (0, 0)
    assert trust([aged.weight("a")], "a", aged.at) == NEWCOMER


def test_a_clock_that_went_back_makes_nothing_heavier() -> None:
    one = Record(good=4_000, bad=1_000, at=NOW)
    assert one.faded(NOW - HALF_LIFE) == one
    assert one.paid(NOW - 1, 1, 1).at == NOW


def test_what_is_known_elsewhere_counts_where_nothing_is_known() -> None:
    bad, good = Record(bad=50 * ONE, at=NOW), Record(good=50 * ONE, at=NOW)
    assert trust([bad.weight("b")], "a", NOW) < 100 < NEWCOMER < 970 < trust([good.weight("b")], "a", NOW)
    assert trust([good.weight("a"), bad.weight("b")], "a", NOW) > 900, "in its own field it is judged by that"


@given(counts, counts, records)
def test_trust_comes_to_what_was_seen_in_the_field_whatever_was_seen_elsewhere(
    good: int, bad: int, other: Record
) -> None:
    seen = good + bad
    found = trust([Record(good=good * ONE, bad=bad * ONE, at=NOW).weight("a"), other.weight("b")], "a", NOW)
    assert 0 <= found <= ONE
    assert abs(found - Fraction(good * ONE, seen)) <= Fraction(5 * ONE, seen + 5) + Fraction(EXPLORE, 1 + seen) + 2


@given(records, st.integers(1, 1_000_000))
def test_newcomers_are_explored_a_little_and_nobody_for_long(own: Record, price: int) -> None:
    seen = (own.good + own.bad) // ONE
    mean = Fraction(own.good + 4 * ONE, own.good + own.bad + 5 * ONE)
    plain = Fraction(own.good + 5 * ONE * mean, own.good + own.bad + 5 * ONE) * ONE
    assert only(own) - plain <= Fraction(EXPLORE, 1 + seen), "less with each task seen"
    best, new = (score(Bid("a", price, None, "", ONE, 0), known, time_left=1) for known in (ONE, NEWCOMER))
    assert best <= new <= best + price * 7 // 100, (
        "seven percent cheaper than the best there can be, and it gets its chance"
    )
    middling = Record(good=85 * ONE, bad=15 * ONE, at=NOW)
    assert only(middling) < NEWCOMER < only(Record(good=95 * ONE, bad=5 * ONE, at=NOW))


@given(st.lists(records, max_size=5))
def test_several_records_are_their_sums(some: list[Record]) -> None:
    whole = together(some, NOW)
    assert (whole.good, whole.bad) == (sum(one.good for one in some), sum(one.bad for one in some))
