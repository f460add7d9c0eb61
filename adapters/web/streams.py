"""Server-sent events (WHATWG HTML, "Server-sent events"): open streams, their heartbeats, and their end.

A stream holds no queue: it is woken, takes what is newest (or next in the table), and writes. Whoever reads too slowly
fills the socket's buffer and nothing else; after a while the connection is dropped, and the client comes back.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from adapters.web.errors import NotReady, TooManyStreams
from adapters.web.routes import EVENT_STREAM
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.ports import Clock

log = logging.getLogger(__name__)

HEARTBEAT_MS = 15_000
STALL_SECONDS = 20.0
"""How long a client may leave a full buffer unread."""

RETRY_MS = 1000
"""How soon a browser comes back by itself."""


class Ended(Exception):
    """The stream is over: the hub stops, or the client is gone or too slow."""


def frame(data: str, number: int | None = None) -> str:
    """One event. `data` is a single line: JSON never holds a bare line break."""
    return f"data: {data}\n\n" if number is None else f"id: {number}\ndata: {data}\n\n"


class Stream:
    """One client's open stream. Set `wake` when there is something for it."""

    def __init__(self, request: web.Request, response: web.StreamResponse, clock: Clock, client: str = "") -> None:
        self.path = request.path
        self.client = client
        self.wake = asyncio.Event()
        self.ending = False
        self._request = request
        self._response = response
        self._clock = clock

    @property
    def gone(self) -> bool:
        """Whether the client hung up."""
        return self._request.transport is None or self._request.transport.is_closing()

    def end(self) -> None:
        """Close the stream."""
        self.ending = True
        self.wake.set()

    async def pause(self) -> bool:
        """Wait to be woken: True. After a while without, write a heartbeat: False. Raises `Ended`."""
        await self._clock.until(self._clock.now() + HEARTBEAT_MS, self.wake)
        if self.ending:
            raise Ended
        if self.wake.is_set():
            return True
        await self.write(":\n\n")
        return False

    async def write(self, text: str) -> None:
        """Send. Raises `Ended`."""
        if self.ending or self.gone:
            raise Ended
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._response.write(text.encode())
        except ConnectionError:
            raise Ended from None
        except TimeoutError:
            log.info("a client of %s reads too slowly: dropped", self.path)
            self._drop()
            raise Ended from None

    def _drop(self) -> None:
        """Cut the connection at once: without the linger option the kernel would keep megabytes for whoever never reads."""
        if (transport := self._request.transport) is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


class Streams:
    """All open streams."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Stream, None] = {}
        self._closed = False

    def count(self, path: str) -> int:
        """How many clients listen there."""
        return len(self._listening(path))

    def _listening(self, path: str) -> list[Stream]:
        return [stream for stream in self._open if stream.path == path and not stream.gone and not stream.ending]

    def make_room(self, path: str, limit: int) -> None:
        """Where all seats are taken, the client who has the most gives up its oldest: nobody can lock others out."""
        listening = self._listening(path)
        if len(listening) >= limit:
            (greediest, _), *_ = Counter(stream.client for stream in listening).most_common(1)
            next(stream for stream in listening if stream.client == greediest).end()

    async def serve(
        self, request: web.Request, limit: int, work: Callable[[Stream], Awaitable[None]], client: str = ""
    ) -> web.StreamResponse:
        """Open a stream and run `work` on it until it ends. Raises `TooManyStreams`; later errors just end the stream."""
        if self._closed:
            raise NotReady
        if self.count(request.path) >= limit:
            raise TooManyStreams(limit=limit)
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
        response.content_type, response.charset = EVENT_STREAM, "utf-8"
        stream = Stream(request, response, self._clock, client)
        self._open[stream] = None
        try:
            await response.prepare(request)
            await stream.write(f"retry: {RETRY_MS}\n\n")
            await work(stream)
        except Ended:
            pass
        except HubError as error:
            log.info("a stream of %s ends: %s", request.path, error)
        except Exception:
            log.exception("a stream of %s broke off", request.path)
        finally:
            del self._open[stream]
        return response

    def wake(self, path: str) -> None:
        """Tell the streams of a route that there is something."""
        for stream in self._open:
            if stream.path == path:
                stream.wake.set()

    def close(self) -> None:
        """End all streams, and open no more."""
        self._closed = True
        for stream in self._open:
            stream.end()
