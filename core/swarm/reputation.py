"""What an agent's paid work says of it, by field, with a memory that fades. Pure; published in docs/auction.md.

A record counts tasks that were paid for and attempts that failed, in thousandths that lose half their weight in `HALF_LIFE`.
Trust is the mean of a Beta distribution: in a field, of what was seen there, begun from the mean over all fields; over all, begun
from 4 of 5. Integers only, so that everyone who reads the records computes the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Weight = tuple[str, int, int, int]
"""What was seen in a field: (field, good, bad, at), as a record has them."""

HALF_LIFE = 30 * 24 * 3600 * 1000
"""ms in which what was seen loses half its weight; in between it falls along a straight line."""

ONE = 1000
"""One task, in the unit of what fades; also all trust there is."""

_PRIOR, _PRIOR_GOOD = 5, 4
"""How many tasks the beginning weighs, and how many of them went well."""

EXPLORE = 60
"""Permille that a newcomer is trusted more, so that it gets to show what it can; shared out among what has been seen."""


class Record(NamedTuple):
    """What an agent did in a field. `settled`, `failed`: ever; `earned` msat; `took`: ms from award to result, of all settled.

    `good`, `bad`: the same in thousandths that fade, as they were `at` (Unix ms).
    """

    settled: int = 0
    failed: int = 0
    earned: int = 0
    took: int = 0
    good: int = 0
    bad: int = 0
    at: int = 0

    def paid(self, now: int, earned: int, took: int) -> Record:
        """The same after one more task was paid for."""
        since = max(0, now - self.at)
        return Record(
            self.settled + 1, self.failed, self.earned + earned, self.took + took, fade(self.good, since) + ONE,
            fade(self.bad, since), max(now, self.at),
        )  # fmt: skip

    def failing(self, now: int) -> Record:
        """The same after one more attempt failed."""
        one = self.faded(now)
        return one._replace(failed=one.failed + 1, bad=one.bad + ONE)

    def weight(self, field: str) -> Weight:
        """What counts of it, as done in a field."""
        return field, self.good, self.bad, self.at

    def faded(self, now: int) -> Record:
        """The same as it weighs at `now`; a clock that went back makes nothing heavier."""
        since = max(0, now - self.at)
        return self._replace(good=fade(self.good, since), bad=fade(self.bad, since), at=max(now, self.at))


def fade(weight: int, since: int) -> int:
    """What is left of a weight after so many ms."""
    halves, rest = divmod(since, HALF_LIFE)
    left = weight >> halves if halves < 64 else 0  # noqa: PLR2004 - nothing is left of any weight
    return left - left * rest // (2 * HALF_LIFE)


def together(records: Iterable[Record], now: int) -> Record:
    """Several records as one."""
    sums = Record(at=now)
    for one in records:
        faded = one.faded(now)
        sums = Record(
            sums.settled + one.settled, sums.failed + one.failed, sums.earned + one.earned, sums.took + one.took,
            sums.good + faded.good, sums.bad + faded.bad, now,
        )  # fmt: skip
    return sums


def trust(seen: Iterable[Weight], field: str, now: int) -> int:
    """Permille that an agent is trusted in a field, by what was seen of it in all fields."""
    good = bad = all_good = all_bad = 0
    for where, up, down, at in seen:
        since = max(0, now - at)
        up, down = fade(up, since), fade(down, since)  # noqa: PLW2901 - as they weigh now
        all_good, all_bad = all_good + up, all_bad + down
        if where == field:
            good, bad = good + up, bad + down
    begun = _mean(all_good, all_bad, ONE * _PRIOR_GOOD // _PRIOR)
    return min(ONE, _mean(good, bad, begun) + EXPLORE * ONE // (ONE + all_good + all_bad))


def _mean(good: int, bad: int, prior: int) -> int:
    """Permille of what went well, begun from `prior` permille of `_PRIOR` tasks."""
    return (good * ONE + _PRIOR * ONE * prior) // (good + bad + _PRIOR * ONE)


NOTHING = Record()
"""Of an agent that nobody has seen."""

NEWCOMER = trust((), "", 0)
"""How much it is trusted, permille."""
