"""A Lightning node for tests that obeys the port and misbehaves on request, and remembers what really happened.

It lives outside the hub: `Line` is the connection of one life of a hub, over which nothing has an effect once that life is over.
Invoices are plain text that `decode` reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from core.wallet.lightning import (
    BadInvoice,
    InvoiceState,
    NodeDown,
    NodeInfo,
    NodeInvoice,
    NodeRefused,
    Outcome,
    PaymentRequest,
    PayState,
    Traits,
)
from tests.fakes import EPOCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from core.ports import Clock

START = 2_200_000_000_000_000_000
"""msat: more than there are, so that anything can be paid."""
WHOLE = Traits(hold=True, msat=True, track=True, stream=True, once=True)
EXPIRY_MS = 3_600_000
PAYEE = "03bb"


class Fault(StrEnum):
    """What goes wrong with a call."""

    LOST_BEFORE = "it never arrives"
    LOST_AFTER = "it is done, and the answer is lost"
    DELAYED = "it is given up, and arrives later"
    HANGS = "it is done, and the answer comes after the deadline"
    IN_FLIGHT = "it comes to no end yet"
    REFUSED = "the node refuses"
    NO_ROUTE = "it fails for good"
    NO_RECEIPT = "it is said to have been paid, without a receipt"
    WRONG_RECEIPT = "it is said to have been paid, with a wrong receipt"
    FEE_ABOVE = "more is taken than was allowed"
    ABSURD = "it is said to have cost more than there is"
    LIES = "it is said to have failed, and is paid later"
    UNKNOWN = "the node has forgotten it for a while"
    KILL_BEFORE = "the hub dies before it"
    KILL_AFTER = "the hub dies after it"


@dataclass
class Ask:
    """What an outside node asks for: `amount` msat (None: the payer's choice), `fee` msat away."""

    bolt11: str
    preimage: bytes
    amount: int | None
    fee: int


@dataclass
class Twin:
    """The node and the world beyond it. Amounts in msat."""

    clock: Clock
    traits: Traits = WHOLE
    backend: str = "simulated"
    who: NodeInfo = field(default_factory=lambda: NodeInfo("simulated", "02aa", 1, synced=True))
    balance: int = START
    down: bool = False
    refuses_known: bool = False
    """Whether it refuses a hash that it has seen, as some do."""
    lie: int = 0
    """What it says that it has beyond what it has."""
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    asks: dict[str, Ask] = field(default_factory=dict)
    payments: dict[bytes, Outcome] = field(default_factory=dict)
    left: dict[bytes, list[int]] = field(default_factory=dict)
    """What really left for each hash, fee included: one number for each time."""
    invoices: dict[bytes, NodeInvoice] = field(default_factory=dict)
    preimages: dict[bytes, bytes] = field(default_factory=dict)
    settlements: list[NodeInvoice] = field(default_factory=list)
    news: list[NodeInvoice] = field(default_factory=list)
    """What the stream says next. A new one begins with all settlements after the one that it is asked for."""
    on_the_way: list[tuple[str, int | None, int]] = field(default_factory=list)
    lied: set[bytes] = field(default_factory=set)
    """Payments that it said had failed, while they had not."""
    hung: list[asyncio.Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _count: itertools.count[int] = field(default_factory=itertools.count)

    # The world beyond it -----------------------------------------------------------------------------------------

    def outside_asks(
        self,
        amount: int | None,
        fee: int = 0,
        like: str | None = None,
        expires_at: int | None = None,
        payee: str = PAYEE,
    ) -> str:
        """A new invoice of the world; `like`: under the payment hash of this one; `payee`: whoever signs it."""
        preimage = self.asks[like].preimage if like else self._secret("outside")
        digest = hashlib.sha256(preimage).digest()
        ends = self.clock.now() + EXPIRY_MS if expires_at is None else expires_at
        bolt11 = f"lnbcrt1/{digest.hex()}/{'' if amount is None else amount}/{ends}/{next(self._count)}@{payee}"
        self.asks[bolt11] = Ask(bolt11, preimage, amount, fee)
        return bolt11

    def outside_pays(self, payment_hash: bytes, received: int | None = None, told: int = 1) -> bool:
        """An invoice of ours is paid, if it can be, and the stream tells of it so many times."""
        found = self.invoices[payment_hash]
        if found.state is not InvoiceState.OPEN or found.expires_at <= self.clock.now():
            return False
        amount = found.amount if received is None else received
        if self.balance + amount > 2 * START:
            return False  # there are no more sats in the world
        done = replace(found, state=InvoiceState.SETTLED, received=amount, index=len(self.settlements) + 1)
        self.invoices[payment_hash] = done
        self.balance += amount
        self.settlements.append(done)
        self.news += [done] * told
        return True

    def push(self) -> None:
        """Streams say what there is to say."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def land(self, payment_hash: bytes, *, well: bool) -> None:
        """What is in flight comes to its end."""
        before = self.payments[payment_hash]
        if well:
            preimage = next(ask.preimage for ask in self.asks.values() if _hash(ask.bolt11) == payment_hash)
            self.payments[payment_hash] = before._replace(state=PayState.SUCCEEDED, preimage=preimage)
        else:
            self.payments[payment_hash] = Outcome(PayState.FAILED, why="it came back")
            self.balance += self.left[payment_hash].pop()

    def arrive(self) -> None:
        """What was delayed arrives."""
        waiting, self.on_the_way = self.on_the_way, []
        for one in waiting:
            with suppress(NodeRefused):
                self.send(*one)

    def release(self) -> None:
        """Answers that were late come."""
        hung, self.hung = self.hung, []
        for one in hung:
            one.set()

    def sent(self, payment_hash: bytes) -> int:
        """What left for a hash, all in all."""
        return sum(self.left.get(payment_hash, ()))

    def fail(self, call: str, *faults: Fault) -> None:
        """What the next calls of a kind meet, one after the other."""
        self.faults.setdefault(call, deque()).extend(faults)

    # What it does ------------------------------------------------------------------------------------------------

    def send(self, bolt11: str, amount: int | None, fee_limit: int, fault: Fault | None = None) -> Outcome:
        """A payment as the node does it: a hash that was sent and has not failed is only looked at, where it pays once."""
        digest = _hash(bolt11)
        if digest in self.invoices:
            raise NodeRefused(backend=self.backend, why="it is its own")
        ask = self.asks[bolt11]
        self.on_the_way, early = [one for one in self.on_the_way if _hash(one[0]) != digest], self.on_the_way
        for one in early:
            if _hash(one[0]) == digest:
                self.send(*one)
        before = self.payments.get(digest)
        if before is not None and before.state is not PayState.FAILED and self.traits.once:
            return before
        if fault is Fault.REFUSED or decode(bolt11).expires_at <= self.clock.now():
            raise NodeRefused(backend=self.backend, why="it does not like it")
        whole = ask.amount if ask.amount is not None else amount
        assert whole is not None, "no amount, and none to choose"
        assert ask.amount is None or amount is None, "an amount where there is one"
        fee = fee_limit + 5_000 if fault is Fault.FEE_ABOVE else ask.fee
        if fault is Fault.NO_ROUTE or (fee > fee_limit and fault is not Fault.FEE_ABOVE):
            self.payments[digest] = Outcome(PayState.FAILED, why="there is no way")
            return self.payments[digest]
        self.balance -= whole + fee
        self.left.setdefault(digest, []).append(whole + fee)
        flying = fault in {Fault.IN_FLIGHT, Fault.LIES}
        done = Outcome(PayState.SUCCEEDED, ask.preimage, whole, fee)
        self.payments[digest] = done._replace(state=PayState.IN_FLIGHT, preimage=None) if flying else done
        return self.payments[digest]

    def _secret(self, what: str) -> bytes:
        return hashlib.sha256(f"{what} {next(self._count)}".encode()).digest()


class Line:
    """See `core.wallet.lightning.Lightning`: one hub's connection to the twin. `dies` ends that hub's life at once."""

    def __init__(self, twin: Twin, dies: Callable[[], object] = bool, dead: Callable[[], object] = bool) -> None:
        self.twin = twin
        self._dies = dies
        self._dead = dead

    @property
    def backend(self) -> str:
        return self.twin.backend

    @property
    def traits(self) -> Traits:
        return self.twin.traits

    async def _begin(self, call: str) -> Fault | None:
        """The call reaches the node, or does not; returns what befalls it."""
        if self._dead():
            await asyncio.Event().wait()
        self.twin.calls[call] += 1
        planned = self.twin.faults.get(call)
        fault = planned.popleft() if planned else None
        if fault is Fault.KILL_BEFORE:
            self._dies()
        if fault is Fault.LOST_BEFORE or self.twin.down:
            raise NodeDown(backend=self.backend, why="it does not answer")
        return fault

    def _end(self, fault: Fault | None) -> None:
        """The answer comes back, or does not."""
        if fault is Fault.KILL_AFTER:
            self._dies()
        if fault is Fault.LOST_AFTER:
            raise NodeDown(backend=self.backend, why="the answer was lost")

    def least_fee(self, amount: int) -> int:
        return 0

    async def info(self) -> NodeInfo:
        self._end(await self._begin("info"))
        return self.twin.who

    async def balance(self) -> int:
        self._end(await self._begin("balance"))
        return self.twin.balance + self.twin.lie

    async def close(self) -> None:
        """Nothing to close."""

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        fault = await self._begin("create")
        twin = self.twin
        preimage = twin._secret("ours")
        digest = hashlib.sha256(preimage).digest()
        ends = twin.clock.now() + 1000 * expiry
        made = NodeInvoice(digest, f"lnbcrt1/{digest.hex()}/{amount}/{ends}/ours", amount, ends)
        twin.invoices[digest], twin.preimages[digest] = made, preimage
        self._end(fault)
        return made

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        self._end(await self._begin("lookup"))
        return self.twin.invoices.get(payment_hash)

    async def settled(self, after: int) -> AsyncIterator[NodeInvoice]:
        await self._begin("settled")
        twin = self.twin
        twin.news = [one for one in twin.settlements if one.index > after]
        while True:
            changed = twin.changed
            while twin.news:
                one = twin.news.pop(0)
                self._end(await self._begin("settlement"))
                yield one
            await changed.wait()

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        fault = await self._begin("pay")
        if self.twin.refuses_known and _hash(bolt11) in self.twin.payments:
            raise NodeRefused(backend=self.backend, why="it has it already")
        if fault is Fault.DELAYED:
            self.twin.on_the_way.append((bolt11, amount, fee_limit))
            raise NodeDown(backend=self.backend, why="it takes too long")
        outcome = self.twin.send(bolt11, amount, fee_limit, fault)
        if fault is Fault.LIES and outcome.state is PayState.IN_FLIGHT:
            self.twin.lied.add(_hash(bolt11))
        if fault is Fault.HANGS:
            self.twin.hung.append(asyncio.Event())
            await self.twin.hung[-1].wait()
        self._end(fault)
        return _said(outcome, fault)

    async def track(self, payment_hash: bytes) -> Outcome:
        fault = await self._begin("track")
        self._end(fault)
        outcome = self.twin.payments.get(payment_hash, Outcome(PayState.UNKNOWN))
        return Outcome(PayState.UNKNOWN) if fault is Fault.UNKNOWN else _said(outcome, fault)

    async def create_hold(self, payment_hash: bytes, amount: int, memo: str, expiry: int) -> NodeInvoice:
        raise NotImplementedError

    async def settle_hold(self, preimage: bytes) -> None:
        raise NotImplementedError

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        fault = await self._begin("cancel")
        found = self.twin.invoices.get(payment_hash)
        if found is None or found.state is InvoiceState.SETTLED:
            raise NodeRefused(backend=self.backend, why="the invoice is settled")
        self.twin.invoices[payment_hash] = replace(found, state=InvoiceState.CANCELLED)
        self._end(fault)


def _said(outcome: Outcome, fault: Fault | None) -> Outcome:
    """What the node says of a payment that stands so."""
    if fault is Fault.LIES and outcome.state is PayState.IN_FLIGHT:
        return Outcome(PayState.FAILED, why="it says so")
    if outcome.state is not PayState.SUCCEEDED:
        return outcome
    match fault:
        case Fault.NO_RECEIPT:
            return outcome._replace(preimage=None)
        case Fault.WRONG_RECEIPT:
            return outcome._replace(preimage=bytes(32))
        case Fault.ABSURD:
            return outcome._replace(fee=2**63)
        case _:
            return outcome


def _hash(bolt11: str) -> bytes:
    return bytes.fromhex(bolt11.split("/")[1])


def decode(bolt11: str) -> PaymentRequest:
    """Read an invoice of the twin's. Raises `BadInvoice`."""
    try:
        _, digest, amount, ends, signed = bolt11.split("/")
    except ValueError:
        raise BadInvoice(why="it is none") from None
    asked = int(amount) if amount else None
    payee = signed.partition("@")[2] or PAYEE
    return PaymentRequest(bolt11, "bcrt", bytes.fromhex(digest), payee, asked, "a test", int(ends or EPOCH))


async def reading(bolt11: str) -> PaymentRequest:
    """`decode`, as the wallet is given it."""
    return decode(bolt11)
