"""A limit of time on one file among many, so that a hostile one does not end the whole work."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_SECONDS = 5.0
"""How long one of many files may take."""

_AGAIN_SECONDS = 0.05


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in a block that takes longer than these seconds, or than `FILE_SECONDS`.

    For the main thread of a child alone: a process has only one alarm.
    """

    def stop(*_: object) -> None:
        raise TimeoutError

    if seconds <= 0:
        raise TimeoutError
    before = signal.signal(signal.SIGALRM, stop)
    try:
        # again and again: libraries swallow what is raised inside them
        signal.setitimer(signal.ITIMER_REAL, min(seconds, FILE_SECONDS), _AGAIN_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # the alarm may have come just before the line above
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
