"""The published rule, by hand."""

from __future__ import annotations

import pytest

from core.swarm.auction import Bid, ranking, score


@pytest.mark.parametrize(
    ("eta", "trust", "fit", "found"),
    [
        (None, 1000, 1000, 1_000),
        (500, 1000, 1000, 1_000),
        (501, 1000, 1000, 1_100),
        (1_000, 1000, 1000, 1_100),
        (1_001, 1000, 1000, 2_000),
        (None, 0, 1000, 1_500),
        (None, 500, 1000, 1_250),
        (None, 1000, 0, 1_200),
        (1_001, 0, 0, 2_700),
    ],
)
def test_a_score_is_the_price_and_what_is_added_to_it(eta: int | None, trust: int, fit: int, found: int) -> None:
    assert score(Bid("box", 1_000, eta, "", fit, 0), trust, time_left=1_000) == found


def test_the_lowest_wins_then_the_earliest_then_the_first_by_name() -> None:
    bids = [
        Bid(name, 1, None, "", 1000, at, score)
        for name, at, score in (("b", 2, 5), ("a", 2, 5), ("c", 1, 5), ("d", 9, 4))
    ]
    assert [bid.agent for bid in ranking(bids)] == ["d", "c", "a", "b"]
