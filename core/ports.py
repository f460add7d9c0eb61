"""What the core needs from the machine: time, ids, and a place to start work that somebody watches.

Implemented for real in `adapters/clockwork.py`, and for tests in `tests/fakes.py`, whose clock only moves when told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine


class Clock(Protocol):
    """Wall time and waiting."""

    def now(self) -> int:
        """Unix time in milliseconds, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""

    async def until(self, when: int | None, wake: asyncio.Event) -> None:
        """Wait for the time `when` (Unix ms; None: for ever) or for `wake`, whichever comes first."""


class IdSource(Protocol):
    """Unguessable names."""

    def token(self, size: int = 24) -> str:
        """A URL-safe random text of `size` random bytes."""


class Spawner(Protocol):
    """Starts work that outlives its caller, inside the hub's one supervised task group."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> Callable[[], object]:
        """Run `work` until done, and return what cancels it; an error it lets through is logged and ends only itself."""
