"""What will become of a task, said from what was known before it was posted, and learned from once it is over. Pure.

All that is known of a field fades with every task in it. Of each agent: how often it wins among those that can do it (a rating, and
how that leans with the budget; odds are `exp(rating)`, as with Bradley-Terry and Elo), how often what it won came to a good end
(Beta, begun from the field's own, then a logistic curve over that, the budget and how many can do it), and two straight lines over
the budget, in logarithms, for the price and the time of what it won. A range is the middle of the mixture of all that may win,
stretched until four of five outcomes fall into it: adaptive conformal inference (Gibbs and Candes, 2021).

Bids are sealed: no price that was offered for the task is used.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from core.spark.record import NO_RECORD, brier, scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.spark.record import Record, Score

COVERED = 0.8
"""How many of the outcomes are meant to fall into a range."""

NOBODY = ""
"""Who wins where nobody can do it."""

WHOLE = "*"
"""The name under which a field as a whole is known; no agent is called so."""

MOST_AGENTS = 64
"""Of whom something is known in a field; whoever was not seen for longest is forgotten."""

LATEST = 10
"""Outcomes that are kept one by one, for people to count."""

# How fast is learned and forgotten: chosen on seeds that are not those of the table in docs/spark.md.
_STEP, _FIRST, _TILT, _HOLD = 0.2, 1.0, 0.2, 0.9995
"""What an auction moves a rating by, what a newcomer's first moves it by, the same for how it leans; what is kept of both."""

_FLOOR = 0.01
"""The odds that are shared out among all, so that nobody who can win has none."""

_FADE, _BEGUN = 0.985, 8.0
_LINE_FADE, _LINE_BEGUN, _RIDGE = 0.96, 1.0, 0.3
_DOUBT = (0.04, 0.5)
_USUAL, _LATELY = 0.99, 0.85
LATELY_VARIES = math.sqrt((1.0 - _LATELY) / (1.0 + _LATELY))
"""The deviation of what is said to be so of late, in those of one value."""

_BENT, _UNBENT = 0.05, 0.0005
_GAIN = 0.04
_WIDEST = 8.0
_STRAIGHT = (1.0, 0.0, 0.0, 0.0)
_POINTS = (-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645)
"""A normal distribution as points of equal weight."""


class Line(NamedTuple):
    """A straight line through points (x, y), as fading sums about their means; `n`: how many points that is worth."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def seen(self, x: float, y: float) -> Line:
        """The same with one more point."""
        old = self.n * _LINE_FADE
        n = old + 1.0
        dx, dy, part = x - self.x, y - self.y, old / n
        return Line(
            n, self.x + dx / n, self.y + dy / n, self.xx * _LINE_FADE + part * dx * dx,
            self.xy * _LINE_FADE + part * dx * dy, self.yy * _LINE_FADE + part * dy * dy,
        )  # fmt: skip

    @property
    def spread(self) -> float:
        """The deviation from it."""
        return math.sqrt(self.at(self.x, 0.0)[1])

    def at(self, x: float, doubt: float) -> tuple[float, float]:
        """The mean of y at x, and the variance about it, of a line with points; `doubt`: that of one point alone."""
        slope = self.xy / (self.xx + _RIDGE)
        return self.y + slope * (x - self.x), max(0.0, self.yy - slope * self.xy) / self.n + doubt / (self.n * self.n)


class Trend(NamedTuple):
    """A logarithm as it usually is and as it is of late, both as fading means; `n`: how many were seen, ever."""

    n: int = 0
    usual: float = 0.0
    lately: float = 0.0

    def seen(self, value: float) -> Trend:
        """The same with one more value. The first ones count alike."""
        n = self.n + 1
        usual, lately = max(1.0 - _USUAL, 1.0 / n), max(1.0 - _LATELY, 1.0 / n)
        return Trend(n, self.usual + usual * (value - self.usual), self.lately + lately * (value - self.lately))


NO_LINE, NO_TREND = Line(), Trend()


class Seen(NamedTuple):
    """What was seen of an agent in a field. `tried`: auctions it was in; `wins`: those it won; `good`, `bad`: how those ended.

    `last`: its latest attempts, one character each, `1` where it finished; `since`: when the failing among them began, Unix ms;
    `latest`: how many tasks of the field had ended then.
    """

    rating: float = 0.0
    slope: float = 0.0
    tried: int = 0
    wins: int = 0
    good: float = 0.0
    bad: float = 0.0
    last: str = ""
    since: int = 0
    latest: int = 0
    price: Line = NO_LINE
    took: Line = NO_LINE


UNSEEN = Seen()


class Known(NamedTuple):
    """What is known of a field: of each agent, whoever was seen latest last, and of the field as a whole under `WHOLE`.

    `found`: of the latest tasks, `1` where somebody did it, `lost` the last one that found nobody, `since`: when that began;
    `stretch`: what the ranges of price and time are stretched by; `bend`: the weights of the logistic curve; `record`: how good
    the forecasts were; `at`: when the last task ended.
    """

    seen: Mapping[str, Seen] = MappingProxyType({})
    stretch: tuple[float, float] = (1.0, 1.0)
    bend: tuple[float, float, float, float] = _STRAIGHT
    ended: int = 0
    settled: int = 0
    found: str = ""
    lost: int = 0
    since: int = 0
    price: Trend = NO_TREND
    took: Trend = NO_TREND
    record: Record = NO_RECORD
    at: int = 0


NOTHING = Known()
"""Of a field in which nothing was done yet."""


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
        return (*self.lost, self.by)[0]


def foresee(known: Known, budget: int, able: Sequence[str]) -> Forecast:
    """Say what will become of a task of this budget (msat) that these can do."""
    x, whole = _x(budget), known.seen.get(WHOLE, UNSEEN)
    odds = _odds(known, x, able)
    done = _bent(known.bend, _features(_success(known, odds), x, len(odds)))
    if not whole.price.n or not odds:
        return Forecast(odds, done)
    parts = [(chance, known.seen.get(name, UNSEEN)) for name, chance in odds.items()]
    price = _range([(chance, _blend(one.price, whole.price, x, _DOUBT[0])) for chance, one in parts], known.stretch[0])
    took = _range([(chance, _blend(one.took, whole.took, x, _DOUBT[1])) for chance, one in parts], known.stretch[1])
    return Forecast(odds, done, (min(price[0], budget), min(price[1], budget)), took)


def learn(known: Known, said: Forecast, outcome: Outcome, how: Score) -> Known:
    """What is known once a task is over of which this was said, and `how` good that was."""
    x, winner, ends_well, seen = _x(outcome.budget), outcome.winner, bool(outcome.by), dict(known.seen)
    whole = seen.get(WHOLE, UNSEEN)
    odds = _odds(known, x, [*said.odds])
    features = _features(_success(known, odds), x, len(odds))
    if winner in odds and len(odds) > 1:
        _rate(seen, odds, winner, x)
    for name, finished in [*((name, False) for name in outcome.lost), *([(outcome.by, True)] if ends_well else [])]:
        one = seen.pop(name, UNSEEN)  # whoever was seen latest stands last
        seen[name] = _attempted(one, outcome, known.ended, finished=finished)
        whole = _counted(whole, good=finished)
    if not odds:
        seen[NOBODY] = _counted(seen.get(NOBODY, UNSEEN), good=ends_well)
    seen[WHOLE] = whole
    price, took = known.price, known.took
    if ends_well:
        paid, time = _log(outcome.price), _log(outcome.took)
        price, took = price.seen(_flat(whole.price, x, paid)), took.seen(_flat(whole.took, x, time))
        for name in (outcome.by, WHOLE):
            seen[name] = _paid(seen[name], x, paid, time)
    if len(seen) > MOST_AGENTS:
        del seen[next(name for name in seen if name != WHOLE)]
    found = (known.found + ("1" if winner else "0"))[-LATEST:]
    return Known(
        seen,
        (_stretched(known.stretch[0], how.price_in), _stretched(known.stretch[1], how.time_in)),
        _unbent(known.bend, features, ends_well=ends_well),
        known.ended + 1,
        known.settled + ends_well,
        found,
        known.lost if winner else outcome.task,
        _since(known.found, known.since, found, outcome.at),
        price,
        took,
        _recorded(known, said, outcome, how),
        outcome.at,
    )  # fmt: skip


# Who wins ------------------------------------------------------------------------------------------------------


def _odds(known: Known, x: float, able: Sequence[str]) -> dict[str, float]:
    """How likely each of them wins."""
    if not able:
        return {}
    weights = [math.exp(one.rating + one.slope * x) for one in (known.seen.get(name, UNSEEN) for name in able)]
    scale, floor = (1.0 - _FLOOR) / sum(weights), _FLOOR / len(able)
    return {name: floor + scale * weight for name, weight in zip(able, weights, strict=True)}


def _rate(seen: dict[str, Seen], odds: Mapping[str, float], winner: str, x: float) -> None:
    """Move the ratings of all that could have won towards what happened."""
    for name, chance in odds.items():
        one, off = seen.get(name, UNSEEN), (name == winner) - chance
        step = _STEP + _FIRST / (1 + one.tried)
        seen[name] = Seen(
            one.rating * _HOLD + step * off, one.slope * _HOLD + _TILT * x * off, one.tried + 1, one.wins + (name == winner),
            one.good, one.bad, one.last, one.since, one.latest, one.price, one.took,
        )  # fmt: skip


def _recorded(known: Known, said: Forecast, outcome: Outcome, how: Score) -> Record:
    """The record, beside what counting would have said: who won how often in this field, how many of its tasks ended well."""
    winner, done = outcome.winner, (known.settled + 0.9) / (known.ended + 1)
    base = 0.0
    if how.winner is not None:
        wins = {name: known.seen.get(name, UNSEEN).wins + 0.5 for name in said.odds}
        base = brier(wins, winner, sum(wins.values()))
    right = winner in said.odds and said.odds[winner] == max(said.odds.values())
    return scored(known.record, how, (base, (bool(outcome.by) - done) ** 2), right=right)


# Whether it comes to a good end --------------------------------------------------------------------------------


def _success(known: Known, odds: Mapping[str, float]) -> float:
    """How likely it is, by whoever may win, and whoever is left then; where nobody can do it, hardly, until that proves wrong."""
    if not odds:
        one = known.seen.get(NOBODY, UNSEEN)
        return (one.good + 0.1) / (one.good + one.bad + 1.0)
    whole = known.seen.get(WHOLE, UNSEEN)
    begun = _BEGUN * (whole.bad + 1.0) / (whole.good + whole.bad + 5.0)
    fails = []
    for name, chance in odds.items():
        one = known.seen.get(name, UNSEEN)
        fails.append((chance, chance * (one.bad + begun) / (one.good + one.bad + _BEGUN)))
    first = sum(fail for _, fail in fails)
    if len(fails) == 1:
        return 1.0 - first
    lost = 0.0
    for chance, fail in fails:
        next_one = (first - fail) / (1.0 - chance)
        lost += fail * next_one * (next_one if len(fails) > 2 else 1.0)  # noqa: PLR2004 - one is left for a third attempt
    return 1.0 - lost


def _features(success: float, x: float, able: int) -> tuple[float, float, float, float]:
    success = min(0.995, max(0.005, success))
    return math.log(success / (1.0 - success)), 1.0, x, min(able, 3) - 2.0


def _bent(bend: tuple[float, float, float, float], features: tuple[float, float, float, float]) -> float:
    """The logistic curve."""
    (a, b, c, d), (e, f, g, h) = bend, features
    return 1.0 / (1.0 + math.exp(-max(-6.0, min(6.0, a * e + b * f + c * g + d * h))))


def _unbent(
    bend: tuple[float, float, float, float], features: tuple[float, float, float, float], *, ends_well: bool
) -> tuple[float, float, float, float]:
    """The curve's weights after one more outcome: a step down the slope, and a little back to where they began."""
    off = _BENT * (ends_well - _bent(bend, features))
    (a, b, c, d), (e, f, g, h) = bend, features
    keep = 1.0 - _UNBENT
    return a * keep + off * e + _UNBENT, b * keep + off * f, c * keep + off * g, d * keep + off * h


def _attempted(one: Seen, outcome: Outcome, ended: int, *, finished: bool) -> Seen:
    """The same after an attempt."""
    last = (one.last + ("1" if finished else "0"))[-LATEST:]
    return _counted(one, good=finished)._replace(
        last=last, since=_since(one.last, one.since, last, outcome.at), latest=ended
    )


def _counted(one: Seen, *, good: bool) -> Seen:
    return one._replace(good=one.good * _FADE + good, bad=one.bad * _FADE + (not good))


def _since(before: str, since: int, after: str, at: int) -> int:
    """When the failing began that the latest outcomes show; 0 if there is none."""
    if "0" not in after:
        return 0
    return since if "0" in before and since else at


# For how much, and how fast ------------------------------------------------------------------------------------


def _paid(one: Seen, x: float, price: float, took: float) -> Seen:
    """The same after it was paid, in logarithms."""
    return Seen(
        one.rating, one.slope, one.tried, one.wins, one.good, one.bad, one.last, one.since, one.latest,
        one.price.seen(x, price),
        one.took.seen(x, took),
    )  # fmt: skip


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
    tail = (1.0 - COVERED) / 2
    low, middle, high = (_quantile(points, share * len(_POINTS)) for share in (tail, 0.5, 1.0 - tail))
    return _unlog(middle - (middle - low) * stretch), _unlog(middle + (high - middle) * stretch)


def _quantile(points: Sequence[tuple[float, float]], left: float) -> float:
    for value, weight in points:
        left -= weight
        if left <= 0:
            return value
    return points[-1][0]


def _stretched(stretch: float, inside: bool | None) -> float:  # noqa: FBT001 - an outcome
    """Wider after a miss, a little narrower after a hit, so that `COVERED` of the outcomes are hits."""
    if inside is None:
        return stretch
    return min(_WIDEST, max(1.0 / _WIDEST, stretch * math.exp(_GAIN * (COVERED - inside))))


def _flat(line: Line, x: float, was: float) -> float:
    """What it was, in logarithms, as it would have been at an average budget."""
    return was - line.xy / (line.xx + _RIDGE) * (x - line.x)


def _x(budget: int) -> float:
    """Where a budget (msat) stands, in logarithms: near nothing at 160 sats."""
    return max(-2.0, min(2.0, _log(budget) - 12.0))


def _log(value: int) -> float:
    return math.log(max(1, value))


def _unlog(value: float) -> int:
    return round(math.exp(min(value, 40.0)))
