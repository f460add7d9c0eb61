"""The aiohttp sidecar: binds, registers the table of routes, and turns every refusal into the one error body.

A route is one declaration (`Route`); whatever owns it hands its own to `Sidecar(..., more=...)`. Nothing here decides:
the guard says who may, the services say what happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from adapters.web import errors
from adapters.web.connections import Runner
from adapters.web.errors import BadLogin, NotReady, Unhealthy
from adapters.web.event_stream import PATH as EVENTS
from adapters.web.event_stream import EventStream
from adapters.web.guard import Guard
from adapters.web.listening import Site, address, bound, expect, label, probe
from adapters.web.live import PATH as LIVE
from adapters.web.live import Live
from adapters.web.login import SESSION_MS, Logins
from adapters.web.ports import Readings
from adapters.web.routes import JSON, Access, Parameter, Route, answer
from adapters.web.status_page import StatusPage
from adapters.web.streams import Streams
from core.errors import HubError, WentWrong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from adapters.web.ports import Sources
    from core.events import Event

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Sidecar", "Site", "probe"]

log = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024
SHUTDOWN_SECONDS = 1.0
"""How long answers under way may take once the hub stops."""


@dataclass(frozen=True, slots=True)
class Fine:
    """All is well. `notes`: what is not as it should be outside, such as a Lightning node that is behind the chain."""

    ok: bool = True
    notes: list[str] | None = None


class Sidecar:
    """The hub over HTTP."""

    def __init__(self, site: Site, sources: Sources, more: Sequence[Route] = ()) -> None:
        self._site = site
        self._sources = sources
        self._logins = Logins(sources.clock, sources.ids, sources.store)
        self._guard = Guard(site.public_url, site.allowed_hosts, sources.check, self._logins, proxy=site.trusted_proxy)
        self._streams = Streams(sources.clock)
        self._page = StatusPage(sources)
        self._live = Live(self._page, self._streams, self._guard, sources.clock)
        self._counts: Counter[str] = Counter()
        self._runner: Runner | None = None
        self.address = ""
        """The URL of the hub as seen from this machine, once it listens."""
        events = EventStream(sources.store, self._streams, self._guard, sources.clock)
        self.routes = (*self._page.routes(), *self._live.routes(), *events.routes(), *self._own(), *more)
        """Every route that is served."""

    def _own(self) -> tuple[Route, ...]:
        code = Parameter("code", "query", "the code of a link that timmy status --page printed", required=True)
        return (
            Route("GET", "/healthz", "healthz", "Whether every part works", self._healthz, gives=Fine, refuses=(503,)),
            Route("GET", "/readyz", "readyz", "Whether start-up is done", self._readyz, gives=Fine, refuses=(503,)),
            Route("GET", "/metrics", "metrics", "Prometheus text", self._metrics, Access.READ, media="text/plain"),
            Route("GET", "/openapi.json", "openapi", "This document", self._openapi, Access.READ, gives=dict),
            Route(
                "GET", "/login", "login", "Begin a session of the page by a one-time link", self._login, Access.OWN_SECRET,
                status=303, takes=(code,), head=False,
            ),
        )  # fmt: skip

    # Life ------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Bind, and answer until the block ends; then open streams are closed. Raises `PortInUse`, `CannotListen`."""
        await self._page.load()
        await self._logins.load()
        runner = self._runner = Runner(self._application(), shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await self._bind(runner)
            self.address = address(self._site, runner)
            self._guard.listens_on(runner.addresses[0][1])
            yield
        finally:
            self._streams.close()
            await runner.cleanup()

    async def also_at(self, path: str) -> None:
        """Answer on a Unix socket too, while it listens, to whoever sees that: what one may is in their token."""
        if self._runner is not None:
            await web.UnixSite(self._runner, path).start()
            await asyncio.to_thread(Path(path).chmod, 0o666)

    async def run(self) -> None:
        """Keep the page's readers up to date, for ever."""
        await self._live.run()

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed (called on the loop)."""
        self._counts.update(event.kind.value for event in events)
        self._live.heard(events)
        self._streams.wake(EVENTS)

    def login_link(self) -> str:
        """A link that opens the page with its texts, once."""
        base = (self._site.public_url or self.address).rstrip("/")
        return f"{base}/login?code={self._logins.code()}"

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._edge], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(label)
        for route in self.routes:
            for method in route.methods:
                app.router.add_route(method, route.path, self._admitted(route), expect_handler=expect)
        return app

    async def _bind(self, runner: Runner) -> None:
        with bound(self._site):
            await web.TCPSite(runner, self._site.host.strip("[]"), self._site.port).start()

    # Edges -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one place where errors become answers; nothing of ours is reached by a foreign request."""
        try:
            self._guard.place(request)
            return await handler(request)
        except HubError as error:
            return errors.response(error)
        except web.HTTPException as error:
            return errors.library_response(error.status, error.headers.get("Allow"))
        except ConnectionError:  # whoever asked is gone, before all was said or answered
            return errors.library_response(400)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return errors.response(WentWrong())

    def _admitted(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            await self._guard.admit(request, route.access)
            return await route.handler(request)

        return handle

    # Routes ----------------------------------------------------------------------------------------------------

    async def _healthz(self, _: web.Request) -> web.Response:
        if faults := self._sources.health.faults():
            raise Unhealthy(faults="; ".join(faults))
        return answer(Fine(notes=self._sources.health.notes() or None))

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._sources.health.ready:
            raise NotReady
        return answer(Fine())

    async def _metrics(self, _: web.Request) -> web.Response:
        health = self._sources.health
        readings = Readings(
            uptime=(self._sources.clock.now() - health.started) / 1000, ready=health.ready, parts=dict(health.parts),
            figures=await health.figures(), simulated=health.simulated, hops=self._sources.writer.hops,
            commits=self._sources.writer.commits, events=dict(self._counts),
            streams={path: self._streams.count(path) for path in (LIVE, EVENTS)},
            stuck=Counter(one.kind for one in health.stuck()),
        )  # fmt: skip
        body = await asyncio.to_thread(_render, readings)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _openapi(self, _: web.Request) -> web.Response:
        text = await asyncio.to_thread(_document, self.routes)
        return web.Response(text=text, content_type=JSON)

    async def _login(self, request: web.Request) -> web.Response:
        session = await self._logins.redeem(request.query.get("code", ""))
        if session is None:
            if "text/html" in request.headers.get("Accept", ""):
                return self._page.page(status=BadLogin.status)
            raise BadLogin
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            self._guard.cookie, session, max_age=SESSION_MS // 1000, httponly=True, samesite="Strict",
            secure=self._guard.encrypted(request),
        )  # fmt: skip
        return response


def _render(readings: Readings) -> bytes:
    """On a thread: the library is loaded by the first who asks."""
    from adapters.web.metrics import render  # noqa: PLC0415

    return render(readings)


def _document(routes: Sequence[Route]) -> str:
    """On a thread, as `_render`."""
    from adapters.web.openapi import document  # noqa: PLC0415

    return json.dumps(document(routes))
