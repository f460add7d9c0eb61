"""Spark on histories that drift, beside what counting says: the base rate of the field, and its last twenty tasks.

Both know the field and who is in the running, as Spark does. A winner and a good end are scored by Brier, a range by the
interval score of Winkler, in logarithms: its width, and ten times what an outcome is outside it. Spark was tuned on seeds of its
own; those of the table were kept back.
"""

from __future__ import annotations

import bisect
import heapq
import math
import statistics
from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.spark.forecast import COVERED, Forecast, Outcome, foresee
from core.spark.known import NOTHING
from core.spark.learning import learn
from core.spark.record import brier, score
from tests.bench.history import happened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.spark.known import Known
    from tests.bench.history import Happened

KEPT_BACK = (101, 102, 103)
WARM = 200
"""Tasks that are not scored, so that everybody has seen something."""

LAST = 20
TAIL = (1.0 - COVERED) / 2


class Scores(NamedTuple):
    """Means over a history: Brier of winner and end; of price and time how many fell into their ranges, and the interval score."""

    winner: float
    end: float
    price_in: float
    price: float
    time_in: float
    time: float


class Seer(Protocol):
    """Whoever foresees."""

    def foresee(self, task: Happened) -> Forecast:
        """Say what will become of a task, from what is known before."""

    def learn(self, task: Happened, said: Forecast) -> None:
        """It is over."""


class Spark:
    """The product's rules."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def foresee(self, task: Happened) -> Forecast:
        return foresee(self._known.get(task.field, NOTHING), task.budget, task.able)

    def learn(self, task: Happened, said: Forecast) -> None:
        outcome = Outcome(0, task.budget, task.lost, task.by, task.price, task.took, task.until)
        known = self._known.get(task.field, NOTHING)
        self._known[task.field] = learn(known, said, outcome, score(said, outcome))


class _Field:
    """What was counted of a field: all of it, or the last tasks alone."""

    def __init__(self, last: int | None) -> None:
        self._last = last
        self._tasks: deque[Happened] = deque()
        self.wins: defaultdict[str, int] = defaultdict(int)
        self.good = 0
        self.prices: list[int] = []
        self.times: list[int] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Happened) -> None:
        self._tasks.append(task)
        self._count(task, 1)
        if len(self._tasks) == (self._last or 0) + 1 and self._last:
            self._count(self._tasks.popleft(), -1)

    def _count(self, task: Happened, step: int) -> None:
        self.wins[task.winner] += step
        if not task.by:
            return
        self.good += step
        for values, value in ((self.prices, task.price), (self.times, task.took)):
            if step > 0:
                bisect.insort(values, value)
            else:
                values.remove(value)


class Counting:
    """How often it was so in the field: ever, or of late."""

    def __init__(self, last: int | None = None) -> None:
        self._fields: defaultdict[str, _Field] = defaultdict(lambda: _Field(last))

    def foresee(self, task: Happened) -> Forecast:
        seen = self._fields[task.field]
        wins = {name: seen.wins[name] + 0.5 for name in task.able}
        whole = sum(wins.values())
        odds = {name: one / whole for name, one in wins.items()}
        return Forecast(odds, (seen.good + 0.9) / (len(seen) + 1), _middle(seen.prices), _middle(seen.times))

    def learn(self, task: Happened, said: Forecast) -> None:
        if task.able:  # the others end badly whoever counts, and are not scored
            self._fields[task.field].add(task)


def _middle(values: list[int]) -> tuple[int, int] | None:
    """The middle `COVERED` of sorted values."""
    if not values:
        return None
    last = len(values) - 1
    return values[round(last * TAIL)], values[round(last * (1.0 - TAIL))]


def scores(seer: Seer, history: Iterable[Happened], warm: int = WARM) -> Scores:
    """How good it was. A task is foreseen when it is posted, and learned from when it is over: others are under way meanwhile."""
    under_way: list[tuple[int, int, Happened, Forecast]] = []
    found: defaultdict[str, list[float]] = defaultdict(list)
    for number, task in enumerate(history):
        while under_way and under_way[0][0] <= task.at:
            _, _, over, said = heapq.heappop(under_way)
            seer.learn(over, said)
        said = seer.foresee(task)
        heapq.heappush(under_way, (task.until, number, task, said))
        if number >= warm:
            _score(found, task, said)
    return Scores(*(sum(found[name]) / len(found[name]) for name in Scores._fields))


class Beside(NamedTuple):
    """Spark on some histories, beside whichever counting was better there; `worst`: the highest ratio on one of them."""

    ours: float
    ever: float
    lately: float
    ratio: float
    worst: float


def beside(seeds: Sequence[int]) -> tuple[Scores, dict[str, Beside]]:
    """Spark's scores, and by name those of which lower is better beside those of counting: means over these histories."""
    found = []
    for seed in seeds:
        history = [*happened(seed)]
        found.append([scores(one, history) for one in (Spark(), Counting(), Counting(LAST))])
    ours, ever, lately = (mean(column) for column in zip(*found, strict=True))
    lines = {}
    for name in ("winner", "end", "price", "time"):
        ratios = [getattr(run[0], name) / min(getattr(one, name) for one in run[1:]) for run in found]
        mine, base, recent = (getattr(one, name) for one in (ours, ever, lately))
        lines[name] = Beside(mine, base, recent, statistics.fmean(ratios), max(ratios))
    return ours, lines


def mean(several: Sequence[Scores]) -> Scores:
    """Of several histories."""
    return Scores(*map(statistics.fmean, zip(*several, strict=True)))


def _score(found: defaultdict[str, list[float]], task: Happened, said: Forecast) -> None:
    """Scored where there was something to choose: two that could do it for the winner, one for the end."""
    if len(task.able) > 1:
        found["winner"].append(brier(said.odds.values(), said.odds.get(task.winner, 0.0)))
    if task.able:
        found["end"].append((bool(task.by) - said.done) ** 2)
    if task.by and said.price and said.took:
        found["price_in"].append(said.price[0] <= task.price <= said.price[1])
        found["price"].append(_interval(said.price, task.price))
        found["time_in"].append(said.took[0] <= task.took <= said.took[1])
        found["time"].append(_interval(said.took, task.took))


def _interval(said: tuple[int, int], was: int) -> float:
    """Gneiting and Raftery, 2007, (43)."""
    low, high, value = (math.log(max(1, one)) for one in (*said, was))
    return high - low + (max(0.0, low - value) + max(0.0, value - high)) / TAIL
