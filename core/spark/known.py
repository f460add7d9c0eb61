"""What is known of a field of work, as small as it was at first however many tasks it is of: everything in it fades. Pure."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from core.spark.record import NO_RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.spark.record import Record

MOST_AGENTS = 64
"""Of whom something is known in a field; whoever did nothing there for longest is forgotten."""

LATEST = 10
"""Outcomes that are kept one by one, for people to count."""

# How fast is learned and forgotten, here and in `learning`: chosen on seeds that are not those of the table in docs/spark.md.
_LINE_FADE, _RIDGE = 0.96, 0.3
_USUAL, _LATELY = 0.99, 0.85
LATELY_VARIES = math.sqrt((1.0 - _LATELY) / (1.0 + _LATELY))
"""The deviation of what is said to be so of late, in those of one value."""

STRAIGHT = (1.0, 0.0, 0.0, 0.0)


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
        n, mean_x, mean_y, xx, xy, yy = self
        old = n * _LINE_FADE
        n = old + 1.0
        dx, dy, part = x - mean_x, y - mean_y, old / n
        return Line(
            n, mean_x + dx / n, mean_y + dy / n, xx * _LINE_FADE + part * dx * dx, xy * _LINE_FADE + part * dx * dy,
            yy * _LINE_FADE + part * dy * dy,
        )  # fmt: skip

    @property
    def slope(self) -> float:
        """What y grows by with x, less where the points are too few to say."""
        return self.xy / (self.xx + _RIDGE)

    @property
    def spread(self) -> float:
        """The deviation from it."""
        return math.sqrt(self.at(self.x, 0.0)[1])

    def at(self, x: float, doubt: float) -> tuple[float, float]:
        """The mean of y at x, and the variance about it, of a line with points; `doubt`: that of one point alone."""
        slope = self.slope
        return self.y + slope * (x - self.x), max(0.0, self.yy - slope * self.xy) / self.n + doubt / (self.n * self.n)

    def level(self, x: float, y: float) -> float:
        """A point's y as it would have been at the mean of x."""
        return y - self.slope * (x - self.x)


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


Rating = tuple[float, float, int, int]
"""How often an agent wins: (rating, slope, tried, wins). Its odds are `exp(rating + slope * x)`; it was in so many auctions, and
won so many. A plain tuple, for all that could have done a task get a new one when it is over."""


class Seen(NamedTuple):
    """Attempts at tasks. `good`, `bad`: how they ended; `price`, `took`: of those that were paid.

    `last`: the latest, one character each, `1` where it finished; `since`: when the failing among them began, Unix ms;
    `latest`: how many tasks of the field had ended then.
    """

    good: float = 0.0
    bad: float = 0.0
    price: Line = NO_LINE
    took: Line = NO_LINE
    last: str = ""
    since: int = 0
    latest: int = 0


UNRATED: Rating = 0.0, 0.0, 0, 0
UNSEEN = Seen()


class Known(NamedTuple):
    """What is known of a field: of each agent, whoever was at it latest last; of the field as a `whole`.

    `nobody`: how tasks ended that nobody could do when they were posted; `found`: of the latest tasks, `1` where somebody did it,
    `lost` the last one that found nobody, `since`: when that began; `stretch`: what the ranges of price and time are stretched by;
    `bend`: the weights of the logistic curve; `record`: how good the forecasts were; `at`: when the last task ended.
    """

    ratings: Mapping[str, Rating] = MappingProxyType({})
    seen: Mapping[str, Seen] = MappingProxyType({})
    whole: Seen = UNSEEN
    nobody: tuple[float, float] = (0.0, 0.0)
    stretch: tuple[float, float] = (1.0, 1.0)
    bend: tuple[float, float, float, float] = STRAIGHT
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
