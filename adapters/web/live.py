"""`GET /live`: the page's state, pushed. One picture is taken for all readers, and none while nobody looks."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from adapters.web.routes import EVENT_STREAM, Route, plain
from adapters.web.status_page import PICTURE
from adapters.web.streams import frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from adapters.web.guard import Guard
    from adapters.web.status_page import StatusPage
    from adapters.web.streams import Stream, Streams
    from core.events import Event
    from core.ports import Clock

PATH = "/live"
MOST = 100
"""Readers at a time; one more ends the oldest of the address that has the most."""

PAUSE_SECONDS = 0.25
"""Between two pictures at least: what happens meanwhile is one update."""

REFRESH_MS = 5000
"""A picture is taken this often even when nothing happened in the books: parts and models come and go."""


class Live:
    """Takes pictures and hands each reader the sections that changed. A section that waits is replaced, never queued."""

    def __init__(self, page: StatusPage, streams: Streams, guard: Guard, clock: Clock) -> None:
        self._page = page
        self._streams = streams
        self._guard = guard
        self._clock = clock
        self._sections: dict[str, str] = {}
        self._pending: dict[Stream, dict[str, str]] = {}
        self._taking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watched = asyncio.Event()

    def routes(self) -> tuple[Route, ...]:
        """See `Route`."""
        return (
            Route(
                "GET", PATH, "live", "Server-sent states and counts for the page, redacted", self.serve,
                gives="PageState", shapes=PICTURE, media=EVENT_STREAM, refuses=(503,), head=False,
            ),
        )  # fmt: skip

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed."""
        self._page.heard(events)
        self._changed.set()

    async def run(self) -> None:
        """Take pictures, for ever."""
        while True:
            await self._watched.wait()
            await self._clock.until(self._clock.now() + REFRESH_MS, self._changed)
            await self._take()
            await self._clock.sleep(PAUSE_SECONDS)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Stream the whole state, then what changes."""

        async def work(stream: Stream) -> None:
            self._pending[stream] = {"session": json.dumps(self._guard.signed_in(request))}
            self._watched.set()
            try:
                if len(self._pending) == 1:
                    await self._take()
                await self._follow(stream)
            finally:
                del self._pending[stream]
                if not self._pending:
                    self._watched.clear()

        self._streams.make_room(PATH, MOST)
        return await self._streams.serve(request, MOST, work, self._guard.client(request))

    async def _follow(self, stream: Stream) -> None:
        async with self._taking:
            self._pending[stream].update(self._sections)
        stream.wake.set()
        while True:
            if await stream.pause():
                stream.wake.clear()
                sections = self._pending[stream]
                self._pending[stream] = {}
                await stream.write(frame("{" + ",".join(f'"{name}":{text}' for name, text in sections.items()) + "}"))

    async def _take(self) -> None:
        async with self._taking:
            self._changed.clear()
            state = plain(await self._page.state())
            sections = {name: json.dumps(section) for name, section in state.items()}
            changed = {name: text for name, text in sections.items() if text != self._sections.get(name)}
            self._sections = sections
            if changed:
                for stream, pending in self._pending.items():
                    pending.update(changed)
                    stream.wake.set()
