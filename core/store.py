"""The unit of work: a plain function over a transaction, run whole, committed or not at all.

`Store.write` queues the function to the one writer, which groups several into one durable commit. An error undoes its own
function only; for that it may be run a second time, as it may where the disk was full, so it does nothing that does not bear that:
it writes, and returns what it found. Services declare the part of the transaction they use as a
`Protocol`; the SQLite unit of work fulfils them all.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.events import Event
    from core.ports import Clock

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LAST_PAUSE = 60.0
"""Seconds between tries of what can be written again later."""


TURNS = 2
"""Turns of the loop in which nobody joins, until what waits is written."""


class NotWritten(Unavailable):
    """The hub cannot write now ({why}). Nothing was changed; try again later."""


class DiskFull(NotWritten):
    """The disk that holds the data folder is full or failing ({why}). Nothing was changed; free some space and try again."""


class StoreBusy(NotWritten):
    """Another program holds the hub's database ({why}). Nothing was changed; close that program and try again."""


class StoreClosed(Unavailable):
    """The hub is stopping and takes no more work. Send it again once it is back."""


class Tx(Protocol):
    """What every unit of work has."""

    @property
    def now(self) -> int:
        """The time of this unit of work, Unix milliseconds UTC."""

    @property
    def turn(self) -> int:
        """Which run of a transaction this is, from 1: what is run again, as another's write failed, has another number then."""

    def emit(self, event: Event) -> None:
        """Write an event; it is announced once the commit is durable."""

    def applied(self, key: str) -> str | None:
        """What `mark` stored under this key by an earlier run of the same command, else None."""

    def mark(self, key: str, result: str) -> None:
        """Remember, with this unit of work, that the command `key` has had its effect."""


class Store(Protocol[T_co]):
    """Access to the books and states of this hub."""

    async def write(self, work: Callable[[T_co], R], /) -> R:
        """Run `work` in a durable unit of work (`synchronous=FULL`). Its errors are raised here, its writes undone."""

    async def read(self, work: Callable[[T_co], R], /) -> R:
        """Run `work` on a snapshot, on a connection of its own that cannot write."""

    async def read_apart(self, work: Callable[[T_co], R], /) -> R:
        """Like `read`, for what takes long: on a connection opened for it, so that it holds up nobody."""


async def patiently(store: Store[T], work: Callable[[T], R], clock: Clock) -> R:
    """Write what must be written in the end, however long that takes: it is tried again, later and later."""
    waits = pauses()
    while True:
        try:
            return await store.write(work)
        except NotWritten as error:
            log.warning("%s", error)
        await clock.sleep(next(waits))


async def gathered(waiting: Sequence[object], most: int) -> None:
    """Before what waits is written: let those join it who are about to, for as long as some do and it is no more than `most`.

    Who is answered by one commit often asks again at once, and each commit costs the same for one as for many.
    """
    still = 0
    while still < TURNS and (count := len(waiting)) < most:
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, and no time
        still = still + 1 if len(waiting) <= count else 0


def pauses() -> Iterator[float]:
    """Seconds to wait before each next try of what can be written later: they double."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LAST_PAUSE)
