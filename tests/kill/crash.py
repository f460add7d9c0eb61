"""Crash points: every unit of work and every message shown is one, before and after, under a name of its own.

All that the hub does to the world outside its memory is a commit or a frame to a console, so these are the moments at
which a process can die and leave something behind. A crash here is `kill -9`: nothing is written or shown any more, and
nobody is woken. `bury` then takes the dead parts apart, so that the next life can begin in the same process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from adapters.clockwork import running
from adapters.sqlite.writer import Database
from core.store import StoreClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from adapters.console.link import Frame
    from adapters.console.surface import ConsoleSurface
    from adapters.sqlite.unit_of_work import UnitOfWork

R = TypeVar("R")


@dataclass
class Fate:
    """When one life of a hub ends: at the first of `points` that it meets (`before Coordinator.post 1`), or never."""

    points: frozenset[str] = frozenset()
    met: list[str] = field(default_factory=list)
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    _times: Counter[str] = field(default_factory=Counter)

    @property
    def dead(self) -> bool:
        """Whether the life is over."""
        return self.crashed.is_set()

    def name(self, what: str) -> str:
        """The point's name: what happens, for the how-manieth time in this life."""
        self._times[what] += 1
        self.met.append(f"{what} {self._times[what]}")
        return self.met[-1]

    def strikes(self, when: str, names: list[str]) -> bool:
        """Whether the life ends here."""
        if not self.dead and any(f"{when} {name}" in self.points for name in names):
            self.crashed.set()
        return self.dead


class MortalDatabase(Database):
    """The real store, under a `fate`. It waits for no disk: what a killed process wrote stays in the system's cache."""

    fate: Fate
    living: MortalDatabase

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        type(self).living = self
        self._lost: list[asyncio.Future[Any]] = []
        self._buried = False
        self._quick = False

    def bury(self) -> None:
        """Whoever still waits for the dead store is told so, and so is whoever comes."""
        self._buried = True
        for waiting in self._lost:
            if not waiting.done():
                waiting.set_exception(StoreClosed())

    async def write(self, work: Callable[[UnitOfWork], R], /) -> R:
        """See `core.store.Store`."""
        if self._buried:
            raise StoreClosed
        return await super().write(work)

    async def _commit(self, batch: list[Any]) -> None:
        if not self._quick:
            self._quick = True
            await self._writer.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))
        fate = self.fate
        names = [] if fate.dead else [fate.name(written_by(job.work)) for job in batch]
        if fate.strikes("before", names):
            self._lose(batch)
        elif any(f"after {name}" in fate.points for name in names):
            await self._writer.run(lambda connection: self._run(connection, batch))
            fate.strikes("after", names)
            self._lose(batch)
        else:
            await super()._commit(batch)

    def _lose(self, batch: list[Any]) -> None:
        self._lost.extend(job.done for job in batch)
        if self._buried:
            self.bury()


def written_by(work: Any) -> str:
    """The function that queued a unit of work, as `Coordinator.post`."""
    name: str = getattr(work, "func", work).__qualname__
    return name.partition(".<locals>")[0]


def mortal(fate: Fate) -> type[MortalDatabase]:
    """A kind of store that has this fate."""
    return type("Mortal", (MortalDatabase,), {"fate": fate})


class Wire:
    """The hub's end of a console's link; what was shown on it before the crash is kept in `seen`."""

    def __init__(self, fate: Fate, seen: list[Frame]) -> None:
        self._fate = fate
        self._seen = seen
        self._said: asyncio.Queue[Frame | None] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def attached(cls, console: ConsoleSurface, fate: Fate, seen: list[Frame]) -> AsyncIterator[Wire]:
        """Somebody is at the console."""
        wire = cls(fate, seen)
        async with running(console.serve(wire), "console"):
            wire._said.put_nowait({"op": "attach"})
            try:
                yield wire
            finally:
                wire._said.put_nowait(None)

    def say(self, text: str, name: str, **more: str) -> None:
        """Say a line under a name."""
        self._said.put_nowait({"op": "say", "text": text, "id": name, **more})

    async def send(self, frame: Frame) -> None:
        """See `Link`."""
        self.post(frame)

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """See `Link`."""
        shown = frame["kind"] in {"reply", "more"}
        names = [self._fate.name(f"show {frame['kind']}")] if shown and not self._fate.dead else []
        if self._fate.strikes("before", names):
            return
        if shown:
            self._seen.append(frame)
        self._fate.strikes("after", names)

    async def receive(self) -> Frame | None:
        """See `Link`."""
        return await self._said.get()


class MortalServer:
    """A server on the wire, in front of its fake: the hub before it may die at any request, and has no effect any more then."""

    fate = Fate()

    def route(self, request: web.BaseRequest) -> str:
        """What a request is for, as its point's name."""
        return request.path.rpartition("/")[2]

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        fate = self.fate
        names = [] if fate.dead else [fate.name(f"wire {self.route(request)}")]
        if fate.dead or fate.strikes("before", names):
            return self._gone(request)
        answer: web.StreamResponse = await super()._serve(request)  # type: ignore[misc]
        return self._gone(request) if fate.strikes("after", names) else answer

    def _gone(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return web.Response()
