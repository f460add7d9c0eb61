"""Spark is better than counting, on a history that drifts. The long table is a group of `make bench`."""

from __future__ import annotations

from functools import partial

import pytest

from tests.bench.history import happened
from tests.bench.spark import LAST, Counting, Spark, mean, scores

SEEDS, COUNT = (11, 12, 13), 1200


@pytest.mark.long
def test_it_is_better_than_the_base_rate_and_than_the_last_twenty() -> None:
    histories = [[*happened(seed, COUNT)] for seed in SEEDS]
    ours, ever, lately = (
        mean([scores(make(), one) for one in histories]) for make in (Spark, Counting, partial(Counting, LAST))
    )
    for one in (ever, lately):
        assert ours.winner < 0.85 * one.winner
        assert ours.end < 0.95 * one.end
        assert ours.price < 0.85 * one.price
        assert ours.time < 0.95 * one.time
    assert abs(ours.price_in - 0.8) < 0.05
    assert abs(ours.time_in - 0.8) < 0.05


def test_a_history_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (next(iter(happened(seed, 1))) for seed in (11, 11, 12))
    assert first == again != other
