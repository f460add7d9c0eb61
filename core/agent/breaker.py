"""When a model server that fails is left alone, and when it is tried again: a circuit breaker. Pure.

After `LIMIT` questions in a row that it could not answer it is open: others are asked first. After a pause one question tries it;
that closes it, or doubles the pause.
"""

from __future__ import annotations

from typing import NamedTuple

LIMIT = 3
"""Failures in a row."""

FIRST_PAUSE = 5_000
LONGEST_PAUSE = 300_000
"""Milliseconds."""


class Breaker(NamedTuple):
    """One server's. `until`: when it may be tried again, Unix ms; `tried`: that is under way; `why` it failed last."""

    failures: int = 0
    until: int = 0
    tried: bool = False
    why: str = ""

    def is_open(self, now: int) -> bool:
        """Whether others are asked first."""
        return self.failures >= LIMIT and (self.tried or now < self.until)

    def asked(self) -> Breaker:
        """A question goes there."""
        return self._replace(tried=self.failures >= LIMIT)

    def left(self) -> Breaker:
        """A question came back without having shown anything: it was stopped, or wrong itself."""
        return self._replace(tried=False)

    def failed(self, now: int, why: str) -> Breaker:
        """It could not answer."""
        failures = self.failures + 1
        pause = min(FIRST_PAUSE << min(max(0, failures - LIMIT), 16), LONGEST_PAUSE)
        return Breaker(failures, now + pause, tried=False, why=why)
