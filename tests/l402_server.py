"""A shop of our own making that sells by L402, over real loopback HTTP, with really signed invoices; and its buyer's payments.

Tests script its faults. What it sells is at `/page`; a token is good for `calls` answers there. `Payments` is what a hub's payments
are to the client under test: it survives its hub, pays each invoice once, and counts.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web
from bolt11 import Bolt11, MilliSatoshi, Tag, TagChar, Tags, decode, encode

from core.errors import Unavailable
from core.wallet.lightning import BadInvoice, Outcome, PaymentRequest, PayState
from tests.fakes import EPOCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"
"""The secret key of BOLT 11's examples."""

HOUR = 3600


def signed(preimage: bytes, msat: int | None, *, prefix: str = "bcrt", at: int = EPOCH, expiry: int = HOUR) -> str:
    """An invoice whose receipt is `preimage`; `at` in Unix ms."""
    tags = Tags()
    tags.tags = [
        Tag(TagChar.payment_hash, hashlib.sha256(preimage).hexdigest()),
        Tag(TagChar.payment_secret, "00" * 32),
        Tag(TagChar.description, "a page"),
        Tag(TagChar.expire_time, expiry),
    ]
    amount = None if msat is None else MilliSatoshi(msat)
    return encode(Bolt11(currency=prefix, date=at // 1000, tags=tags, amount_msat=amount), KEY)


def read_invoice(text: str) -> PaymentRequest:
    """What `adapters/lightning` does, with the library alone."""
    try:
        found = decode(text)
    except Exception as error:
        raise BadInvoice(why=str(error)) from error
    expires = (found.date + (found.expiry or HOUR)) * 1000
    amount = None if found.amount_msat is None else int(found.amount_msat)
    return PaymentRequest(
        text,
        found.currency,
        bytes.fromhex(found.payment_hash),
        found.payee or "",
        amount,
        found.description or "",
        expires,
    )


@dataclass
class Shop:
    """The server. Each field is what it does from now on."""

    price: int = 100_000
    calls: int = 1000
    prefix: str = "bcrt"
    expiry: int = HOUR
    header: str = 'L402 macaroon="{token}", invoice="{invoice}", version="0", token="{token}"'
    body: bytes = b"the page\x1b[2J that was paid for"
    kind: str = "text/plain"
    greedy: bool = False
    lose: int = 0
    status: int = 0
    location: str = "/page"
    asked: list[str] = field(default_factory=list)
    preimages: dict[bytes, bytes] = field(default_factory=dict)
    invoices: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    url: str = ""
    at: int = EPOCH
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Shop]:
        """Serve on a free port until the block ends."""
        shop = cls()
        runner = web.ServerRunner(web.Server(shop._serve), shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield shop
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        said = request.headers.get("Authorization", "")
        self.asked.append(said)
        if request.path.startswith("/moved"):
            return web.Response(status=302, headers={"Location": self.location})
        if self.status:
            return web.Response(status=self.status)
        if not self._paid(said):
            return self._challenge()
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.close()
        return web.Response(body=self.body, content_type=self.kind)

    def _paid(self, said: str) -> bool:
        if self.price == 0:
            return True
        token, _, receipt = said.partition(" ")[2].partition(":")
        if self.greedy or self.left.get(token, 0) < 1:
            return False
        serial = int(base64.b64decode(token))
        if hashlib.sha256(bytes.fromhex(receipt)).digest() != hashlib.sha256(_preimage(serial)).digest():
            return False
        self.left[token] -= 1
        return True

    def _challenge(self) -> web.Response:
        serial = next(self._numbers)
        token, preimage = base64.b64encode(b"%032d" % serial).decode(), _preimage(serial)
        invoice = signed(preimage, self.price, prefix=self.prefix, at=self.at, expiry=self.expiry)
        self.preimages[hashlib.sha256(preimage).digest()] = preimage
        self.invoices.append(invoice)
        self.left[token] = self.calls
        return web.Response(
            status=402,
            headers={"WWW-Authenticate": self.header.format(token=token, invoice=invoice)},
            text="1 sat only!",
        )


def _preimage(serial: int) -> bytes:
    return hashlib.sha256(b"preimage %d" % serial).digest()


class NodeSilent(Unavailable):
    """The node does not answer."""


@dataclass
class Payments:
    """`core.wallet.buying.Pays`, and the money that left. `fate`: how the next payment goes on."""

    shop: Shop
    paid: list[bytes] = field(default_factory=list)
    books: dict[bytes, Outcome] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    fate: PayState = PayState.SUCCEEDED
    loses_reply: bool = False
    routing: int = 0

    async def cost(self, account: str, bolt11: str) -> int:
        return (read_invoice(bolt11).amount or 0) + self.routing

    async def pay_invoice(self, account: str, bolt11: str, most: int, key: str, reason: str, by: str) -> bytes:
        request = read_invoice(bolt11)
        assert request.amount is not None
        assert request.amount <= most
        self.reasons.append(reason)
        known = self.books.get(request.payment_hash)
        if known is None and self.fate is PayState.UNKNOWN:
            raise NodeSilent
        if known is None or known.state is PayState.IN_FLIGHT:
            self._book(request.payment_hash)
        outcome = self.books[request.payment_hash]
        if outcome.preimage is None or self.loses_reply:
            self.loses_reply = False
            raise NodeSilent
        return outcome.preimage

    def _book(self, payment_hash: bytes) -> None:
        if self.fate is PayState.SUCCEEDED:
            self.paid.append(payment_hash)
        preimage = self.shop.preimages[payment_hash] if self.fate is PayState.SUCCEEDED else None
        self.books[payment_hash] = Outcome(self.fate, preimage)

    async def outcome(self, _: str, payment_hash: bytes) -> Outcome:
        return self.books.get(payment_hash, Outcome(PayState.UNKNOWN))
