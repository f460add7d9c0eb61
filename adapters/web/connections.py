"""Connections of the sidecar: how many there may be, how long one may stay silent, and what it is told that sends no HTTP.

Each takes a file descriptor, of which the hub needs some for its books, its children and its other surfaces.
"""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.web import errors
from adapters.web.guard import HEADERS

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

HEADERS_SECONDS = 10.0
"""How long a new connection may take until its first request is whole."""

KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may stay silent between two requests."""

MOST = 8192
"""Each worker that waits for work has one or two."""

FEWEST = 16


def most() -> int:
    """How many connections may be open at a time: a third of the file descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(FEWEST, min(MOST, soft // 3))


class Connection(web.RequestHandler):
    """One connection. What never becomes a request (a line too long, no HTTP at all) gets the one error body."""

    __slots__ = ("_deadline", "_room")

    def __init__(self, manager: web.Server, room: Room, **options: Any) -> None:
        super().__init__(manager, **options)
        self._room = room
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._current_request is None and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._deadline = self._loop.call_later(HEADERS_SECONDS, self._late)
        self._room.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self._room.leave(self)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def cut(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()

    def _late(self) -> None:
        if not self._request_count:
            self.cut()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """See `web.RequestHandler`: the connection is closed after the answer."""
        if status == web.HTTPInternalServerError.status_code:
            log.error("an answer failed: %r", exc, exc_info=exc)
        if request.writer.output_size > 0:
            message = "the answer had begun already"
            raise ConnectionError(message)
        response = errors.library_response(status)
        response.headers.update(HEADERS)
        response.force_close()
        return response


class Room:
    """All open connections, in the order they came. One too many ends the oldest that asks for nothing, else itself."""

    def __init__(self) -> None:
        self._most = most()
        self._open: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        """A connection is there."""
        if len(self._open) >= self._most:
            victim = next((one for one in self._open if one.idle), connection)
            log.info("%s connections are open: the oldest idle one is closed", len(self._open))
            self.leave(victim)
            victim.cut()
            if victim is connection:
                return
        self._open[connection] = None

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self._open.pop(connection, None)


class Runner(web.AppRunner):
    """An `AppRunner` whose connections are ours; aiohttp has no setting for that."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        # Else aiohttp unpacks what comes in before anybody has looked who sends it: 58 KB of gzip are a quarter of a second.
        super().__init__(app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, auto_decompress=False, **options)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)  # noqa: SLF001
        server.room = Room()
        return server


class _Server(web.Server):
    room: Room

    def __call__(self) -> web.RequestHandler:
        return Connection(self, self.room, loop=self._loop, **self._kwargs)
