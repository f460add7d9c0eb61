"""`GET /events`: every domain event, in order, for programs.

The table is the queue. A stream reads on from where it is and writes; when there is no more it waits to be woken. So
nothing falls between what was stored before it came and what happened after, and nothing is sent twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from adapters.web.errors import BadEventId
from adapters.web.guard import CREDENTIAL
from adapters.web.routes import EVENT_STREAM, Access, Parameter, Route, plain
from adapters.web.streams import Ended, frame
from core.events import Kind, readable
from core.ids import task_name
from core.tokens import TokenKind

if TYPE_CHECKING:
    from aiohttp import web

    from adapters.web.guard import Guard
    from adapters.web.ports import WebTx
    from adapters.web.streams import Stream, Streams
    from core.events import Event
    from core.ports import Clock
    from core.store import Store

PATH = "/events"
BATCH = 200
MOST = 50
"""Streams at a time."""

CHECK_MS = 2000
"""How long a stream goes on at most once its token is no more. One that is revoked ends its stream at once: that is an event."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_RESUME = Parameter(
    "Last-Event-ID", "header", "go on after this event; 0 for all that are kept; without it, from now on"
)


@dataclass(frozen=True, slots=True)
class EventShape:
    """A domain event (CONTRACT, "HTTP sidecar"). `at` is ISO 8601 in UTC; `task` is `T-12`."""

    id: int
    type: str
    at: str
    data: dict[str, Any]
    task: str | None = None
    agent: str | None = None


def shape(event: Event, *, whole: bool) -> EventShape:
    """An event as programs see it: the owner's `whole`, others' without what is a person's own."""
    at = datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    task = None if event.task is None else task_name(event.task)
    return EventShape(event.id, event.kind.value, at, dict(event.data if whole else readable(event)), task, event.agent)


class EventStream:
    """Serves the events of a store."""

    def __init__(self, store: Store[WebTx], streams: Streams, guard: Guard, clock: Clock) -> None:
        self._store = store
        self._streams = streams
        self._guard = guard
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """See `Route`."""
        return (
            Route(
                "GET", PATH, "events", "Server-sent domain events, each with its id", self.serve, Access.READ,
                gives=EventShape, media=EVENT_STREAM, takes=(_RESUME,), refuses=(422, 503), head=False,
            ),
        )  # fmt: skip

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Stream from the event after `Last-Event-ID`. An id that this book has not reached yet means its newest."""
        asked = _position(request.headers.get("Last-Event-ID"))
        newest = await self._store.read(lambda tx: tx.last_event())
        start = newest if asked is None else min(asked, newest)

        async def work(stream: Stream) -> None:
            await self._follow(request, stream, start)

        return await self._streams.serve(request, MOST, work)

    async def _follow(self, request: web.Request, stream: Stream, position: int) -> None:
        checked = self._clock.now()
        whole = request[CREDENTIAL].kind == TokenKind.OWNER
        while True:
            stream.wake.clear()
            events = await self._after(position)
            revoked = any(event.kind is Kind.TOKEN_REVOKED for event in events)
            if revoked or self._clock.now() - checked >= CHECK_MS:
                if not await self._guard.still(request):
                    raise Ended
                checked = self._clock.now()
            if events:
                shown = [(plain(shape(event, whole=whole)), event.id) for event in events]
                await stream.write("".join(frame(json.dumps(one), number) for one, number in shown))
                position = events[-1].id
            if len(events) < BATCH:
                await stream.pause()

    async def _after(self, position: int) -> list[Event]:
        return await self._store.read(lambda tx: tx.events_after(position, BATCH))


def _position(given: str | None) -> int | None:
    if given is None:
        return None
    if _NUMBER.fullmatch(given) is None:
        raise BadEventId(given=repr(given[:40]))
    return int(given)
