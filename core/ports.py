"""What the core needs from the machine: time, ids, a place to start work that somebody watches, and pages of the internet.

Implemented for real in `adapters/clockwork.py`, and for tests in `tests/fakes.py`, whose clock only moves when told;
pages come from `adapters/fetch`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine


class Clock(Protocol):
    """Wall time and waiting."""

    def now(self) -> int:
        """Unix time in milliseconds, UTC."""

    def steady(self) -> int:
        """Milliseconds since some time or other, whatever the wall clock is set to: for how long something lasts."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """What a site answered: data from outside, whatever it says.

    `url`: where it came from, after all redirections; it may hold a secret. `kind`: its media type, in lower case, empty if
    not said; `charset`: as it was said; `challenges`: its `WWW-Authenticate` headers. `body`: unpacked; cut short where
    `status` is an error's.
    """

    status: int
    url: str = field(repr=False)
    kind: str = ""
    charset: str = ""
    body: bytes = field(default=b"", repr=False)
    challenges: tuple[str, ...] = field(default=(), repr=False)


class Fetcher(Protocol):
    """Pages of the internet."""

    def check(self, url: str) -> None:
        """Raise why an address is never asked for a page, whatever it is; nobody is asked for that, a server of names included."""

    async def get(self, url: str, *, authorization: str = "") -> Page:
        """Fetch a page; `authorization` goes to that address's origin alone. Raises `HubError`s that show no more than the host."""
