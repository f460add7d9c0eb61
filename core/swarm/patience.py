"""What goes wrong is tried again, later and later, and meanwhile holds up nothing else."""

from __future__ import annotations

import logging

from core.errors import Unavailable
from core.ids import task_name

log = logging.getLogger(__name__)

SOON, SOON_AT_MOST = 1.0, 60.0
"""Seconds until the next try where a part of the hub does not answer, the first time and at most."""

LATER, LATER_AT_MOST = 30.0, 3600.0
"""The same after anything else, which time alone will hardly mend."""


def pause_after(error: Exception, tries: int) -> float:
    """Seconds to wait after the `tries`-th failure in a row (1, 2, ...); they double."""
    first, most = (SOON, SOON_AT_MOST) if isinstance(error, Unavailable) else (LATER, LATER_AT_MOST)
    return min(first * float(2 ** min(tries - 1, 16)), most)


def complain(number: int, error: Exception) -> None:
    """Log why a task did not go on."""
    if isinstance(error, Unavailable):
        log.warning("%s waits: %s", task_name(number), error)
    else:
        log.error("%s did not go on: %r", task_name(number), error, exc_info=error)


class PutOff:
    """Tasks or orders that could not be seen to in time: when each is tried again (Unix ms), and how often it was."""

    def __init__(self) -> None:
        self._next: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._next)

    def until(self, number: int) -> int:
        """When a task may be tried; 0 for one that was not put off."""
        return self._next.get(number, (0, 0))[0]

    def put(self, number: int, error: Exception, now: int) -> None:
        """Put a task off once more."""
        tries = self._next.get(number, (0, 0))[1] + 1
        self._next[number] = (now + round(pause_after(error, tries) * 1000), tries)

    def done(self, number: int) -> None:
        """It went well."""
        self._next.pop(number, None)

    def keep(self, numbers: set[int]) -> None:
        """Forget all but these: time has nothing more to do with the others."""
        self._next = {number: state for number, state in self._next.items() if number in numbers}
