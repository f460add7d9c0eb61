"""What will become of a task, said from what was known before it was posted. Pure; how that is learned is in `learning`.

Of each agent it is known how often it wins among those that can do it (a rating, and how that leans with the budget; odds are
`exp(rating)`, as with Bradley-Terry and Elo), how often what it took on came to a good end (Beta, begun from the field's own, then
a logistic curve over that, the budget and how many can do it), and two straight lines over the budget, in logarithms, for the
price and the time of what it won. A range is the middle of the mixture of all that may win, stretched until four of five outcomes
fall into it: adaptive conformal inference (Gibbs and Candes, 2021).

Bids are sealed: no price that was offered for the task is used.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from core.spark.known import UNRATED, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.spark.known import Known, Line, Rating

COVERED = 0.8
"""How many of the outcomes are meant to fall into a range."""

NOBODY = ""
"""Who wins where nobody can do it."""

_FLOOR = 0.01
"""The odds that are shared out among all, so that nobody who can win has none."""

_BEGUN, _LINE_BEGUN = 8.0, 1.0
"""What the field's own counts for beside an agent's: attempts, and points of a line."""

_DOUBT = (0.04, 0.5)
_POINTS = (-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645)
"""A normal distribution as points of equal weight."""

Features = tuple[float, float, float, float]


class Forecast(NamedTuple):
    """What is said of a task. `odds`: of each agent in the running; `price` in msat, `took` in ms from the post to the result."""

    odds: Mapping[str, float]
    done: float
    price: tuple[int, int] | None = None
    took: tuple[int, int] | None = None


class Outcome(NamedTuple):
    """What became of a task. `lost`: who had it and did not finish, in turn; `by`: who was paid, if anybody.

    `price` in msat; `took`: ms from the post to the result; `at`: when it was over, Unix ms.
    """

    task: int
    budget: int
    lost: tuple[str, ...]
    by: str
    price: int
    took: int
    at: int

    @property
    def winner(self) -> str:
        """Who won the first auction; `NOBODY` if nobody did."""
        return self.lost[0] if self.lost else self.by


def foresee(known: Known, budget: int, able: Sequence[str]) -> Forecast:
    """Say what will become of a task of this budget (msat) that these can do."""
    x, whole = place(budget), known.whole
    odds = chances(known.ratings, x, able)
    done = curve(known.bend, features(known, odds, x))
    if not whole.price.n or not odds:
        return Forecast(odds, done)
    parts = [(chance, known.seen.get(name, UNSEEN)) for name, chance in odds.items()]
    price = _range([(chance, _blend(one.price, whole.price, x, _DOUBT[0])) for chance, one in parts], known.stretch[0])
    took = _range([(chance, _blend(one.took, whole.took, x, _DOUBT[1])) for chance, one in parts], known.stretch[1])
    return Forecast(odds, done, (min(price[0], budget), min(price[1], budget)), took)


def likeliest(odds: Mapping[str, float]) -> str:
    """Who is said to win, of at least one: of those that are as likely the first by name, which is named first."""
    return min(odds, key=lambda name: (-odds[name], name))


def place(budget: int) -> float:
    """Where a budget (msat) stands, in logarithms: near nothing at 160 sats."""
    return max(-2.0, min(2.0, math.log(max(1, budget)) - 12.0))


# Who wins ------------------------------------------------------------------------------------------------------


def chances(ratings: Mapping[str, Rating], x: float, able: Iterable[str]) -> dict[str, float]:
    """How likely each of them wins."""
    exp, rated = math.exp, ratings.get
    weights = {name: exp(rating + slope * x) for name in able for rating, slope, _, _ in (rated(name, UNRATED),)}
    if not weights:
        return {}
    scale, floor = (1.0 - _FLOOR) / sum(weights.values()), _FLOOR / len(weights)
    return {name: floor + scale * weight for name, weight in weights.items()}


# Whether it comes to a good end --------------------------------------------------------------------------------


def features(known: Known, odds: Mapping[str, float], x: float) -> Features:
    """What the curve is over: how likely it is by whoever may win, as log odds; the budget, and how many there are."""
    success = min(0.995, max(0.005, _success(known, odds)))
    return math.log(success / (1.0 - success)), 1.0, x, min(len(odds), 3) - 2.0


def curve(bend: Features, over: Features) -> float:
    """The logistic curve with these weights."""
    (a, b, c, d), (e, f, g, h) = bend, over
    return 1.0 / (1.0 + math.exp(-max(-6.0, min(6.0, a * e + b * f + c * g + d * h))))


def _success(known: Known, odds: Mapping[str, float]) -> float:
    """How likely it is, by whoever may win, and whoever is left then; where nobody can do it, hardly, until that proves wrong."""
    if not odds:
        good, bad = known.nobody
        return (good + 0.1) / (good + bad + 1.0)
    whole, seen = known.whole, known.seen.get
    begun = _BEGUN * (whole.bad + 1.0) / (whole.good + whole.bad + 5.0)
    fails = [
        (chance, chance * (one[1] + begun) / (one[0] + one[1] + _BEGUN))
        for name, chance in odds.items()
        for one in (seen(name, UNSEEN),)
    ]
    first = sum([fail for _, fail in fails])
    match len(fails):
        case 1:
            return 1.0 - first
        case 2:
            return 1.0 - sum([fail * (first - fail) / (1.0 - chance) for chance, fail in fails])
        case _:  # one is left for a third attempt
            return 1.0 - sum([fail * ((first - fail) / (1.0 - chance)) ** 2 for chance, fail in fails])


# For how much, and how fast ------------------------------------------------------------------------------------


def _blend(one: Line, whole: Line, x: float, doubt: float) -> tuple[float, float]:
    """Mean and deviation of an agent's, begun from those of the field."""
    mean, spread = whole.at(x, doubt)
    if one.n:
        own, var = one.at(x, doubt)
        part = one.n / (one.n + _LINE_BEGUN)
        apart = own - mean
        spread = part * var + (1.0 - part) * (spread + part * apart * apart)
        mean += part * apart
    return mean, math.sqrt(spread)


def _range(parts: Sequence[tuple[float, tuple[float, float]]], stretch: float) -> tuple[int, int]:
    """The middle `COVERED` of a mixture of (weight, (mean, deviation)), stretched about its median."""
    points = sorted((mean + z * spread, chance) for chance, (mean, spread) in parts for z in _POINTS)
    shares = [*accumulate(chance for _, chance in points)]
    tail = (1.0 - COVERED) / 2
    low, middle, high = (
        points[min(bisect_left(shares, part * shares[-1]), len(points) - 1)][0] for part in (tail, 0.5, 1.0 - tail)
    )
    return _unlog(middle - (middle - low) * stretch), _unlog(middle + (high - middle) * stretch)


def _unlog(value: float) -> int:
    return round(math.exp(min(value, 40.0)))
