"""How good a forecast was, in numbers that were worked out by hand."""

from __future__ import annotations

import pytest

from core.spark.forecast import Forecast, Outcome
from core.spark.record import NO_RECORD, Record, Score, brier, score, scored, together

SAID = Forecast({"ann": 0.75, "bea": 0.25}, 0.8, (20, 40), (1000, 3000))


def outcome(*lost: str, by: str = "", price: int = 0, took: int = 0) -> Outcome:
    return Outcome(1, 100, lost, by, price, took, 5)


def test_a_good_end_is_scored_in_all() -> None:
    how = score(SAID, outcome(by="ann", price=40, took=3001))
    assert [*how] == [pytest.approx(0.0625 + 0.0625), pytest.approx(0.04), True, False]
    assert score(SAID, outcome(by="bea", price=19, took=0))[2:] == (False, False)


def test_who_won_first_is_the_winner_though_another_did_it() -> None:
    how = score(SAID, outcome("bea", by="ann", price=30, took=2000))
    assert [*how] == [pytest.approx(2 * 0.75**2), pytest.approx(0.04), True, True]


def test_a_bad_end_says_nothing_of_price_and_time() -> None:
    assert [*score(SAID, outcome("ann"))] == [pytest.approx(0.125), pytest.approx(0.64), None, None]


def test_where_there_was_no_choice_or_no_winner_none_is_scored() -> None:
    assert score(SAID, outcome()).winner is None
    alone = score(Forecast({"ann": 1.0}, 0.9), outcome(by="ann", price=1, took=1))
    assert [*alone] == [None, pytest.approx(0.01), None, None]


def test_a_winner_that_was_not_in_the_running_counts_whole() -> None:
    assert brier([0.75, 0.25], 0) == pytest.approx(1 + 0.5625 + 0.0625)
    assert brier([], 0) == 1
    assert brier([3.0, 1.0], 3.0, 4.0) == pytest.approx(0.125)


def test_the_record_adds_up() -> None:
    one = scored(NO_RECORD, Score(0.5, 0.25, price_in=True, time_in=False), (0.6, 0.3), right=True)
    assert one == Record(1, 1, 0.5, 0.6, 1, 0.25, 0.3, 1, 1, 1, 0)
    two = scored(one, Score(None, 0.5, None, None), (0.0, 0.1), right=True)
    assert two == Record(1, 1, 0.5, 0.6, 2, 0.75, 0.4, 1, 1, 1, 0)
    assert [*together([one, two])] == pytest.approx([2, 2, 1.0, 1.2, 3, 1.0, 0.7, 2, 2, 2, 0])
    assert together([]) == NO_RECORD
