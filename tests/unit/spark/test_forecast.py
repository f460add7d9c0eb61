"""What is said of tasks, and what is learned from them, on short histories made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spark.forecast import Outcome, foresee
from core.spark.known import LATEST, MOST_AGENTS, NOTHING
from core.spark.learning import learn
from core.spark.record import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.spark.forecast import Forecast
    from core.spark.known import Known

SAT = 1000
BUDGET = 100 * SAT
MINUTE = 60_000
BOTH = ("ann", "bea")


def after(
    known: Known, *ends: str, able: Sequence[str] = BOTH, budget: int = BUDGET, price: int = 40 * SAT, took: int = MINUTE
) -> Known:  # fmt: skip
    """What is known after tasks that ended so: `ann` paid, `ann-` failed, `ann-bea` tried by both, empty: nobody took it."""
    for number, end in enumerate(ends, known.ended + 1):
        *lost, by = end.split("-")
        said = foresee(known, budget, able)
        outcome = Outcome(number, budget, tuple(lost), by, price if by else 0, took if by else 0, number * MINUTE)
        known = learn(known, said, outcome, score(said, outcome))
    return known


def test_of_nothing_all_are_alike_and_no_price_is_said() -> None:
    said = foresee(NOTHING, BUDGET, BOTH)
    assert said.odds == {"ann": pytest.approx(0.5), "bea": pytest.approx(0.5)}
    assert 0.5 < said.done < 1
    assert (said.price, said.took) == (None, None)


def test_of_those_that_are_as_likely_only_the_first_named_counts_as_foreseen() -> None:
    assert after(NOTHING, "ann").record[:2] == (1, 1)
    assert after(NOTHING, "ann").record.winner_base == pytest.approx(0.5), (
        "counting knows no more than was known before"
    )
    assert after(NOTHING, "bea").record[:2] == (1, 0), "it was not said that it would win"
    assert after(after(NOTHING, *["bea"] * 5), "bea").record[:2] == (6, 5)


def test_that_nobody_can_do_a_task_is_no_merit_of_a_forecast() -> None:
    """Counting knows it too."""
    record = after(NOTHING, *["ann"] * 9).record
    more = after(after(NOTHING, *["ann"] * 9), *[""] * 9, able=()).record
    assert (more.ends, more.end > record.end) == (18, True)
    assert more.end_base - record.end_base == pytest.approx(more.end - record.end)


def test_whoever_wins_is_likelier_to_and_whoever_was_never_seen_still_can() -> None:
    said = foresee(after(NOTHING, *["ann"] * 30), BUDGET, (*BOTH, "cyd"))
    assert said.odds["ann"] > 0.75
    assert said.odds["cyd"] > said.odds["bea"] > 0.003
    assert sum(said.odds.values()) == pytest.approx(1)
    assert foresee(after(NOTHING, *["ann"] * 30), BUDGET, ("bea",)).odds == {"bea": pytest.approx(1)}


def test_a_new_leader_is_seen_before_long() -> None:
    known = after(NOTHING, *["ann"] * 200)
    assert foresee(after(known, *["bea"] * 20), BUDGET, BOTH).odds["bea"] > 0.6


def test_who_wins_may_lean_with_the_budget() -> None:
    known = NOTHING
    for _ in range(60):
        known = after(after(known, "ann", budget=30 * SAT), "bea", budget=900 * SAT)
    assert foresee(known, 30 * SAT, BOTH).odds["ann"] > 0.75
    assert foresee(known, 900 * SAT, BOTH).odds["bea"] > 0.75


def test_how_it_ends_is_learned_of_who_may_win() -> None:
    known = after(NOTHING, *["ann"] * 20, able=["ann"])
    known = after(known, *["bea-"] * 20, able=["bea"])
    fine, hopeless = (foresee(known, BUDGET, [name]).done for name in BOTH)
    assert fine > 0.7
    assert hopeless < 0.3


def test_a_second_that_would_finish_it_is_counted_on() -> None:
    known = after(NOTHING, *["ann-bea"] * 40)
    alone, both = (foresee(known, BUDGET, able).done for able in (["ann"], BOTH))
    assert alone < 0.4
    assert both > 0.8
    assert foresee(after(known, *["ann-bea-cyd"] * 20, able=(*BOTH, "cyd")), BUDGET, (*BOTH, "cyd")).done > both - 0.2


def test_where_nobody_could_do_it_it_hardly_ends_well_until_it_did() -> None:
    assert foresee(NOTHING, BUDGET, ()).odds == {}
    assert foresee(NOTHING, BUDGET, ()).done < 0.2
    known = after(after(NOTHING, "ann"), *["ann"] * 20, able=())
    said = foresee(known, BUDGET, ())
    assert said.done > 0.7
    assert said.price is None
    assert foresee(after(known, *[""] * 60, able=()), BUDGET, ()).done < 0.4


def test_price_and_time_are_those_of_whoever_may_win() -> None:
    known = NOTHING
    for number in range(60):
        known = after(known, "ann", able=["ann"], price=(30 + number % 5) * SAT, took=MINUTE)
        known = after(known, "bea", able=["bea"], price=(80 + number % 5) * SAT, took=10 * MINUTE)
    for name, sats, minutes in (("ann", 32, 1), ("bea", 82, 10)):
        said = foresee(known, BUDGET, [name])
        assert said.price is not None
        assert said.took is not None
        assert said.price[0] <= sats * SAT <= said.price[1]
        assert said.price[1] - said.price[0] < 30 * SAT
        assert said.took[0] <= minutes * MINUTE <= said.took[1]


def test_a_price_may_grow_with_the_budget_and_is_never_above_it() -> None:
    known = NOTHING
    for _ in range(40):
        for sats in (50, 100, 200, 400):
            known = after(known, "ann", able=["ann"], budget=sats * SAT, price=sats * SAT // 2)
    small, large = foresee(known, 60 * SAT, ["ann"]).price, foresee(known, 300 * SAT, ["ann"]).price
    assert small is not None
    assert large is not None
    assert small[0] <= 30 * SAT <= small[1] < large[0] <= 150 * SAT <= large[1]
    tiny = foresee(known, SAT, ["ann"]).price
    assert tiny is not None
    assert tiny[1] <= SAT


def test_ranges_grow_with_misses_and_shrink_with_hits() -> None:
    def width(known: Known) -> float:
        said = foresee(known, BUDGET, ["ann"])
        assert said.price is not None
        return said.price[1] / said.price[0]

    calm = after(NOTHING, *["ann"] * 40, able=["ann"])
    wild = calm
    for price in [10 * SAT, 90 * SAT] * 5:
        wild = after(wild, "ann", able=["ann"], price=price)
    assert wild.stretch[0] > calm.stretch[0]
    assert width(wild) > 2 * width(calm)


def test_whoever_did_nothing_for_longest_is_forgotten() -> None:
    names = [f"agent{number}" for number in range(MOST_AGENTS + 10)]
    known = NOTHING
    for name in names:
        known = after(known, name, able=[name, "other"])
    assert list(known.seen) == names[-MOST_AGENTS:]
    assert names[0] not in known.ratings
    assert names[-1] in known.ratings
    assert len(known.ratings) == MOST_AGENTS


def test_the_latest_are_kept_one_by_one_with_when_their_failing_began() -> None:
    known = after(NOTHING, *["ann-"] * 3, *["ann"] * 2, able=["ann"])
    assert known.seen["ann"].last == "00011"
    assert known.seen["ann"].since == MINUTE
    known = after(known, *["ann"] * LATEST, able=["ann"])
    assert (known.seen["ann"].last, known.seen["ann"].since) == ("1" * LATEST, 0)
    known = after(known, "", "", able=["ann"])
    assert (known.found[-2:], known.lost, known.since) == ("00", known.ended, (known.ended - 1) * MINUTE)


def test_the_record_is_kept_beside_counting() -> None:
    known = after(NOTHING, *["ann", "bea"] * 20)
    record = known.record
    assert (record.winners, record.ends, record.prices, record.times) == (40, 40, 39, 39)
    assert 0 < record.winner_base / record.winners < 1
    assert record.end_base / record.ends < 0.05
    assert record.price_in == record.time_in == 39
    assert after(NOTHING, "", able=()).record.winners == 0


names = st.sampled_from(["ann", "bea", "cyd", "dee"])


@pytest.mark.long
@given(
    st.lists(
        st.tuples(
            st.lists(names, unique=True), st.lists(names, unique=True, max_size=3), st.booleans(),
            st.integers(1, 10**15), st.integers(0, 10**12),
        ), max_size=40,
    )
)  # fmt: skip
def test_whatever_happens_a_forecast_is_one(tasks: Sequence[tuple[list[str], list[str], bool, int, int]]) -> None:
    known = NOTHING
    for number, (able, had, paid, budget, took) in enumerate(tasks, 1):
        said = foresee(known, budget, able)
        _is_one(said, budget, able)
        by = had.pop() if paid and had else ""
        outcome = Outcome(number, budget, tuple(had), by, budget // 2 if by else 0, took if by else 0, number)
        known = learn(known, said, outcome, score(said, outcome))
    assert known.ended == len(tasks)


def _is_one(said: Forecast, budget: int, able: Sequence[str]) -> None:
    assert list(said.odds) == list(able)
    assert not able or sum(said.odds.values()) == pytest.approx(1)
    assert all(0 < one <= 1 for one in said.odds.values())
    assert 0 < said.done < 1
    assert said.price is None or 0 <= said.price[0] <= said.price[1] <= budget
    assert said.took is None or 0 <= said.took[0] <= said.took[1]
