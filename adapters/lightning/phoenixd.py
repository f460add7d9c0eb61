"""`core.wallet.lightning.Lightning` on phoenixd, over its HTTP API (https://phoenix.acinq.co/server/api).

phoenixd pays a hash once: it looks into its own book first, one order after the other, and answers a second order for what is paid
or under way with a failure (lightning-kmp, `OutgoingPaymentHandler.sendPayment`). So the answer to an order is never the last word
here. Its book is, which also has the fee to the msat.

It takes no fee limit. Every payment goes through one node at one published price (`fee`), without a second try at a higher one
(phoenixd, `Lsp.kt`), so an order whose price is above the limit is refused beforehand.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.lightning.bolt11 import decode
from adapters.lightning.phoenixd_wire import BACKEND, SAID, Answered, Wire
from adapters.lightning.unheld import Unheld
from core.money import MSAT, format_cost, format_sats, to_msat
from core.wallet.lightning import (
    InvoiceState,
    NodeDown,
    NodeInfo,
    NodeInvoice,
    NotBegun,
    Outcome,
    PayState,
    Traits,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_BASE, _MILLIONTHS = 4 * MSAT, 4_000
_NETWORKS = {"mainnet": "bitcoin", "testnet": "testnet", "testnet3": "testnet"}
_LONGEST_MEMO = 128
"""UTF-16 units: phoenixd counts in them."""

_OVERLAP = 86_400_000
"""Ms that are looked at again: what came in is found by the node's own clock, which may be set back."""

_ASLEEP = frozenset({"Offline", "Syncing"})
"""States of a channel that cannot be used yet."""


def fee(amount: int) -> int:
    """What phoenixd takes for sending `amount` msat to anybody: 4 sats and 0.4 %."""
    return _BASE + amount * _MILLIONTHS // 1_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, for an answer; and how often to look for what no event told of."""

    connect: float = 5
    answer: float = 30
    look: float = 60


class Phoenixd(Unheld):
    """The phoenixd at `url`. `password` is its http-password; the limited one can take sats in, and not pay.

    What came in before `since` (Unix ms) is not told of: it is in the balance that a book opened with.
    """

    backend = BACKEND
    traits = Traits(hold=False, msat=False, track=True, stream=True, once=True)

    def __init__(
        self, url: str, password: str, *, since: int = 0, patience: Patience | None = None, page: int = 100
    ) -> None:
        self._patience = patience or Patience()
        self._wire = Wire(url, password, connect=self._patience.connect, answer=self._patience.answer)
        self._page = page
        self._since = since
        self._told = 0

    async def close(self) -> None:
        """See `Node`."""
        await self._wire.close()

    async def info(self) -> NodeInfo:
        """See `Node`. It is in step when it knows the best block, and none of its channels waits for its peer."""
        answer = await self._wire.get("/getinfo")
        chain, height = SAID.field(answer, "chain", str), SAID.field(answer, "blockHeight", int, 0)
        if chain not in _NETWORKS:
            raise SAID.down(f"it is on {chain[:40]}, which is no network of phoenixd's")
        states = [SAID.field(channel, "state", str) for channel in SAID.field(answer, "channels", list)]
        return NodeInfo(
            _NETWORKS[chain], SAID.field(answer, "nodeId", str), height, height > 0 and _ASLEEP.isdisjoint(states)
        )

    async def balance(self) -> int:
        """See `Node`. In whole sats, without its fee credit, which cannot be sent."""
        return to_msat(SAID.field(await self._wire.get("/getbalance"), "balanceSat", int))

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Receiver`. A memo is cut to 128 letters."""
        SAID.check(amount, self.traits)
        form = {"amountSat": str(amount // MSAT), "description": _cut(memo), "expirySeconds": str(expiry)}
        try:
            answer = await self._wire.post("/createinvoice", form)
        except Answered as refused:
            raise SAID.refused(str(refused)) from None
        made = SAID.invoice(SAID.field(answer, "serialized", str))
        if made.amount != amount or made.payment_hash.hex() != SAID.field(answer, "paymentHash", str):
            raise SAID.odd()
        return NodeInvoice(made.payment_hash, made.bolt11, amount, made.expires_at)

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        """See `Receiver`."""
        answer = await self._wire.get(f"/payments/incoming/{payment_hash.hex()}")
        if answer is None:
            return None
        SAID.check_hash(answer, "paymentHash", payment_hash)
        return _invoice(answer)

    async def settled(self, after: int) -> AsyncGenerator[NodeInvoice, None]:  # noqa: ARG002 - it keeps no such order
        """See `Receiver`. First all that ever came in, in a later call what came in since; then what comes.

        Who listens before looking misses nothing but what comes in while phoenixd gets ready to tell: so it looks again.
        """
        async with self._wire.events() as events:
            event: object = None
            while True:
                if event is None:
                    async with aclosing(self._came_in()) as came_in:
                        async for invoice in came_in:
                            yield invoice
                elif (found := await self.lookup(SAID.bytes32(event, "paymentHash"))) is not None:
                    yield found
                event = await events.next(self._patience.look)

    async def _came_in(self) -> AsyncGenerator[NodeInvoice, None]:
        """What was received since the last whole look of this kind, but for the overlap."""
        newest, start, offset = self._told, max(self._since, self._told - _OVERLAP), 0
        while True:
            query = {"from": str(start), "limit": str(self._page), "offset": str(offset)}
            rows = await self._wire.get("/payments/incoming", query)
            if not isinstance(rows, list):
                raise SAID.odd()
            for row in rows:
                newest = max(newest, SAID.field(row, "completedAt", int))
                yield _invoice(row)
            if len(rows) < self._page:
                break
            offset += len(rows)
        self._told = newest

    def least_fee(self, amount: int) -> int:
        """See `Node`: its one price."""
        return fee(amount)

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: float) -> Outcome:
        """See `Payer`. After `timeout` phoenixd goes on by itself; what it has not ended by then is in flight."""
        asked = decode(bolt11)
        form = {"invoice": asked.bolt11}
        if amount is not None:
            SAID.check(amount, self.traits)
            form["amountSat"] = str(amount // MSAT)
        _affordable(SAID.due(asked, amount), fee_limit)
        try:
            await self._ready(asked.payment_hash)
        except NodeDown as error:
            raise NotBegun(**error.facts) from error
        try:
            answer = await self._wire.post("/payinvoice", form, answer=timeout)
        except Answered as refused:
            raise SAID.refused(str(refused)) from None
        except TimeoutError:
            found = await self.track(asked.payment_hash)
            if found.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}:
                return found
            raise SAID.down(
                "it does not say whether it pays"
            ) from None  # a failure may be of an attempt before this one
        return await self._ended(asked.payment_hash, answer)

    async def _ready(self, payment_hash: bytes) -> None:
        """Raise `NodeRefused` for its own invoice, and while an order would wait in its queue, where no look could find it."""
        if await self.lookup(payment_hash) is not None:
            raise SAID.refused("the invoice is its own")
        if not (await self.info()).height:
            raise SAID.refused("it does not know the newest block yet; try again in a minute")

    async def _ended(self, payment_hash: bytes, answer: object) -> Outcome:
        """What became of an order that was answered, by its book: a failure may only mean that another order came first."""
        found = await self.track(payment_hash)
        if found.state not in {PayState.UNKNOWN, PayState.FAILED}:
            return found
        return Outcome(PayState.FAILED, why=SAID.field(answer, "reason", str))

    async def track(self, payment_hash: bytes) -> Outcome:
        """See `Payer`. Of several attempts phoenixd tells of the one that came furthest."""
        answer = await self._wire.get(f"/payments/outgoingbyhash/{payment_hash.hex()}")
        if answer is None:
            return Outcome(PayState.UNKNOWN)
        SAID.check_hash(answer, "paymentHash", payment_hash)
        if SAID.field(answer, "isPaid", bool):
            fees = SAID.field(answer, "fees", int)
            return Outcome(PayState.SUCCEEDED, SAID.bytes32(answer, "preimage"), _arrived(answer, fees), fees)
        if SAID.field(answer, "completedAt", int, 0):
            return Outcome(PayState.FAILED, why="it did not get through")
        return Outcome(PayState.IN_FLIGHT)


def _affordable(amount: int, fee_limit: int) -> None:
    if (price := fee(amount)) > fee_limit:
        limit, needed = format_sats(fee_limit), format_cost(price)
        raise SAID.refused(f"it takes {needed} to send {format_sats(amount)}, and the fee limit is {limit}")


def _arrived(answer: object, fees: int) -> int:
    """What the payee got, msat: the invoice's amount, or whole sats of ours. `sent` has the fee in it, cut to sats."""
    invoice = SAID.field(answer, "invoice", str, "")
    fixed = SAID.invoice(invoice).amount if invoice else None
    return fixed or -(-(to_msat(SAID.field(answer, "sent", int)) - fees) // MSAT) * MSAT


def _invoice(answer: object) -> NodeInvoice:
    """An incoming payment as it shows one. What came in without an invoice of BOLT 11 has neither text nor end.

    `receivedSat` is what was left after the price of a channel that had to be opened or made larger for it.
    """
    bolt11 = SAID.field(answer, "invoice", str, "")
    asked = SAID.invoice(bolt11) if bolt11 else None
    paid = SAID.field(answer, "isPaid", bool)
    return NodeInvoice(
        SAID.bytes32(answer, "paymentHash"), bolt11, (asked.amount if asked else None) or 0, asked.expires_at if asked else 0,
        InvoiceState.SETTLED if paid else InvoiceState.OPEN,
        max(0, to_msat(SAID.field(answer, "receivedSat", int))) if paid else 0,
    )  # fmt: skip


def _cut(memo: str) -> str:
    return memo.encode("utf-16-le")[: 2 * _LONGEST_MEMO].decode("utf-16-le", errors="ignore")
