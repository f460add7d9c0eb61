"""phoenixd's HTTP API over real loopback HTTP, with a `LightningNode` behind it.

Written from https://phoenix.acinq.co/server/api and from phoenixd 0.8's `Api.kt` and `JsonSerializers.kt`: what is optional, what
is refused and in which words, what is cut to sats, what is left out when it is null. It pays a hash once, whoever asks how often.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes import no_wait
from tests.lightning_node import SAT, LightningNode, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.lightning_node import Invoice, Payment

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NODE_ID = "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa"
LONGEST_DESCRIPTION = 128
UNAUTHORIZED = "Invalid authentication (use basic auth with the http password set in phoenix.conf)"


@dataclass
class Faults:
    """What goes wrong next."""

    down: bool = False
    lost: bool = False
    """The answer to the next order is lost with its connection."""

    silent: bool = False
    """The answer to the next order never comes."""

    mute: bool = False
    """Nor does that to the question after it: a proxy gives up."""

    instead: tuple[int, str] | None = None
    """Status and body in place of the next answer."""


@dataclass
class PhoenixdServer:
    """The server: what it has, what it was asked, and what goes wrong."""

    node: LightningNode = field(default_factory=lambda: LightningNode("tb"))
    password: str = "full-password"
    limited: str = "limited-password"
    chain: str = "testnet3"
    height: int = 900_000
    faults: Faults = field(default_factory=Faults)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    to_repeat: list[Invoice] = field(default_factory=list)
    silence: Callable[[], Awaitable[None]] = no_wait
    """Called where an answer is not to come."""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[PhoenixdServer]:
        """Serve on a free port of the loopback."""
        server = cls()
        server.node.on_received.append(server._tell)
        runner = web.AppRunner(server._app(), shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        try:
            yield server
        finally:
            for socket in server.sockets:
                await socket.close()
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._wire])
        app.add_routes([
            web.get("/getinfo", self._getinfo),
            web.get("/getbalance", self._getbalance),
            web.post("/createinvoice", self._createinvoice),
            web.get("/payments/incoming", self._list),
            web.get("/payments/incoming/{hash}", self._incoming),
            web.get("/payments/outgoingbyhash/{hash}", self._outgoing),
            web.post("/payinvoice", self._payinvoice),
            web.get("/websocket", self._websocket),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _wire(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.faults.down:
            return await self._break(request)
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.faults.instead is not None:
            (status, body), self.faults.instead = self.faults.instead, None
            return web.Response(status=status, text=body)
        if refused := self._refused(request):
            return web.Response(status=401, text=refused)
        answer = await self._answered(request, handler)
        return await self._spoilt(request, answer)

    async def _spoilt(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        faults, ordered = self.faults, request.method == "POST"
        if ordered and faults.lost:
            faults.lost = False
            return await self._break(request)
        if ordered and faults.silent:
            faults.silent = False
            await self.silence()
            await asyncio.Event().wait()
        if not ordered and faults.mute and not faults.silent:
            faults.mute = False
            return web.Response(status=504)
        return answer

    @staticmethod
    async def _break(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text="Unknown endpoint (check api doc)")
        except web.HTTPMethodNotAllowed:
            return web.Response(status=405, text="Invalid http method (use the correct GET/POST)")
        except web.HTTPException as error:
            return web.Response(status=error.status, text=error.text)

    def _refused(self, request: web.Request) -> str:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(given).decode().partition(":")[2] if scheme == "Basic" else ""
        full = request.path == "/payinvoice"
        return "" if password == self.password or (password == self.limited and not full) else UNAUTHORIZED

    async def _form(self, request: web.Request) -> dict[str, str]:
        if request.content_type != "application/x-www-form-urlencoded":
            raise web.HTTPUnsupportedMediaType
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.forms.append(form)
        return form

    async def _getinfo(self, request: web.Request) -> web.Response:
        channel = {"state": "Normal", "channelId": "00" * 32, "balanceSat": self.node.balance // SAT}
        told = {"nodeId": NODE_ID, "channels": [channel], "chain": self.chain, "version": "0.8.0"}
        return _json(_known({**told, "blockHeight": self.height or None}))

    async def _getbalance(self, request: web.Request) -> web.Response:
        return _json({"balanceSat": self.node.balance // SAT, "feeCreditSat": 0})

    async def _createinvoice(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        amount = _long(form, "amountSat")
        description = form.get("description")
        if description is not None and len(description.encode("utf-16-le")) // 2 > LONGEST_DESCRIPTION:
            raise web.HTTPBadRequest(
                text=f"Request parameter description is too long (max {LONGEST_DESCRIPTION} characters)"
            )
        if (description is None) == ("descriptionHash" not in form):
            raise web.HTTPBadRequest(text="Must provide either a description or descriptionHash")
        assert amount is not None, "the hub names an amount"
        made = self.node.invoice(amount * SAT, description or "", _long(form, "expirySeconds") or 604_800)
        return _json({"amountSat": amount, "paymentHash": made.payment_hash.hex(), "serialized": made.bolt11})

    async def _list(self, request: web.Request) -> web.Response:
        """Received, by their time of receipt; the newest made first."""
        query = request.query
        start, limit, offset = (
            int(query.get(name, other)) for name, other in (("from", 0), ("limit", 20), ("offset", 0))
        )
        found = [one for one in self.node.invoices.values() if one.settled >= max(1, start)]
        return _json([self._shown(one) for one in reversed(found)][offset : offset + limit])

    async def _incoming(self, request: web.Request) -> web.Response:
        found = self.node.invoices.get(_hash(request))
        return web.Response(status=404, text="Not found") if found is None else _json(self._shown(found))

    async def _outgoing(self, request: web.Request) -> web.Response:
        found = self.node.outgoing(_hash(request))
        return web.Response(status=404, text="Not found") if found is None else _json(_sent(found))

    async def _payinvoice(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        text = form.get("invoice")
        if text is None:
            raise web.HTTPBadRequest(text="Request parameter invoice is missing")
        try:
            asked = read(text)
        except Exception:  # noqa: BLE001 - of the library's
            raise web.HTTPBadRequest(
                text="Request parameter invoice couldn't be parsed/converted to bolt11invoice"
            ) from None
        said = _long(form, "amountSat")
        amount = said * SAT if said is not None else asked.amount_msat
        if amount is None:
            raise web.HTTPBadRequest(text="Request parameter amountSat is missing")
        payment_hash = bytes.fromhex(asked.payment_hash)
        before = self.node.outgoing(payment_hash)
        if before is not None and before.state != "failed":
            words = {
                "succeeded": "this invoice has already been paid",
                "pending": "another payment is in progress for that invoice",
            }
            return _json({"paymentHash": asked.payment_hash, "reason": words[before.state]})
        payment = self.node.begin(text, payment_hash, amount)
        if not payment.over.is_set():
            await self.silence()
        await payment.over.wait()
        if payment.preimage is None:
            return _json({"paymentHash": asked.payment_hash, "reason": payment.reason})
        return _json({
            "recipientAmountSat": amount // SAT, "routingFeeSat": payment.fee // SAT, "paymentId": str(uuid.UUID(int=1)),
            "paymentHash": asked.payment_hash, "paymentPreimage": payment.preimage.hex(),
        })  # fmt: skip

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        for one in self.to_repeat:
            self._tell(one)
        self.to_repeat.clear()
        self.listening.set()
        async for _ in socket:
            pass
        self.sockets.remove(socket)
        return socket

    def _tell(self, invoice: Invoice) -> None:
        event = {
            "type": "payment_received", "timestamp": self.node.now, "amountSat": invoice.received // SAT,
            "paymentHash": invoice.payment_hash.hex(),
        }  # fmt: skip
        for socket in self.sockets:
            asyncio.get_running_loop().create_task(socket.send_str(json.dumps(event)))

    def _shown(self, one: Invoice) -> dict[str, Any]:
        return _known({
            "type": "incoming_payment", "subType": "lightning", "paymentHash": one.payment_hash.hex(),
            "preimage": one.preimage.hex(), "description": one.memo, "invoice": one.bolt11, "isPaid": bool(one.settled),
            "isExpired": self.node.now > one.expires, "requestedSat": one.amount // SAT, "receivedSat": one.received // SAT,
            "fees": 0, "expiresAt": one.expires, "completedAt": one.settled or None, "createdAt": one.created,
        })  # fmt: skip


def _sent(one: Payment) -> dict[str, Any]:
    fees = one.fee if one.state == "succeeded" else 0
    return _known({
        "type": "outgoing_payment", "subType": "lightning", "paymentId": str(uuid.UUID(int=1)),
        "paymentHash": one.payment_hash.hex(), "preimage": one.preimage.hex() if one.preimage else None,
        "isPaid": one.state == "succeeded", "sent": (one.amount + fees) // SAT, "fees": fees, "invoice": one.bolt11,
        "completedAt": one.completed or None, "createdAt": one.created,
    })  # fmt: skip


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """It leaves out what is null."""
    return {key: value for key, value in fields.items() if value is not None}


def _json(body: object) -> web.Response:
    return web.json_response(body, dumps=lambda found: json.dumps(found, indent=4))


def _long(form: dict[str, str], name: str) -> int | None:
    if name not in form:
        return None
    try:
        return int(form[name])
    except ValueError:
        raise web.HTTPBadRequest(text=f"Request parameter {name} couldn't be parsed/converted to integer") from None


def _hash(request: web.Request) -> bytes:
    try:
        found = bytes.fromhex(request.match_info["hash"])
    except ValueError:
        found = b""
    if len(found) != 32:
        raise web.HTTPBadRequest(text="Request parameter paymentHash couldn't be parsed/converted to hex32")
    return found
