"""How good forecasts were: each scored once its task is over, beside what mere counting would have said. Pure.

A Brier score is the mean square of what was said less what was so: 0 is perfect, and of a winner 2 the worst. A winner is scored
where there were two or more to choose from, price and time where somebody was paid and a range was said, and nothing of a task
that was called off: that is no outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from core.spark.forecast import Forecast, Outcome


class Record(NamedTuple):
    """Sums over all that was scored. `winners`: how many winners, `right` of them the likeliest; `..._base`: of counting."""

    winners: int = 0
    right: int = 0
    winner: float = 0.0
    winner_base: float = 0.0
    ends: int = 0
    end: float = 0.0
    end_base: float = 0.0
    prices: int = 0
    price_in: int = 0
    times: int = 0
    time_in: int = 0


NO_RECORD = Record()


class Score(NamedTuple):
    """Of one forecast: Brier scores of winner and end, and whether price and time fell into their ranges; None: not scored."""

    winner: float | None
    end: float
    price_in: bool | None
    time_in: bool | None


def score(said: Forecast, outcome: Outcome) -> Score:
    """How good it was."""
    return Score(
        brier(said.odds.values(), said.odds.get(outcome.winner, 0.0))
        if outcome.winner and len(said.odds) > 1
        else None,
        (bool(outcome.by) - said.done) ** 2,
        _inside(said.price, outcome.price) if outcome.by else None,
        _inside(said.took, outcome.took) if outcome.by else None,
    )


def scored(record: Record, how: Score, base: tuple[float, float], *, right: bool) -> Record:
    """The record with one more forecast. `base`: the Brier scores of counting; `right`: the winner was the likeliest."""
    won = how.winner is not None
    return Record(
        record.winners + won, record.right + (won and right), record.winner + (how.winner or 0.0), record.winner_base + base[0],
        record.ends + 1, record.end + how.end, record.end_base + base[1],
        record.prices + (how.price_in is not None), record.price_in + bool(how.price_in),
        record.times + (how.time_in is not None), record.time_in + bool(how.time_in),
    )  # fmt: skip


def together(records: Iterable[Record]) -> Record:
    """Several records as one."""
    return Record(*map(sum, zip(NO_RECORD, *records, strict=True)))


def brier(odds: Collection[float], own: float, whole: float = 1.0) -> float:
    """The square of what was said less what was so, over all; `own`: what was said of the winner; `whole`: what all add up to.

    A winner that was not among them (0) counts whole.
    """
    return 1.0 + (sum([one * one for one in odds]) / whole - 2.0 * own) / whole


def _inside(said: tuple[int, int] | None, was: int) -> bool | None:
    return None if said is None else said[0] <= was <= said[1]
