"""The service that sends sats out over Lightning: each payment survives any crash at any point, and is made once.

A caller waits a while for the end; the payment goes on without them. What a crash or a lost reply left unfinished is looked up at
the node, by its hash, until the node says how it ended (see `payment`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats, to_sats
from core.store import patiently
from core.tokens import TokenTx
from core.wallet.ledger import Entry, HoldState
from core.wallet.lightning import NodeDown, NodeRefused, NotBegun, Outcome, PayState
from core.wallet.limits import Path
from core.wallet.payment import (
    BeingPaid,
    Next,
    PaidAlready,
    Payment,
    State,
    after_looking,
    check_payable,
    price,
    resolve,
)
from core.wallet.wallet import LedgerTx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.chat import Caller
    from core.events import Json
    from core.ports import Clock, Spawner
    from core.store import Store
    from core.wallet.invoices import Invoice, InvoiceStore
    from core.wallet.lightning import PaymentRequest
    from core.wallet.node import OwnNode

log = logging.getLogger(__name__)

PATIENCE_MS = 10_000
"""How long a caller waits for the end of a payment."""

NODE_SECONDS = 60
"""How long the node looks for a way."""

FIRST_LOOK_MS = 1_000
LAST_LOOK_MS = 60_000
"""How soon what is unfinished is looked up again: later and later."""

ROUTING = "fees:routing"


class PaysYourself(UserError):
    """This invoice is your own. Nothing was paid: the sats are yours already."""


class CannotTakeBack(UserError):
    """This invoice is this hub's own, and its node ({backend}) cannot take it back. Pay the person: /pay ACTOR SATS."""


class PaymentStore(Protocol):
    """Outgoing payments, inside one unit of work."""

    def find(self, payment_hash: bytes) -> Payment | None:
        """One by its hash."""

    def put(self, payment: Payment) -> None:
        """Write it as it stands now."""

    def unfinished(self) -> Sequence[Payment]:
        """Those that have not ended, oldest first."""


class PaymentTx(LedgerTx, TokenTx, Protocol):
    """A unit of work over the books, payments, invoices and limits, and who people are."""

    @property
    def payments(self) -> PaymentStore:
        """Payments."""

    @property
    def invoices(self) -> InvoiceStore:
        """Our own invoices."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid: from which account, on whose word, told where, once for each `key`. Amounts in msat.

    `path`: which limits count it; `by`: the account of whoever agreed, where that was another than the caller.
    """

    bolt11: str
    account: str
    caller: Caller
    conversation: str
    key: str
    amount: int | None = None
    most: int | None = None
    reason: str = ""
    path: Path = Path.PAYMENT
    by: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """What an order would send: the decoded invoice, its amount and the most that routing may take, msat."""

    asked: PaymentRequest
    amount: int
    fee_limit: int

    @property
    def most(self) -> int:
        """All that it may cost."""
        return self.amount + self.fee_limit


class Payments:
    """Pays, and follows what it began to its end. `guard` is asked in the unit of work that sets the sats aside, and may refuse."""

    def __init__(
        self,
        store: Store[PaymentTx],
        own: OwnNode,
        clock: Clock,
        spawner: Spawner,
        decode: Callable[[str], Awaitable[PaymentRequest]],
        guard: Guard,
    ) -> None:
        self._store = store
        self._own = own
        self._clock = clock
        self._spawner = spawner
        self._decode = decode
        self._guard = guard
        self._busy: dict[bytes, asyncio.Event] = {}
        self._awaited: Counter[bytes] = Counter()
        self._wake = asyncio.Event()

    async def quote(self, order: Order) -> Quote:
        """What it would cost. Raises what makes it impossible: `BadInvoice`, `NodeDown`, and the errors of `payment`."""
        asked = await self._decode(order.bolt11)
        info = await self._own.verified()
        check_payable(asked, info.network, self._clock.now())
        amount, limit = price(asked, order.amount, order.most, self._own.node.least_fee)
        return Quote(asked, amount, limit)

    async def pay(self, order: Order) -> Payment:
        """Pay, once for each key, and return how it stands after a while at most.

        Raises what `quote` does, `PaidAlready`, `BeingPaid`, `PaysYourself`, `NotEnoughSats`, and what the guard refuses.
        """
        if (known := await self._store.read(lambda tx: _known(tx, order.key))) is not None:
            return await self._ended(known)
        quote = await self.quote(order)
        if (invoice := await self._store.read(lambda tx: tx.invoices.find(quote.asked.payment_hash))) is not None:
            return await self._inside(order, quote, invoice)
        payment = await self._store.write(lambda tx: self._prepare(tx, order, quote))
        self._start(payment)
        return await self._ended(payment)

    def _prepare(self, tx: PaymentTx, order: Order, quote: Quote) -> Payment:
        """Set the sats aside and write the payment: nothing is sent before this is committed."""
        if (known := _known(tx, order.key)) is not None:
            return known
        before = tx.payments.find(quote.asked.payment_hash)
        _refuse_again(before)
        payment = _payment(order, quote, tx.now, 1 if before is None else before.attempt + 1)
        self._guard.spend(tx, order, payment)
        hold = tx.ledger.hold(order.account, self._own.account, payment.most, None)
        payment = replace(payment, hold=hold)
        tx.payments.put(payment)
        tx.mark(order.key, payment.payment_hash.hex())
        return payment

    async def _inside(self, order: Order, quote: Quote, invoice: Invoice) -> Payment:
        """Pay an invoice of this hub's: in the books, once the node will take nothing for it any more."""
        if invoice.account == order.account:
            raise PaysYourself
        if invoice.settled:
            raise PaidAlready
        node = self._own.node
        if not node.traits.hold:
            raise CannotTakeBack(backend=node.backend)
        try:
            await node.cancel_invoice(invoice.payment_hash)
        except NodeRefused as error:  # it was paid at the node, and the books do not know it yet
            raise PaidAlready from error
        return await self._store.write(lambda tx: self._book_inside(tx, order, quote))

    def _book_inside(self, tx: PaymentTx, order: Order, quote: Quote) -> Payment:
        if (known := _known(tx, order.key)) is not None:
            return known
        invoice = tx.invoices.find(quote.asked.payment_hash)
        if invoice is None or invoice.settled:
            raise PaidAlready
        before = tx.payments.find(invoice.payment_hash)
        _refuse_again(before)
        payment = _payment(order, quote, tx.now, 1 if before is None else before.attempt + 1)
        payment = replace(payment, fee_limit=0, state=State.SUCCEEDED, ended_at=tx.now)
        self._guard.spend(tx, order, payment)
        postings = ((order.account, -payment.amount), (invoice.account, payment.amount))
        tx.ledger.append(_entry(payment, "inside", postings))
        tx.payments.put(payment)
        tx.invoices.settle(invoice.payment_hash, payment.amount, tx.now)
        tx.mark(order.key, payment.payment_hash.hex())
        tx.emit(
            Event(Kind.INVOICE_SETTLED, data={"invoice": invoice.payment_hash.hex(), "sats": to_sats(payment.amount)})
        )
        return payment

    def _start(self, payment: Payment) -> None:
        """Send it, whoever waits for it or not."""
        if payment.over or payment.payment_hash in self._busy:
            return
        self._busy[payment.payment_hash] = asyncio.Event()
        self._spawner.spawn(self._send(payment), f"payment {payment.payment_hash.hex()[:8]}")

    async def _send(self, payment: Payment) -> None:
        try:
            sending = await patiently(self._store, lambda tx: self._sending(tx, payment.payment_hash), self._clock)
            if sending is not None:
                await self._book(sending, await self._call(sending, first=payment.state is State.PREPARED))
        finally:
            self._busy.pop(payment.payment_hash).set()
            self._wake.set()

    def _sending(self, tx: PaymentTx, payment_hash: bytes) -> Payment | None:
        """Commit that the node is about to be asked; None where it is not to be."""
        payment = tx.payments.find(payment_hash)
        if payment is None or payment.over:
            return None
        if payment.state is State.PREPARED:
            if why := self._guard.halts(tx):
                self._end(tx, payment, Outcome(PayState.FAILED, why=why))
                return None
            payment = replace(payment, state=State.SENDING)
            tx.payments.put(payment)
        return payment

    async def _call(self, payment: Payment, *, first: bool) -> Outcome:
        """Have the node pay. What was `first` ordered now, and certainly not begun, has failed."""
        try:
            amount = payment.amount if payment.chosen else None
            return await self._own.node.pay(payment.bolt11, amount, payment.fee_limit, NODE_SECONDS)
        except NodeRefused as error:
            return Outcome(PayState.FAILED, why=str(error))
        except NodeDown as error:
            self._own.doubt()
            if first and isinstance(error, NotBegun):
                return Outcome(PayState.FAILED, why=str(error))
            log.warning("a payment's end is not known: %s", error)
            return Outcome(PayState.IN_FLIGHT)

    async def _book(self, payment: Payment, outcome: Outcome) -> None:
        await patiently(self._store, lambda tx: self._end(tx, payment, outcome), self._clock)

    def _end(self, tx: PaymentTx, payment: Payment, outcome: Outcome) -> None:
        """Write what the node said, and move the money if that was its last word."""
        now = tx.payments.find(payment.payment_hash)
        if now is None or now.attempt != payment.attempt:
            return
        booking = resolve(now, outcome, tx.now)
        after = booking.payment
        if after == now:
            return
        tx.payments.put(after)
        if after.state is State.SUCCEEDED:
            tx.ledger.close_hold(now.hold or 0, HoldState.POSTED)
            postings = [(now.account, booking.beyond - booking.sent), (self._own.account, booking.sent)]
            if booking.beyond:
                log.error("the node took %s more than it was allowed", format_sats(booking.beyond))
                postings.append((ROUTING, -booking.beyond))
            tx.ledger.append(_entry(after, "payment", tuple(postings)))
            self._guard.spent(tx, after, booking.sent)
        elif after.state is State.FAILED:
            tx.ledger.close_hold(now.hold or 0, HoldState.VOID)
            self._guard.spent(tx, after, 0)
        if after.over:
            kind = Kind.PAYMENT_SUCCEEDED if after.state is State.SUCCEEDED else Kind.PAYMENT_FAILED
            answered = self._awaited[after.payment_hash] > 0
            data: dict[str, Json] = {
                "payment": after.payment_hash.hex(),
                "sats": to_sats(after.amount),
                "answered": answered,
            }
            tx.emit(Event(kind, data=data))

    async def _ended(self, payment: Payment) -> Payment:
        """The payment as it stands once it ended, or patience did."""
        ended = self._busy.get(payment.payment_hash)
        if ended is not None:
            self._awaited[payment.payment_hash] += 1
            try:
                await self._clock.until(self._clock.now() + PATIENCE_MS, ended)
            finally:
                self._awaited[payment.payment_hash] -= 1
        return await self._store.read(lambda tx: tx.payments.find(payment.payment_hash)) or payment

    async def run(self) -> None:
        """Follow what is unfinished to its end, for ever. Raises `NodeDown` and `OtherNode`."""
        pause = FIRST_LOOK_MS
        while True:
            self._wake.clear()
            found = await self._store.read(lambda tx: tx.payments.unfinished())
            left = [payment for payment in found if payment.payment_hash not in self._busy]
            if left:
                await self._own.verified()
            for payment in left:
                await self._look(payment)
            if not left:
                pause = FIRST_LOOK_MS
            await self._clock.until(self._clock.now() + pause if left else None, self._wake)
            pause = min(pause * 2, LAST_LOOK_MS)

    async def _look(self, payment: Payment) -> None:
        """Ask the node how a payment stands, and do what follows."""
        node = self._own.node
        if node.traits.track:
            outcome = await node.track(payment.payment_hash)
        else:
            outcome = Outcome(PayState.UNKNOWN)
        if after_looking(payment, outcome, node.traits) is Next.SEND:
            self._start(payment)
        else:
            await self._book(payment, outcome)


class Guard(Protocol):
    """The limits, as payments ask them inside a unit of work."""

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        """Count what is about to be set aside. Raises `Refused` or `UserError` where it may not be."""

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        """Count what really left, msat: 0 where the payment failed."""

    def halts(self, tx: PaymentTx) -> str:
        """Why nothing may leave now; empty if it may."""


def _known(tx: PaymentTx, key: str) -> Payment | None:
    done = tx.applied(key)
    return None if done is None else tx.payments.find(bytes.fromhex(done))


def _refuse_again(before: Payment | None) -> None:
    """Raise where an invoice was paid or is being paid; what failed may be tried anew."""
    if before is not None and before.state is State.SUCCEEDED:
        raise PaidAlready
    if before is not None and not before.over:
        raise BeingPaid


def _payment(order: Order, quote: Quote, now: int, attempt: int) -> Payment:
    asked = quote.asked
    return Payment(
        asked.payment_hash, asked.bolt11, order.account, asked.payee, quote.amount, asked.amount is None, quote.fee_limit,
        order.caller.recorded, order.conversation, order.reason or asked.description, asked.expires_at, now, attempt,
    )  # fmt: skip


def _entry(payment: Payment, kind: str, postings: tuple[tuple[str, int], ...]) -> Entry:
    digest = payment.payment_hash.hex()
    return Entry(f"payment:{digest}", kind, postings, None, payment.actor, payment.reason, payment.payment_hash)
