"""The real clock, ids and tasks: the only module that may touch time, randomness and task creation (DESIGN)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

log = logging.getLogger(__name__)


class SystemClock:
    """Wall time."""

    def now(self) -> int:
        """Unix milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def steady(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def until(self, when: int | None, wake: asyncio.Event) -> None:
        """Wait for the time or for `wake`."""
        left = None if when is None else max(0.0, (when - self.now()) / 1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await wake.wait()


class SystemIds:
    """Names from the operating system's randomness."""

    def token(self, size: int = 24) -> str:
        """URL-safe text of `size` random bytes."""
        return secrets.token_urlsafe(size)


def chance() -> float:
    """From 0 to 1, each time another: so that those who wait for the same do not all ask at once."""
    return secrets.randbelow(1 << 30) / (1 << 30)


class Nursery:
    """The hub's one supervised task group: what it starts is cancelled and awaited when the block ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> Callable[[], object]:
        """Start `work`, and return what cancels it; its error is logged with its name and ends only itself."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return lambda: self._cancel(task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel once: a second time would break off what a task does to end well."""
        if task not in self._cancelled:
            self._cancelled.add(task)
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._cancelled.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %r", task.get_name(), error, exc_info=error)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what still runs and wait for its end."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                self._cancel(task)
            await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` beside the block and wait for its end after it; the block tells it to end. Its error is raised here."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        await task
