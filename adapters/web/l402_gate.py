"""The L402 gate (CONTRACT, "L402 gate on SERVE_PORT"): what strangers buy over HTTP, on a port of its own.

It turns requests into calls of the shop and refusals into answers, and decides nothing: whoever has no token that opens a
route is offered one with a 402; a token that is forged or broken is a 401, and nothing is offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from adapters.web import errors
from adapters.web.connections import Runner
from adapters.web.guard import Guard, parsed
from adapters.web.l402_reading import (
    NeedsItsToken,
    NoSuchFile,
    TillClosed,
    TooFast,
    WrongBody,
    read_authorization,
    read_body,
    read_calls,
    read_task,
    read_text,
    read_whole,
)
from adapters.web.l402_shapes import (
    Answered,
    Asked,
    FileFacts,
    InvoiceFacts,
    Message,
    Open,
    Posted,
    StatusFacts,
    TaskFacts,
    Wanted,
    Ware,
    Wares,
)
from adapters.web.listening import address, bound, expect, label, probe
from adapters.web.login import Logins
from adapters.web.routes import JSON, Access, Parameter, Route, answer
from adapters.web.shortcuts import KEY, read_key
from core.errors import HubError, WentWrong
from core.money import MAX_SATS, to_msat, to_sats
from core.swarm.task import Status
from core.wallet.l402 import BadCredential
from core.wallet.lightning import NodeDown, NodeRefused
from core.wallet.node import OtherNode
from core.wallet.pace import Pace
from core.wallet.sales import PaymentNeeded
from core.wallet.selling import BUNDLE_MS, MOST_CALLS, OFFER_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from adapters.web.l402_shapes import Shopfront
    from adapters.web.listening import Site
    from adapters.web.ports import Sources
    from core.wallet.l402 import Grant
    from core.wallet.sales import Goods

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Reading = Callable[[web.Request], Awaitable[Any]]
    Sale = Callable[[web.Request, Grant, Any], Awaitable[web.StreamResponse]]
    Show = Callable[[web.Request, Grant], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
SHUTDOWN_SECONDS = 1.0
MEMO_CHARACTERS = 200
_WHY = {
    Status.FAILED: "nobody here could do it",
    Status.CANCELLED: "it was cancelled",
    Status.EXPIRED: "nobody did it in time",
}
"""All that strangers are told: what an agent says of why may name the owner's machines."""


class Gate:
    """The server. `pace`: how often one address may ask."""

    def __init__(self, site: Site, sources: Sources, front: Shopfront, *, pace: Pace | None = None) -> None:
        self.site = site
        self.front = front
        self._clock = sources.clock
        logins = Logins(sources.clock, sources.ids, sources.store)  # none: the gate has no page to sign in to
        self._guard = Guard(site.public_url, site.allowed_hosts, sources.check, logins, proxy=site.trusted_proxy)
        self._pace = pace or Pace(per_minute=1200, burst=120)
        self._chat, self._tasks = front.goods()
        self._opened: asyncio.Future[None] | None = None
        self._written = ""
        self.address = ""
        """The URL of the gate as seen from this machine, once it listens."""
        self.routes = (*self._open(), *self._sold(), *self._owned())

    def _open(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", "front", "What is sold, for people", self._front, media="text/plain"),
            Route("GET", "/health", "health", "Whether it sells", self._health, gives=Open),
            Route("GET", "/.well-known/l402.json", "wares", "What is sold, for programs", self._wares, gives=Wares),
            Route("GET", "/openapi.json", "openapi", "This document", self._openapi, gives=dict),
        )

    def _sold(self) -> tuple[Route, ...]:
        calls = Parameter("calls", "query", f"how many calls are offered together, 1 to {MOST_CALLS}")
        key = Parameter(KEY, "header", "the same key with the same request is one call, however often it is sent")
        task = Parameter("task", "path", "the task_id of a task that this token bought", required=True)
        name = Parameter("name", "path", "the name of one of its files", required=True)
        wrong = (400, 402, 409, 413, 422, 429, 503)
        sold: dict[str, Any] = {"access": Access.BOUGHT, "takes": (calls, key), "refuses": wrong}
        look: dict[str, Any] = {"access": Access.BOUGHT, "refuses": (404, 422, 429)}
        return (
            Route(
                "POST", "/v1/chat", "chat", "Talk with the agent", self._selling(self._chat, _message, self._talk), body=Message,
                gives=Answered, **sold,
            ),
            Route(
                "POST", "/v1/tasks", "post", "Have a task done", self._selling(self._tasks, _wanted, self._post), body=Wanted,
                gives=Posted, status=202, **sold,
            ),
            Route(
                "GET", "/v1/tasks/{task}", "task", "How a task stands, and its result", self._showing(self._show),
                gives=TaskFacts, takes=(task,), **look,
            ),
            Route(
                "GET", "/v1/tasks/{task}/files/{name}", "file", "A file of its result", self._showing(self._file),
                media="application/octet-stream", takes=(task, name), **look,
            ),
        )  # fmt: skip

    def _owned(self) -> tuple[Route, ...]:
        return (
            Route(
                "POST", "/v1/invoice", "invoice", "Ask for sats", self._invoice, Access.OWNER, body=Asked,
                gives=InvoiceFacts, refuses=(400, 422, 503),
            ),
            Route("GET", "/v1/status", "status", "What was sold", self._status, Access.OWNER, gives=StatusFacts),
        )  # fmt: skip

    # Life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sell until cancelled. Raises `PortInUse`, `CannotListen`."""
        opened = self._first()
        try:
            await self.front.till.recover()  # no request of an earlier run is under way any more
            async with self._listening():
                if not opened.done():
                    opened.set_result(None)
                await asyncio.get_running_loop().create_future()
        except HubError as error:
            if not opened.done():
                opened.set_exception(error)
            raise
        finally:
            self.address = ""

    @property
    def price(self) -> int:
        """Of a call, msat."""
        return self.front.price

    @property
    def price_words(self) -> str:
        """Of a call, for people."""
        return self.front.money(self.front.price)

    async def free(self) -> None:
        """See that it could listen now. Raises `PortInUse`, `CannotListen`."""
        await probe(self.site)

    async def opened(self) -> None:
        """Wait until it listens. Raises why it does not, if the first try failed."""
        await asyncio.shield(self._first())

    def _first(self) -> asyncio.Future[None]:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        return self._opened

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        app = web.Application(middlewares=[self._edge], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(label)
        for route in self.routes:
            for method in route.methods:
                app.router.add_route(method, route.path, self._admitted(route), expect_handler=expect)
        runner = Runner(app, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            with bound(self.site):
                await web.TCPSite(runner, self.site.host.strip("[]"), self.site.port).start()
            self.address = address(self.site, runner)
            yield
        finally:
            await runner.cleanup()

    # Edges -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one place where errors become answers."""
        try:
            self._guard.place(request)
            self._slow_down(request)
            return await handler(request)
        except (BadCredential, NeedsItsToken) as error:
            return errors.response(error, "L402")
        except HubError as error:
            return errors.response(error)
        except web.HTTPException as error:
            return errors.library_response(error.status, error.headers.get("Allow"))
        except ConnectionError:  # whoever asked is gone, before all was said or answered
            return errors.library_response(400)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return errors.response(WentWrong())

    def _slow_down(self, request: web.Request) -> None:
        if wait := self._pace.take(self._client(request), self._clock.now()):
            raise TooFast(seconds=-(-wait // 1000))

    def _admitted(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            await self._guard.admit(request, route.access)
            return await route.handler(request)

        return handle

    def _client(self, request: web.Request) -> str:
        """Whom an offer is made to: an address, or the network that one household has of them (IPv6: a /64)."""
        return _household(self._guard.client(request))

    def _selling(self, goods: Goods, read: Reading, serve: Sale) -> Handler:
        """Serve whoever has a token for it, and make everybody else an offer: not for a request that could not be served.

        One without a body asks for the price.
        """

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                grant = await self._grant(request, goods)
                return await serve(request, grant, await read(request))
            except PaymentNeeded as error:
                calls = read_calls(request)
                read_key(request.headers.get(KEY))
                if await read_whole(request):
                    wanted = await read(request)
                    if goods is self._tasks:
                        self.front.counter.examine(*wanted, price=goods.price)
                await self.front.counter.open(goods)
                with _closed_till():
                    client, header = self._client(request), read_authorization(request)
                    offer = await self.front.till.offer(goods, calls, client, _network(client), header)
                return errors.response(type(error)(price=self.front.money(goods.price * calls)), offer)

        return handle

    def _showing(self, serve: Show) -> Handler:
        """Show whoever bought it; another token would not open it, so none is offered."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                grant = await self._grant(request, self._tasks)
            except PaymentNeeded:
                raise NeedsItsToken from None
            return await serve(request, grant)

        return handle

    async def _grant(self, request: web.Request, goods: Goods) -> Grant:
        """What the token of a request opens."""
        with _closed_till():
            return await self.front.till.admit(read_authorization(request), goods, request.path)

    # What is sold ----------------------------------------------------------------------------------------------

    async def _talk(self, request: web.Request, grant: Grant, message: str) -> web.Response:
        return answer(Answered(await self.front.counter.chat(grant, message, read_key(request.headers.get(KEY)))))

    async def _post(self, request: web.Request, grant: Grant, wanted: tuple[str, int | None]) -> web.Response:
        task = await self.front.counter.post(grant, *wanted, read_key(request.headers.get(KEY)))
        text = json.dumps(asdict(Posted(task.name, task.status.value)))
        return web.Response(status=202, text=text, content_type=JSON, headers={"Location": f"/v1/tasks/{task.name}"})

    async def _show(self, request: web.Request, grant: Grant) -> web.Response:
        task, files = await self.front.counter.task(grant, read_task(request))
        base = f"/v1/tasks/{task.name}/files"
        listed = [FileFacts(file.name, file.size, f"{base}/{quote(file.name, safe='')}") for file in files]
        shown = task.status in {Status.DELIVERED, Status.SETTLED}
        result, found = (task.result, listed) if shown else (None, None)
        facts = TaskFacts(task.name, task.status.value, result, _WHY.get(task.status), found)
        return web.Response(text=json.dumps(asdict(facts)), content_type=JSON)  # what is not there yet is null

    async def _file(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        number, name = read_task(request), request.match_info["name"]
        task, files = await self.front.counter.task(grant, number)
        file = next((one for one in files if one.name == name), None)
        if file is None:
            raise NoSuchFile(name=repr(name[:80]), task=task.name)
        headers = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
        return web.FileResponse(self.front.place(file), headers=headers)

    # What is open, and the owner's -----------------------------------------------------------------------------

    async def _front(self, _: web.Request) -> web.Response:
        lines = [
            "Timmy sells by L402: ask, pay the Lightning invoice of the 402, and ask again with its token.",
            *("", "These sats are simulated: they are play money of this hub.")[: 2 * self.front.simulated],
            "",
            *[
                f"POST {one.resource}  {self.front.money(one.price)} a call  {one.words}"
                + ("" if await self._sold_now(one) else " (not now)")
                for one in self.front.goods()
            ],
            "",
            f"?calls=10 offers ten calls together (up to {MOST_CALLS}). An offer holds {OFFER_SECONDS // 60} minutes,",
            f"a token {BUNDLE_MS // 86_400_000} days. Work that fails on our side costs nothing.",
            "For programs: /.well-known/l402.json, /openapi.json",
        ]
        return web.Response(text="\n".join(lines) + "\n")

    async def _health(self, _: web.Request) -> web.Response:
        return answer(Open())

    async def _wares(self, _: web.Request) -> web.Response:
        services = [
            Ware(one.service, "POST", one.resource, one.words, to_sats(one.price), await self._sold_now(one))
            for one in self.front.goods()
        ]
        return answer(
            Wares(
                "Timmy",
                "L402",
                "0",
                "sat",
                self.front.simulated,
                OFFER_SECONDS,
                BUNDLE_MS // 1000,
                MOST_CALLS,
                services,
            )
        )

    async def _sold_now(self, goods: Goods) -> bool:
        return await self.front.counter.refusal(goods) is None

    async def _openapi(self, _: web.Request) -> web.Response:
        """Written once: it is open to anybody, and takes longer than all else here."""
        self._written = self._written or await asyncio.to_thread(_document, self.routes)
        return web.Response(text=self._written, content_type=JSON)

    async def _invoice(self, request: web.Request) -> web.Response:
        shape = f"the whole number amount_sats and the text memo, of at most {MEMO_CHARACTERS} characters"
        body = await read_body(request, {"amount_sats", "memo"}, shape)
        amount, memo = body.get("amount_sats"), body.get("memo")
        if type(amount) is not int or not 1 <= amount <= MAX_SATS or not isinstance(memo, str):
            raise WrongBody(fields=shape)
        if len(memo) > MEMO_CHARACTERS:
            raise WrongBody(fields=shape)
        return answer(await self.invoice(amount, memo))

    async def invoice(self, amount: int, memo: str) -> InvoiceFacts:
        """An invoice over so many sats."""
        made = await self.front.till.invoice(to_msat(amount), memo.encode(errors="replace").decode())
        return InvoiceFacts(
            made.bolt11, made.payment_hash.hex(), to_sats(made.amount), made.expires_at, self.front.simulated
        )

    async def _status(self, _: web.Request) -> web.Response:
        return answer(await self.status())

    async def status(self) -> StatusFacts:
        """How the selling goes."""
        sold = await self.front.till.sold()
        return StatusFacts(
            bool(self.address), self.site.public_url or self.address, to_sats(self.front.price), sold.offers,
            sold.bundles, to_sats(sold.earned), sold.calls, self.front.simulated,
        )  # fmt: skip


async def _message(request: web.Request) -> str:
    """What a talk is about."""
    return read_text(await read_body(request, {"message"}, "the text message"), "message")


async def _wanted(request: web.Request) -> tuple[str, int | None]:
    """The words of a task, and the most that it may cost, sats."""
    shape = "the text description, a whole number max_sats if you like"
    body = await read_body(request, {"description", "max_sats"}, shape)
    most = body.get("max_sats")
    if most is not None and (type(most) is not int or not 1 <= most <= MAX_SATS):
        raise WrongBody(fields=shape)
    return read_text(body, "description"), most


@lru_cache(4096)
def _household(seen: str) -> str:
    found = parsed(seen)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)  # as a proxy writes it that listens to both; else all of them were one
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return seen[:64]


@lru_cache(4096)
def _network(client: str) -> str:
    """The network that a household is of, such as one provider or one machine has: an IPv4 /24, an IPv6 /48."""
    try:
        found = ipaddress.ip_network(client, strict=False)
    except ValueError:
        return client
    return str(found.supernet(new_prefix=24 if found.version == 4 else 48))  # noqa: PLR2004 - IPv4


@contextlib.contextmanager
def _closed_till() -> Iterator[None]:
    """Whose node this is, and what is wrong with it, is for the hub's owner, not for strangers. Raises `TillClosed`."""
    try:
        yield
    except (NodeDown, NodeRefused, OtherNode):
        raise TillClosed from None


def _document(routes: Sequence[Route]) -> str:
    """On a thread: the library is loaded by the first who asks."""
    from adapters.web.openapi import document  # noqa: PLC0415

    return json.dumps(document(routes))
