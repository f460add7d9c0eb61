"""The status page: its files, its texts, and the newest events. What it shows of the hub is in `picture`, for who looks."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from adapters.web.routes import Access, Route, answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.web.picture import PageState
    from adapters.web.ports import Sources, WebTx
    from core.events import Event

STATIC = Path(__file__).parent / "static"
RECENT_EVENTS = 12
PICTURE = "adapters.web.picture"


class StatusPage:
    """Makes the sections, and serves the page's files and texts."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._files = {
            "/": (_read("page.html"), "text/html"),
            "/page.css": (_read("page.css"), "text/css"),
            "/page.js": (_read("page.js"), "text/javascript"),
        }

    def routes(self) -> tuple[Route, ...]:
        """See `Route`."""
        return (
            Route("GET", "/", "page", "The status page", self.file, media="text/html"),
            Route("GET", "/page.css", "page_style", "The page's style", self.file, media="text/css"),
            Route("GET", "/page.js", "page_script", "The page's script", self.file, media="text/javascript"),
            Route(
                "GET",
                "/page/tasks",
                "page_tasks",
                "What the recent tasks say",
                self.texts,
                Access.PAGE,
                gives="TaskTexts",
                shapes=PICTURE,
            ),
        )

    async def file(self, request: web.Request) -> web.Response:
        """One of the three files."""
        return self.page(request.path)

    def page(self, path: str = "/", status: int = 200) -> web.Response:
        """A file as an answer."""
        body, kind = self._files[path]
        return web.Response(body=body, status=status, content_type=kind, charset="utf-8")

    async def texts(self, _: web.Request) -> web.Response:
        """The words of the recent tasks."""
        from adapters.web import picture  # noqa: PLC0415 - for the first who looks

        return answer(await picture.recent(self._sources))

    async def load(self) -> None:
        """Read the newest events from before this start."""

        def work(tx: WebTx) -> list[Event]:
            return tx.events_after(max(0, tx.last_event() - RECENT_EVENTS), RECENT_EVENTS)

        before = await self._sources.store.read(work)
        known = {event.id: event for event in (*before, *self._events)}
        self._events.clear()
        self._events.extend(known[number] for number in sorted(known))

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed."""
        self._events.extend(events)

    async def state(self) -> PageState:
        """All sections as they are now."""
        from adapters.web import picture  # noqa: PLC0415 - for the first who looks

        return await picture.take(self._sources, self._events)


def _read(name: str) -> bytes:
    return (STATIC / name).read_bytes()
