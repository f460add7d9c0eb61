"""How often somebody may do something."""

from __future__ import annotations

from core.wallet.pace import Pace


def test_a_burst_then_a_steady_pace_for_each_name() -> None:
    pace = Pace(per_minute=6, burst=2)
    assert [pace.take("ann", 0), pace.take("ann", 0), pace.take("ann", 0)] == [0, 0, 10_000]
    assert pace.take("bob", 0) == 0
    assert pace.take("ann", 9_999) == 1
    assert pace.take("ann", 10_000) == 0
    assert pace.take("ann", 10_000) == 10_000
    assert [pace.take("ann", 10**9), pace.take("ann", 10**9), pace.take("ann", 10**9)] == [0, 0, 10_000]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    pace = Pace(per_minute=6, burst=1)
    assert [pace.take("ann", 50_000), pace.take("ann", 0), pace.take("ann", 9_000)] == [0, 10_000, 1_000]


def test_only_so_many_names_are_remembered_and_the_longest_unseen_goes() -> None:
    pace = Pace(per_minute=1, burst=1, most=2)
    assert [pace.take("ann", 0), pace.take("bob", 0), pace.take("ann", 0)] == [0, 0, 60_000]
    assert pace.take("eve", 0) == 0
    assert len(pace) == 2
    assert pace.take("ann", 0) == 60_000
    assert pace.take("bob", 0) == 0
