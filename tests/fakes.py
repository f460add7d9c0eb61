"""Time and names that a test decides, and a loop that says when nothing is left to do: so that no test ever sleeps.

`FakeClock` and `FakeIds` fulfil `core.ports.Clock` and `core.ports.IdSource`. `IdleSelector` is for tests that drive
background work step by step.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import heapq
import itertools
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


EPOCH = 1_750_000_000_000
"""Where a fake clock starts, Unix ms: some day in 2025."""


class FakeClock:
    """A clock that stands still until `advance` moves it, which wakes sleepers in the order of their times.

    Time jumps, as on a machine that slept: whoever sleeps again inside the interval finds itself late.
    """

    def __init__(self, now: int = EPOCH) -> None:
        self._now = now
        self._set_by = 0
        self._order = itertools.count()
        self._alarms: list[tuple[int, int, Callable[[], object]]] = []
        self.slept = asyncio.Event()
        """Set whenever somebody begins to wait for a time."""

    def now(self) -> int:
        """Unix milliseconds."""
        return self._now

    def steady(self) -> int:
        """Milliseconds that `advance` has let pass, from where it started."""
        return self._now - self._set_by

    @property
    def sleepers(self) -> int:
        """How many wait for a time; a test that expects one can see that it is there."""
        return len(self._alarms)

    def advance(self, ms: int) -> None:
        """Let `ms` milliseconds pass. What it wakes runs when the caller next awaits."""
        assert ms >= 0, "time does not go back"
        self._now += ms
        while self._alarms and self._alarms[0][0] <= self._now:
            _, _, ring = heapq.heappop(self._alarms)
            ring()

    def set_back(self, ms: int) -> None:
        """Somebody sets the clock back: whoever waits for a time waits as long as before, as with the real clock."""
        self._now -= ms
        self._set_by -= ms
        self._alarms = [(when - ms, order, ring) for when, order, ring in self._alarms]

    def set_forward(self, ms: int) -> None:
        """Somebody sets it forward: the same."""
        self.set_back(-ms)

    async def sleep(self, seconds: float) -> None:
        """See `Clock`; cancellable."""
        await self.until(self._now + round(seconds * 1000), asyncio.Event())

    async def until(self, when: int | None, wake: asyncio.Event) -> None:
        """See `Clock`. Nothing is thrown into whoever waits: Python 3.11 traces no line of a frame that goes on after that."""
        if wake.is_set():
            return
        woken = asyncio.get_running_loop().create_future()

        def ring() -> None:
            if not woken.done():
                woken.set_result(True)

        wake._waiters.append(woken)
        try:
            with self._alarm(when, ring):
                await woken
        finally:
            wake._waiters.remove(woken)

    @contextlib.contextmanager
    def _alarm(self, when: int | None, ring: Callable[[], object]) -> Iterator[None]:
        if when is None:
            yield
            return
        alarm = (when, next(self._order), ring)
        if when <= self._now:
            asyncio.get_running_loop().call_soon(ring)  # others have their turn first
        else:
            heapq.heappush(self._alarms, alarm)
            self.slept.set()
        try:
            yield
        finally:
            kept = [one for one in self._alarms if one[1] != alarm[1]]
            if len(kept) < len(self._alarms):
                self._alarms = kept
                heapq.heapify(self._alarms)


class FakeIds:
    """Names of the real shape, the same at every run: the n-th token of a seed."""

    def __init__(self, seed: str = "seed") -> None:
        self._seed = seed
        self._count = itertools.count(1)

    def token(self, size: int = 24) -> str:
        """See `IdSource`: URL-safe text of `size` bytes."""
        made = hashlib.shake_256(f"{self._seed}/{next(self._count)}".encode()).digest(size)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


SOON = 20
"""Turns of a loop in which what was sent over the loopback is read at its other end, and passed on to whoever waits for it."""


class IdleSelector(selectors.DefaultSelector):
    """A selector that notices when its loop has nothing left to run.

    A loop lets its selector block only when no callback is ready. `idle()` is awaited by the test that drives the loop
    and returns at that moment, once `busy` (work on other threads, which will wake the loop by itself) says no.
    """

    def __init__(self) -> None:
        super().__init__()
        self.busy: Callable[[], bool] = lambda: False
        self._waiter: asyncio.Future[None] | None = None

    async def idle(self) -> None:
        """Let everything run that can run without time passing."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        may_block = timeout is None or timeout > 0
        if may_block and self._waiter is not None and not self.busy():
            waiter, self._waiter = self._waiter, None
            waiter.get_loop().call_soon(_wake, waiter)
            timeout = 0
        return super().select(timeout)


async def turn() -> None:
    """Let everything run once that is ready now."""
    waiter = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(_wake, waiter)
    await waiter


async def outwait(seconds: float = 15) -> None:
    """Whoever waits on this loop's clock for so long has waited: it is put ahead, once all that was said before has been heard.

    What a fake that falls silent calls: a silence then takes no time, and an answer may take as long as a slow machine needs.
    """
    loop = asyncio.get_running_loop()
    for _ in range(SOON):
        await turn()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


async def no_wait() -> None:
    """What a fake does by itself when it falls silent: nothing, for as long as it takes."""


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
