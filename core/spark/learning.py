"""What a task teaches once it is over. Pure.

Each part of a forecast takes a step towards what happened, so that what was long ago counts for little, and what a step forgets is
as much as it learns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from core.spark.forecast import COVERED, chances, curve, features, likeliest, place
from core.spark.known import LATEST, MOST_AGENTS, UNRATED, UNSEEN, Known, Seen
from core.spark.record import brier, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.spark.forecast import Features, Forecast, Outcome
    from core.spark.known import Rating
    from core.spark.record import Record, Score

_STEP, _FIRST, _TILT, _HOLD = 0.2, 1.0, 0.2, 0.9995
"""What an auction moves a rating by, what a newcomer's first moves it by, the same for how it leans; what is kept of both."""

_FADE = 0.985
_BENT, _UNBENT = 0.05, 0.0005
_GAIN = 0.04
_WIDEST = 8.0


def learn(known: Known, said: Forecast, outcome: Outcome, how: Score) -> Known:
    """What is known once a task is over of which this was said, and `how` good that was."""
    x, winner, by, ended = place(outcome.budget), outcome.winner, outcome.by, known.ended
    ratings, seen, whole = known.ratings, dict(known.seen), known.whole
    odds = chances(ratings, x, said.odds)
    if winner in odds and len(odds) > 1:
        ratings = _rated(ratings, odds, winner, x)
    for name in outcome.lost:
        seen[name] = _after(seen.pop(name, UNSEEN), outcome.at, ended, x, None)  # whoever was at it latest stands last
        whole = _after(whole, outcome.at, ended, x, None)
    price, took = known.price, known.took
    if by:
        paid = math.log(max(1, outcome.price)), math.log(max(1, outcome.took))
        price, took = price.seen(whole.price.level(x, paid[0])), took.seen(whole.took.level(x, paid[1]))
        seen[by] = _after(seen.pop(by, UNSEEN), outcome.at, ended, x, paid)
        whole = _after(whole, outcome.at, ended, x, paid)
    if len(seen) > MOST_AGENTS:
        del seen[next(iter(seen))]
    nobody, good = known.nobody, bool(by)
    found = (known.found + ("1" if winner else "0"))[-LATEST:]
    return Known(
        ratings,
        seen,
        whole,
        nobody if odds else (nobody[0] * _FADE + good, nobody[1] * _FADE + (not good)),
        (_stretched(known.stretch[0], how.price_in), _stretched(known.stretch[1], how.time_in)),
        _bent(known.bend, features(known, odds, x), good),
        ended + 1,
        known.settled + good,
        found,
        known.lost if winner else outcome.task,
        _since(known.found, known.since, found, outcome.at),
        price,
        took,
        _recorded(known, said, winner, good, how),
        outcome.at,
    )  # fmt: skip


def _rated(ratings: Mapping[str, Rating], odds: Mapping[str, float], winner: str, x: float) -> dict[str, Rating]:
    """Ratings, with those of all that could have won moved towards what happened."""
    moved, tilt = dict(ratings), _TILT * x
    for name, chance in odds.items():
        rating, slope, tried, wins = moved.get(name, UNRATED)
        off = -chance
        if name == winner:
            off += 1.0
            wins += 1
            moved.pop(name, None)  # whoever won latest stands last
        step = _STEP + _FIRST / (1 + tried)
        moved[name] = rating * _HOLD + step * off, slope * _HOLD + tilt * off, tried + 1, wins
    while len(moved) > MOST_AGENTS:
        del moved[next(iter(moved))]
    return moved


def _after(one: Seen, at: int, ended: int, x: float, paid: tuple[float, float] | None) -> Seen:
    """The same after one more attempt; `paid`: price and time in logarithms, where it was."""
    good, bad, price, took, last, since, _ = one
    now = (last + ("0" if paid is None else "1"))[-LATEST:]
    since = _since(last, since, now, at)
    if paid is None:
        return Seen(good * _FADE, bad * _FADE + 1.0, price, took, now, since, ended)
    return Seen(good * _FADE + 1.0, bad * _FADE, price.seen(x, paid[0]), took.seen(x, paid[1]), now, since, ended)


def _since(before: str, since: int, after: str, at: int) -> int:
    """When the failing began that the latest outcomes show; 0 if there is none."""
    if "0" not in after:
        return 0
    return since if "0" in before else at


def _bent(bend: Features, over: Features, good: bool) -> Features:  # noqa: FBT001 - an outcome
    """The curve's weights after one more outcome: a step down the slope, and a little back to where they began."""
    off = _BENT * (good - curve(bend, over))
    (a, b, c, d), (e, f, g, h) = bend, over
    keep = 1.0 - _UNBENT
    return a * keep + off * e + _UNBENT, b * keep + off * f, c * keep + off * g, d * keep + off * h


def _stretched(stretch: float, inside: bool | None) -> float:  # noqa: FBT001 - an outcome
    """Wider after a miss, a little narrower after a hit, so that `COVERED` of the outcomes are hits."""
    if inside is None:
        return stretch
    return min(_WIDEST, max(1.0 / _WIDEST, stretch * math.exp(_GAIN * (COVERED - inside))))


def _recorded(known: Known, said: Forecast, winner: str, good: bool, how: Score) -> Record:  # noqa: FBT001 - an outcome
    """The record, beside what counting would have said: who won how often in this field, how many of its tasks ended well."""
    base = 0.0
    if how.winner is not None:
        rated = known.ratings.get
        wins = [rated(name, UNRATED)[3] + 0.5 for name in said.odds]
        own = rated(winner, UNRATED)[3] + 0.5 if winner in said.odds else 0.0
        base = brier(wins, own, sum(wins))
    right = winner in said.odds and winner == likeliest(said.odds)
    done = (known.settled + 0.9) / (known.ended + 1)
    end = (good - done) ** 2 if said.odds else how.end  # that nobody can do it, counting knows too
    return scored(known.record, how, (base, end), right=right)
