"""The server that stands in for LND refuses what LND refuses, in its words: or the tests on it would prove little."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.depth import first
from tests.fakes import EPOCH
from tests.lnd_node import Node
from tests.lnd_server import LndServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HASH = base64.b64encode(bytes(range(32))).decode()
ALL = ("info:read", "invoices:read", "invoices:write", "offchain:read", "offchain:write")
SEND, TRACK = "/v2/router/send", "/v2/router/track/"


class Asker:
    """Asks over bare HTTP."""

    def __init__(self, server: LndServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.node = server.node
        self._session = session
        self._all = server.bake(*ALL)

    async def ask(self, path: str, body: Any = None, macaroon: str | None = "") -> tuple[int, int, str]:
        """HTTP status, gRPC code, and what is said."""
        headers = {} if macaroon is None else {"Grpc-Metadata-macaroon": macaroon or self._all}
        method = "GET" if body is None else "POST"
        async with self._session.request(method, self.server.url + path, json=body, headers=headers) as answer:
            told = await answer.json()
        error = told.get("error", told)
        return answer.status, error.get("code", 0), error.get("message", "")


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    node = Node(lambda: EPOCH // 1000)
    async with LndServer.running(node) as server, aiohttp.ClientSession() as session:
        yield Asker(server, session)


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "said"),
    first(
        10,
        [
            ("/v1/invoices", {"value_msat": "1", "valeu": 1}, 400, 3, 'unknown field "valeu"'),
            ("/v1/invoices", {"value_msat": "1.5"}, 400, 3, "invalid value for int64"),
            ("/v1/invoices", {"value_msat": str(2**63)}, 400, 3, "invalid value for int64"),
            ("/v1/invoices", {"value_msat": "-1"}, 500, 2, "amount cannot be negative"),
            ("/v1/invoices", {"value_msat": "1", "value": "1"}, 500, 2, "mutually exclusive"),
            ("/v1/invoices", {"value_msat": "1", "memo": "x" * 1025}, 500, 2, "memo too large"),
            ("/v1/invoices", {"value_msat": "1", "expiry": "31536001"}, 500, 2, "greater than max expiry"),
            ("/v2/invoices/hodl", {"hash": "AAAA"}, 500, 2, "invalid hash length of 3, want 32"),
            ("/v2/invoices/hodl", {"hash": "?"}, 400, 3, "invalid value for bytes"),
            ("/v2/invoices/settle", {"preimage": "AAAA"}, 500, 2, "invalid preimage length of 3, want 32"),
            ("/v2/invoices/settle", {"preimage": HASH}, 500, 2, "unable to locate invoice"),
            ("/v2/invoices/cancel", {"payment_hash": HASH}, 500, 2, "unable to locate invoice"),
            ("/v2/invoices/lookup", None, 400, 3, "invoice ref must be set"),
            ("/v2/invoices/lookup?payment_hash=AAAA", None, 400, 3, "unable to parse pay hash"),
            ("/v2/invoices/lookup?payment_hash=!", None, 400, 3, "illegal base64"),
            (f"{TRACK}!", None, 400, 3, "illegal base64"),
            (f"{TRACK}AAAA", None, 500, 2, "invalid hash length of 3, want 32"),
            (SEND, {"payment_request": "lnbc1x", "timeout_seconds": 1}, 500, 2, "not for current active network"),
            (SEND, {"payment_request": "lnbcrt1x", "timeout_seconds": 1}, 500, 2, "checksum failed"),
            (SEND, {"payment_request": "lnbcrt1x"}, 500, 2, "timeout_seconds must be specified"),
            (SEND, {"timeout_seconds": 1}, 500, 2, "invalid vertex length"),
            (SEND, {"timeout_seconds": 1, "payment_hash": "?"}, 400, 3, "invalid value for bytes"),
            (SEND, {"timeout_seconds": 2**31}, 400, 3, "invalid value for int32"),
            ("/v1/channels/transactions", {"payment_request": "lnbcrt1x"}, 404, 5, "Not Found"),
            ("/v1/invoices", ["no object"], 400, 3, "syntax error"),
        ],
    ),
)
async def test_what_lnd_refuses(asker: Asker, path: str, body: Any, status: int, code: int, said: str) -> None:
    found = await asker.ask(path, body)
    assert found[:2] == (status, code)
    assert said in found[2]


async def test_a_macaroon_is_asked_for_and_must_allow_it(asker: Asker) -> None:
    assert await asker.ask("/v1/getinfo", macaroon=None) == (500, 2, "expected 1 macaroon, got 0")
    assert "signature mismatch" in (await asker.ask("/v1/getinfo", macaroon="0201"))[2]
    poor = asker.server.bake("info:read")
    assert (await asker.ask("/v1/getinfo", macaroon=poor))[0] == 200
    for path, body in (("/v1/balance/channels", None), (SEND, {}), ("/v1/invoices", {}), (f"{TRACK}{HASH}", None)):
        assert await asker.ask(path, body, poor) == (500, 2, "permission denied"), path


async def test_a_payment_is_refused_before_it_begins(asker: Asker) -> None:
    free, fixed = asker.node.ask(None, "", 0), asker.node.ask(5_000, "", 0)
    own = asker.node.add_invoice({"value_msat": "5000"}).bolt11

    async def send(bolt11: str, **more: Any) -> tuple[int, int, str]:
        return await asker.ask(
            SEND, {"payment_request": bolt11, "timeout_seconds": 1, "no_inflight_updates": True, **more}
        )

    assert "amount must be specified" in (await send(free))[2]
    assert "amount must not be specified" in (await send(fixed, amt_msat="5000"))[2]
    assert "mutually exclusive" in (await send(fixed, fee_limit_sat="1", fee_limit_msat="1"))[2]
    assert await send(own) == (500, 2, "self-payments not allowed")
    assert not asker.node.payments
    assert (await send(fixed))[0] == 200
    assert await send(fixed) == (409, 6, "invoice is already paid")
    late = asker.node.ask(5_000, "", 0)
    asker.node.now = lambda: EPOCH // 1000 + 3601
    assert "invoice expired" in (await send(late))[2]


async def test_an_invoice_is_made_and_ended_once(asker: Asker) -> None:
    made = asker.node.add_invoice({"value_msat": "5000"}, bytes(range(32)))
    assert "already exists" in (await asker.ask("/v2/invoices/hodl", {"hash": HASH, "value_msat": "1"}))[2]
    asker.node.pay_in(made.bolt11, None)
    assert (await asker.ask("/v2/invoices/cancel", {"payment_hash": HASH}))[0] == 200
    assert (await asker.ask("/v2/invoices/cancel", {"payment_hash": HASH}))[0] == 200
    paid = asker.node.add_invoice({"value_msat": "5000"})
    asker.node.pay_in(paid.bolt11, None)
    told = {"payment_hash": base64.b64encode(paid.payment_hash).decode()}
    assert await asker.ask("/v2/invoices/cancel", told) == (500, 2, "invoice already settled")
