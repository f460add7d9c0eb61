"""Spark is better than counting, on a history that drifts. The long table is a group of `make bench`."""

from __future__ import annotations

from tests.bench.history import happened
from tests.bench.spark import LAST, Counting, Spark, scores

SEED, COUNT = 11, 1200


def test_it_is_better_than_the_base_rate_and_than_the_last_twenty() -> None:
    history = [*happened(SEED, COUNT)]
    ours, ever, lately = (scores(one, history) for one in (Spark(), Counting(), Counting(LAST)))
    for one in (ever, lately):
        assert ours.winner < 0.85 * one.winner
        assert ours.end < 0.97 * one.end
        assert ours.price < 0.85 * one.price
        assert ours.time < 0.95 * one.time
    assert abs(ours.price_in - 0.8) < 0.05
    assert abs(ours.time_in - 0.8) < 0.05


def test_a_history_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (next(iter(happened(seed, 1))) for seed in (SEED, SEED, SEED + 1))
    assert first == again != other
