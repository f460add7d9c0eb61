"""LND's REST, played on loopback from its documentation and source (lnrpc/*.yaml, *.proto, the gateway's conventions), strictly.

What LND refuses is refused here with its codes and words: macaroons that are missing or may not, fields that no message has,
base64 that is none. Faults come on request, each for one call. By hand it stands in for a node:
`python -m tests.lnd_server --port 8080` prints the settings that name it, and a peer of it for `make test-live`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pymacaroons import MACAROON_V2, Macaroon
from pymacaroons.serializers import BinarySerializer

from adapters.clockwork import SystemClock
from adapters.lightning.lnd_macaroons import PAYS, READS, RECEIVES
from tests.fakes import no_wait
from tests.lnd_messages import HOLD, INVOICE, SEND, b64, field, hash_of, message, of_body, of_url, parsed
from tests.lnd_node import INVALID, NOT_FOUND, UNKNOWN, Node, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.lnd_node import Invoice, Payment

_STATUS = {INVALID: 400, NOT_FOUND: 404, UNKNOWN: 500, 6: 409, 13: 500, 14: 503}
"""The gateway's HTTP status of each code (grpc-gateway, runtime/errors.go)."""

_STREAMS = ("/v2/router/", "/v1/invoices/subscribe")
"""Where the gateway gives an error as a line of the stream, unless it is its own about the request."""

_READ, _INVOICES, _INVOICES_READ = "offchain:read", "invoices:write", "invoices:read"


class Fate(Enum):
    """What becomes of the next answer, once the node has done what it was asked."""

    LOST = "the connection closes"
    SILENT = "nothing more comes"


@dataclass(frozen=True)
class Says:
    """Raw bytes in place of an answer; `open`: and then the connection stays open, `breaks`: closes in the middle."""

    body: bytes
    status: int = 200
    open: bool = False
    breaks: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any


class LndServer:
    """The server in front of a node: `async with LndServer.running(node)`."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.seen: list[Seen] = []
        self.url = ""
        self.repeats = False
        self.fates: list[Fate] = []
        self.says: dict[str, list[Says]] = {}
        self.silence: Callable[[], Awaitable[None]] = no_wait
        """Called where an answer, or the rest of one, is not to come."""

        self._rights: dict[str, frozenset[str]] = {}
        self._runner: web.AppRunner | None = None
        self._ssl: Any = None
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, node: Node, *, port: int = 0, ssl: Any = None) -> AsyncIterator[LndServer]:
        server = cls(node)
        server._port, server._ssl = port, ssl
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    async def start(self) -> None:
        """Listen, at the same place as before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._any)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._ssl).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._ssl else 'http'}://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Go away; what the node has, it keeps."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def bake(self, *permissions: str) -> str:
        """`lncli bakemacaroon`: hex. The identifier is bakery's version 3 and `MacaroonId`."""
        by_entity: dict[str, list[str]] = {}
        for permission in permissions:
            entity, _, action = permission.partition(":")
            by_entity.setdefault(entity, []).append(action)
        operations = b"".join(
            field(3, field(1, entity.encode()) + b"".join(field(2, action.encode()) for action in actions))
            for entity, actions in by_entity.items()
        )
        nonce = len(self._rights).to_bytes(16, "big")
        identifier = b"\x03" + field(1, nonce) + field(2, b"0") + operations
        made = Macaroon(location="lnd", identifier=identifier, key=b"root", version=MACAROON_V2)
        baked: str = BinarySerializer().serialize_raw(made).hex()
        self._rights[baked] = frozenset(permissions)
        return baked

    def three(self) -> tuple[str, str, str]:
        """The macaroons that docs/lightning.md tells to bake: read, receive, pay."""
        read, receive, pay = (self.bake(*(f"uri:{call}" for call in calls)) for calls in (READS, RECEIVES, PAYS))
        return read, receive, pay

    # The gateway ---------------------------------------------------------------------------------------------------

    async def _any(self, request: web.Request) -> web.StreamResponse:
        body = parsed(await request.text())
        self.seen.append(Seen(request.method, request.raw_path, request.query_string, dict(request.headers), body))
        if scripted := self.says.get(request.path):
            return await self._raw(request, scripted.pop(0))
        try:
            return await self._routed(request, body)
        except Refusal as refusal:
            told = {"code": refusal.code, "message": refusal.message, "details": []}
            streams = request.path.startswith(_STREAMS) and refusal.code != INVALID
            return await self._answer(request, {"error": told} if streams else told, _STATUS[refusal.code])

    async def _routed(self, request: web.Request, body: Any) -> web.StreamResponse:
        path = request.path
        if match := re.fullmatch(r"/v2/router/track/([^/]+)", path):
            payment_hash = of_url(match[1])
            self._allowed(request, _READ, "/routerrpc.Router/TrackPaymentV2")
            return await self._track(request, hash_of(payment_hash))
        routes: dict[tuple[str, str], Callable[[web.Request, Any], Awaitable[web.StreamResponse]]] = {
            ("GET", "/v1/getinfo"): self._getinfo,
            ("GET", "/v1/balance/channels"): self._balance,
            ("GET", "/v1/invoices"): self._list,
            ("POST", "/v1/invoices"): self._add,
            ("GET", "/v1/invoices/subscribe"): self._subscribe,
            ("GET", "/v2/invoices/lookup"): self._lookup,
            ("POST", "/v2/invoices/hodl"): self._hodl,
            ("POST", "/v2/invoices/settle"): self._settle,
            ("POST", "/v2/invoices/cancel"): self._cancel,
            ("POST", "/v2/router/send"): self._send,
        }
        if (route := routes.get((request.method, path))) is None:
            raise Refusal("Not Found", NOT_FOUND)
        return await route(request, body)

    def _allowed(self, request: web.Request, permission: str, call: str) -> None:
        """The interceptor's check (macaroons/service.go)."""
        given = request.headers.getall("Grpc-Metadata-macaroon", [])
        if len(given) != 1:
            raise Refusal(f"expected 1 macaroon, got {len(given)}")
        if (rights := self._rights.get(given[0])) is None:
            raise Refusal("verification failed: signature mismatch after caveat verification")
        if permission not in rights and f"uri:{call}" not in rights:
            raise Refusal("permission denied")

    async def _getinfo(self, request: web.Request, _: Any) -> web.StreamResponse:
        self._allowed(request, "info:read", "/lnrpc.Lightning/GetInfo")
        return await self._answer(request, {
            "version": "0.21.0-beta", "identity_pubkey": self.node.identity, "alias": "alice",
            "block_height": self.node.height, "synced_to_chain": self.node.synced, "synced_to_graph": True, "testnet": False,
            "chains": [{"chain": "bitcoin", "network": self.node.network}],
        })  # fmt: skip

    async def _balance(self, request: web.Request, _: Any) -> web.StreamResponse:
        self._allowed(request, _READ, "/lnrpc.Lightning/ChannelBalance")
        local = {"sat": str(self.node.local // 1000), "msat": str(self.node.local)}
        return await self._answer(request, {"balance": local["sat"], "local_balance": local})

    async def _list(self, request: web.Request, _: Any) -> web.StreamResponse:
        self._allowed(request, _INVOICES_READ, "/lnrpc.Lightning/ListInvoices")
        offset, most = (int(request.query.get(name, 0)) for name in ("index_offset", "num_max_invoices"))
        rows = [one for one in self.node.invoices.values() if one.add_index > offset][: most or 100]
        last = rows[-1].add_index if rows else 0
        first = rows[0].add_index if rows else 0
        told = {
            "invoices": [one.told() for one in rows],
            "last_index_offset": str(last),
            "first_index_offset": str(first),
        }
        return await self._answer(request, told)

    async def _add(self, request: web.Request, body: Any) -> web.StreamResponse:
        order = message(body, INVOICE)
        self._allowed(request, _INVOICES, "/lnrpc.Lightning/AddInvoice")
        made = self.node.add_invoice(order)
        return await self._answer(request, {"r_hash": b64(made.payment_hash), **_added(made)})

    async def _hodl(self, request: web.Request, body: Any) -> web.StreamResponse:
        order = message(body, HOLD)
        self._allowed(request, _INVOICES, "/invoicesrpc.Invoices/AddHoldInvoice")
        return await self._answer(
            request, _added(self.node.add_invoice(order, hash_of(of_body(order.get("hash", "")))))
        )

    async def _lookup(self, request: web.Request, _: Any) -> web.StreamResponse:
        if "payment_hash" not in request.query:
            raise Refusal("invoice ref must be set", INVALID)
        payment_hash = of_url(request.query["payment_hash"])
        self._allowed(request, _INVOICES, "/invoicesrpc.Invoices/LookupInvoiceV2")
        try:
            return await self._answer(request, self.node.lookup(hash_of(payment_hash)).told())
        except Refusal as refusal:
            if refusal.code == UNKNOWN:
                raise Refusal(f"unable to parse pay hash: {refusal.message}", INVALID) from None
            raise

    async def _settle(self, request: web.Request, body: Any) -> web.StreamResponse:
        order = message(body, {"preimage": "bytes"})
        self._allowed(request, _INVOICES, "/invoicesrpc.Invoices/SettleInvoice")
        self.node.settle(hash_of(of_body(order.get("preimage", "")), "preimage"))
        return await self._answer(request, {})

    async def _cancel(self, request: web.Request, body: Any) -> web.StreamResponse:
        order = message(body, {"payment_hash": "bytes"})
        self._allowed(request, _INVOICES, "/invoicesrpc.Invoices/CancelInvoice")
        self.node.cancel(hash_of(of_body(order.get("payment_hash", ""))))
        return await self._answer(request, {})

    async def _send(self, request: web.Request, body: Any) -> web.StreamResponse:
        order = message(body, SEND)
        self._allowed(request, "offchain:write", "/routerrpc.Router/SendPaymentV2")
        payment = self.node.send(order)
        return await self._follow(request, payment, 0, final_only=bool(order.get("no_inflight_updates")))

    async def _track(self, request: web.Request, payment_hash: bytes) -> web.StreamResponse:
        payment = self.node.track(payment_hash)
        final_only = request.query.get("no_inflight_updates") == "true"
        return await self._follow(request, payment, len(payment.changes) - 1, final_only=final_only)

    async def _follow(self, request: web.Request, payment: Payment, at: int, *, final_only: bool) -> web.StreamResponse:
        """Each state of a payment, to its end. Nothing is sent, no header either, before there is a line to send."""
        stream = Stream(request, self._meet)
        while True:
            changed = payment.changed
            for change in payment.changes[at:]:
                if not final_only or change["status"] != "IN_FLIGHT":
                    await stream.send(change)
            if payment.final:
                return await stream.end()
            at = len(payment.changes)
            if request.method == "POST":  # who only asks how it stands has read enough
                await self.silence()
            await changed.wait()

    async def _subscribe(self, request: web.Request, _: Any) -> web.StreamResponse:
        self._allowed(request, _INVOICES_READ, "/lnrpc.Lightning/SubscribeInvoices")
        backlog, queue = self.node.subscribe(int(request.query.get("settle_index", 0)))
        stream = Stream(request, self._meet)
        try:
            if self.repeats and len(backlog) > 1:
                self.repeats, backlog = False, [*backlog[:-2], backlog[-1], backlog[-2], backlog[-1], backlog[-1]]
            for invoice in backlog:
                await stream.send(invoice.told())
            while True:
                await stream.send((await queue.get()).told())
        finally:
            self.node.listeners.remove(queue)

    async def _meet(self, request: web.Request) -> None:
        """What becomes of this answer, or of the first line of one."""
        if not self.fates:
            return
        if self.fates.pop(0) is Fate.SILENT:
            await self.silence()
        elif request.transport is not None:
            request.transport.abort()
        await asyncio.Event().wait()  # until the client has gone

    async def _raw(self, request: web.Request, says: Says) -> web.StreamResponse:
        response = web.StreamResponse(status=says.status, headers=says.headers)
        await response.prepare(request)
        await response.write(says.body)
        if says.breaks and request.transport is not None:
            request.transport.abort()
        if says.open:
            await self.silence()
        if says.open or says.breaks:
            await asyncio.Event().wait()
        return response

    async def _answer(self, request: web.Request, told: dict[str, Any], status: int = 200) -> web.StreamResponse:
        await self._meet(request)
        return web.json_response(told, status=status)


class Stream:
    """Lines of `{"result": …}`; its headers go with the first."""

    def __init__(self, request: web.Request, meet: Callable[[web.Request], Awaitable[None]]) -> None:
        self._request = request
        self._meet = meet
        self._response: web.StreamResponse | None = None

    async def send(self, told: dict[str, Any]) -> None:
        await self._meet(self._request)
        if self._response is None:
            self._response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await self._response.prepare(self._request)
        await self._response.write(json.dumps({"result": told}).encode() + b"\n")

    async def end(self) -> web.StreamResponse:
        response = self._response or web.StreamResponse()
        await response.write_eof()
        return response


def _added(made: Invoice) -> dict[str, str]:
    return {"payment_request": made.bolt11, "add_index": str(made.add_index), "payment_addr": b64(bytes(32))}


async def _serve(port: int) -> None:
    clock = SystemClock()
    ours, theirs = (Node(lambda: clock.now() // 1000, name=name) for name in ("alice", "carol"))
    ours.connect(theirs)
    async with LndServer.running(ours, port=port) as server, LndServer.running(theirs) as peer:
        for start, one in (("TIMMY_LND", server), ("LIVE_PEER", peer)):
            print(f"export {start}_URL={one.url}")  # noqa: T201 - a program of its own
            for task, macaroon in zip(("READ", "RECEIVE", "PAY"), one.three(), strict=True):
                print(f"export {start}_MACAROON_{task}={macaroon}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


def main() -> None:
    """Stand in for two nodes with a channel until interrupted."""
    parser = argparse.ArgumentParser(description="Two nodes that speak LND's REST and exist nowhere else.")
    parser.add_argument("--port", type=int, default=8080)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
