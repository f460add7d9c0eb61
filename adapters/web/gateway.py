"""The server of a gateway: the worker API alone, with the guard and the errors of the sidecar, and no hub in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from adapters.web import errors
from adapters.web.connections import Runner
from adapters.web.guard import Guard
from adapters.web.listening import address, bound, expect, label
from adapters.web.routes import JSON, Route, answer
from core.errors import HubError, Unavailable, WentWrong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from adapters.web.listening import Site
    from core.tokens import TokenRow

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024
SHUTDOWN_SECONDS = 5.0
"""How long answers under way may take once the gateway stops."""

RETRY_SECONDS = 2
"""When to ask again, where the hub is not reached."""


class NoWayToHub(Unavailable):
    """This gateway does not reach its hub: {why}"""


class Stopping(Unavailable):
    """This gateway is stopping. Ask another, or ask again in a moment."""


@dataclass(frozen=True, slots=True)
class Fine:
    """All is well."""

    ok: bool = True


class Far(Protocol):
    """The hub, as it is reached from here."""

    @property
    def why(self) -> str:
        """Why it is not reached; empty where it is."""

    async def check(self, token: str) -> TokenRow | None:
        """The live credential of a token."""


class _NoLogins:
    """A gateway has no page to sign in to."""

    def knows(self, session: str) -> bool:  # noqa: ARG002 - as any
        """See `Sessions`."""
        return False


class Gateway:
    """Answers workers, by the routes that it is given."""

    def __init__(self, site: Site, hub: Far, routes: Sequence[Route]) -> None:
        self._site = site
        self._hub = hub
        self._guard = Guard(site.public_url, site.allowed_hosts, hub.check, _NoLogins(), proxy=site.trusted_proxy)
        self.ends = False
        """Whether it is stopping."""
        self.address = ""
        """Its URL as seen from this machine, once it listens."""
        self.routes = (
            Route("GET", "/healthz", "healthz", "Whether it works", self._healthz, gives=Fine),
            Route("GET", "/readyz", "readyz", "Whether it reaches its hub", self._readyz, gives=Fine, refuses=(503,)),
            Route("GET", "/openapi.json", "openapi", "This document", self._openapi, gives=dict),
            *routes,
        )

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Bind, and answer until the block ends. Raises `PortInUse`, `CannotListen`."""
        app = web.Application(middlewares=[self._edge], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(label)
        for route in self.routes:
            for method in route.methods:
                app.router.add_route(method, route.path, self._admitted(route), expect_handler=expect)
        runner = Runner(app, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            with bound(self._site):
                await web.TCPSite(runner, self._site.host.strip("[]"), self._site.port).start()
            self.address = address(self._site, runner)
            yield
        finally:
            await runner.cleanup()

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one place where errors become answers; where the hub is not reached, a worker is told when to ask again."""
        try:
            self._guard.place(request)
            return await handler(request)
        except HubError as error:
            response = errors.response(error)
            if error.status == Unavailable.status:
                response.headers["Retry-After"] = str(RETRY_SECONDS)
            return response
        except web.HTTPException as error:
            return errors.library_response(error.status, error.headers.get("Allow"))
        except ConnectionError:  # whoever asked is gone
            return errors.library_response(400)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return errors.response(WentWrong())

    def _admitted(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            await self._guard.admit(request, route.access)
            return await route.handler(request)

        return handle

    async def _healthz(self, _: web.Request) -> web.Response:
        """It works as long as it answers: to start it anew brings no hub back."""
        return answer(Fine())

    async def _readyz(self, _: web.Request) -> web.Response:
        if self.ends:
            raise Stopping
        if self._hub.why:
            raise NoWayToHub(why=self._hub.why)
        return answer(Fine())

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(_document, self.routes), content_type=JSON)


def _document(routes: Sequence[Route]) -> str:
    """On a thread: its library is loaded by the first who asks."""
    from adapters.web.openapi import document  # noqa: PLC0415

    return json.dumps(document(routes))
