"""What a process holds, looked at every second: resident memory, open files, threads, children; and whether it grows.

The one child that hears voice notes stays, and is counted apart from those that come and go.

A life of a process begins with growth that ends by itself: libraries are loaded at their first use, each cache fills up to its
limit (the newest 1,000 messages of a surface, buttons, decisions), the allocator's arenas settle. So the first third of a
life, or its first `WARM_UP` messages, whichever is more, is told and not judged. The rest is cut into ten windows; of each
the median counts (a sample may fall into a chart being sent or a burst being read), and the slope is the median of the slopes
between all pairs of windows (Theil and Sen), which three windows of ten cannot move. It is said for 1,000 messages: a leak
has something to do with what is done, and an idle hub leaks nothing.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

import psutil

from adapters.clockwork import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WINDOWS = 10
WARM_UP = 1500
EAR = "adapters.speech.child"
LEAST = 60
"""Samples after the warm-up that are enough for a judgement."""


@dataclass(frozen=True)
class Sample:
    """One look: how many messages had been answered by then, resident MB, open files, threads, children, dead ones among them.

    `ears`: the children that hear.
    """

    messages: int
    rss: float
    fds: int
    threads: int
    children: int
    zombies: int
    ears: int


@dataclass
class Life:
    """One process, from its start to its end."""

    end: str = "the end"
    samples: list[Sample] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        """What is judged."""
        third = self.samples[len(self.samples) // 3 :]
        begun = self.samples[0].messages if self.samples else 0
        return [one for one in third if one.messages - begun >= WARM_UP]

    @property
    def judged(self) -> bool:
        """Whether it lasted long enough to say something of its slopes."""
        return len(self.settled) >= LEAST

    def slope(self, what: str) -> float:
        """Growth of a figure for 1,000 messages."""
        points = [
            (statistics.median(one.messages for one in window), statistics.median(getattr(one, what) for one in window))
            for window in _windows(self.settled)
        ]
        slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2) if x2 > x1]
        return 1000 * statistics.median(slopes) if slopes else 0.0

    def halves(self, what: str) -> tuple[float, float]:
        """The medians of a figure over the first and the second half of what is judged."""
        values = [getattr(one, what) for one in self.settled or self.samples]
        middle = max(1, len(values) // 2)
        return statistics.median(values[:middle]), statistics.median(values[middle:] or values)

    def ends(self, what: str) -> tuple[float, float]:
        """A figure at the first look and at the last."""
        return getattr(self.samples[0], what), getattr(self.samples[-1], what)

    def most(self, what: str) -> float:
        """The largest a figure was."""
        return max(float(getattr(one, what)) for one in self.samples)


class Gauge:
    """Looks at whatever process is the hub now."""

    def __init__(self, pid: Callable[[], int], messages: Callable[[], int]) -> None:
        self._pid = pid
        self._messages = messages
        self.lives: list[Life] = []
        self._watched = 0

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            self.look()
            await SystemClock().sleep(1.0)

    def keep(self, file: Path) -> None:
        """Write every sample down, for whoever wants to see the curve: a line a second."""
        lines = [
            ",".join(map(str, (number, *astuple(one))))
            for number, life in enumerate(self.lives, 1)
            for one in life.samples
        ]
        file.write_text("\n".join(["life,messages,rss,fds,threads,children,zombies,ears", *lines]))

    def look(self) -> None:
        """Look once; between two lives there is nothing to see."""
        pid = self._pid()
        if not pid:
            return
        if pid != self._watched:
            self._watched = pid
            self.lives.append(Life())
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                children = process.children(recursive=True)
                zombies = sum(_is_zombie(child) for child in children)
                ears = sum(_is_ear(child) for child in children)
                self.lives[-1].samples.append(
                    Sample(
                        self._messages(), process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(),
                        len(children) - ears, zombies, ears,
                    )
                )  # fmt: skip
        except psutil.NoSuchProcess:
            return


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_ear(process: psutil.Process) -> bool:
    try:
        return EAR in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _windows(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    size = max(1, len(samples) // WINDOWS)
    return [samples[start : start + size] for start in range(0, len(samples) - size + 1, size)]
