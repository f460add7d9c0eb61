"""The service that sends sats out over Lightning: each payment survives any crash at any point, and is made once.

A caller waits a while for the end; the payment goes on without them. What a crash or a lost reply left unfinished is looked up at
the node, by its hash, until the node says how it ended (see `payment`).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from core.chat import one_line
from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats, to_sats
from core.store import NotWritten, patiently
from core.tokens import TokenTx
from core.wallet.invoices import SALES
from core.wallet.ledger import Entry, HoldState
from core.wallet.lightning import NodeDown, NodeRefused, NotBegun, Outcome, PayState
from core.wallet.limits import Path
from core.wallet.looks import Looks
from core.wallet.payment import (
    Next,
    PaidAlready,
    Payment,
    State,
    after_looking,
    check_free,
    check_payable,
    give_up,
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
    from core.wallet.payment import Booking

log = logging.getLogger(__name__)

PATIENCE_MS = 10_000
"""How long a caller waits for the end of a payment."""

NODE_SECONDS = 60
"""How long the node looks for a way."""

SILENT_MS = 1_000 * NODE_SECONDS + 10_000
"""After how long without an answer a payment is looked up, although its call has not come back."""

ROUTING = "fees:routing"


class PaysYourself(UserError):
    """This invoice is your own. Nothing was paid: the sats are yours already."""


class OwnGate(UserError):
    """This invoice is of what this hub sells to strangers. Nothing was paid: here you can just ask, or post it with /task."""


class CannotTakeBack(UserError):
    """This invoice is this hub's own, and its node ({backend}) cannot take it back. Pay the person: /pay ACTOR SATS."""


class NotOurInvoice(UserError):
    """This invoice has the payment hash of one of this hub's own, and is another: it was forged. Nothing was paid."""


class PaymentStore(Protocol):
    """Outgoing payments, inside one unit of work."""

    def find(self, payment_hash: bytes) -> Payment | None:
        """One by its hash, with its last attempt."""

    def before(self, payment_hash: bytes) -> Sequence[Payment]:
        """The attempts before the last, the newest first: each failed."""

    def put(self, payment: Payment) -> None:
        """Write it as it stands now; the attempt before it is kept."""

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


@dataclass(frozen=True, slots=True)
class _Turn:
    """A payment that is about to be made: whether its invoice is this hub's own.

    `first`: the node was not asked to make this attempt yet; `fresh`: nor any before it.
    """

    payment: Payment
    own: bool
    first: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class _Call:
    """A payment that is being made, since when (Unix ms); `ended` once its call is over and written."""

    since: int
    ended: asyncio.Event


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
        self._busy: dict[bytes, _Call] = {}
        self._waiting: dict[bytes, set[object]] = {}
        self._looks = Looks()
        self._wake = asyncio.Event()

    async def quote(self, order: Order) -> Quote:
        """What it would cost. Raises what makes it impossible: `BadInvoice`, `NodeDown`, and the errors of `payment`."""
        asked = await self._decode(order.bolt11)
        asked = replace(asked, description=one_line(asked.description))  # whoever wants sats wrote it
        info = await self._own.verified()
        check_payable(asked, info.network, self._clock.now())
        amount, limit = price(asked, order.amount, order.most, self._own.node.least_fee)
        return Quote(asked, amount, limit)

    async def known(self, key: str) -> Payment | None:
        """What an earlier run of the same command paid, as it stands after a while at most: whatever holds now, it was paid."""
        found = await self._store.read(lambda tx: _known(tx, key))
        return found if found is None or found.over else await self._ended(found)

    async def pay(self, order: Order) -> Payment:
        """Pay, once for each key, and return how it stands after a while at most.

        Raises what `quote` does, `PaidAlready`, `BeingPaid`, `PaysYourself`, `OwnGate`, `CannotTakeBack`, `NotEnoughSats`, and
        what the guard refuses.
        """
        if (known := await self.known(order.key)) is not None:
            return known
        quote = await self.quote(order)
        payment = await self._store.write(lambda tx: self._prepare(tx, order, quote))
        self._start(payment)
        return await self._ended(payment)

    def _prepare(self, tx: PaymentTx, order: Order, quote: Quote) -> Payment:
        """Set the sats aside and write the payment: nothing is sent or taken back before this is committed."""
        if (known := _known(tx, order.key)) is not None:
            return known
        before = tx.payments.find(quote.asked.payment_hash)
        if before is not None:
            check_free(quote.asked, [before, *tx.payments.before(before.payment_hash)], self._own.node)
        target = self._own.account
        if (invoice := tx.invoices.find(quote.asked.payment_hash)) is not None:
            self._check_own(order, invoice, quote.asked.bolt11)
            quote, target = replace(quote, fee_limit=0), invoice.account
        payment = _payment(order, quote, tx.now, 1 if before is None else before.attempt + 1)
        self._guard.spend(tx, order, payment)
        payment = replace(payment, hold=tx.ledger.hold(order.account, target, payment.most, None))
        tx.payments.put(payment)
        tx.mark(order.key, f"{payment.payment_hash.hex()}:{payment.attempt}")
        return payment

    def _check_own(self, order: Order, invoice: Invoice, bolt11: str) -> None:
        """Raise where an invoice of this hub's own cannot be paid: inside the books there is no receipt to buy something with."""
        if invoice.bolt11.lower() != bolt11.lower():
            raise NotOurInvoice  # anybody can sign one under any hash, for any amount
        if invoice.account == order.account:
            raise PaysYourself
        if invoice.account == SALES or order.path is Path.SERVICE:
            raise OwnGate
        if invoice.settled:
            raise PaidAlready
        if not self._own.node.traits.hold:
            raise CannotTakeBack(backend=self._own.node.backend)

    def _start(self, payment: Payment) -> None:
        """Send it, whoever waits for it or not."""
        if payment.over or payment.payment_hash in self._busy:
            return
        self._busy[payment.payment_hash] = _Call(self._clock.now(), asyncio.Event())
        self._spawner.spawn(self._send(payment), f"payment {payment.payment_hash.hex()[:8]}")
        self._wake.set()  # should the node not answer, it is looked up in time

    async def _send(self, payment: Payment) -> None:
        try:
            turn = await patiently(self._store, lambda tx: self._sending(tx, payment.payment_hash), self._clock)
            if turn is None:
                return
            if turn.own:
                await self._pay_inside(turn.payment)
            else:
                await self._book(turn.payment, await self._call(turn))
        finally:
            self._busy.pop(payment.payment_hash).ended.set()
            self._wake.set()

    def _sending(self, tx: PaymentTx, payment_hash: bytes) -> _Turn | None:
        """Commit that the node is about to be asked; None where it is not to be.

        What may have been sent is sent again only where the same hash is paid once, whatever was seen of it a moment ago.
        """
        payment = tx.payments.find(payment_hash)
        if payment is None or payment.over:
            return None
        own = tx.invoices.find(payment_hash) is not None
        first = payment.state is State.PREPARED
        if why := self._guard.halts(tx):
            if first:
                self.end(tx, payment, Outcome(PayState.FAILED, why=why))
            return None
        if first:
            payment = replace(payment, state=State.SENDING, begun=True)
            tx.payments.put(payment)
        elif not (own or self._own.node.traits.once):
            return None
        return _Turn(payment, own, first, first and not any(one.begun for one in tx.payments.before(payment_hash)))

    async def _call(self, turn: _Turn) -> Outcome:
        """Have the node pay. What it was never asked before, and certainly did not begin, has failed."""
        try:
            return await self._asked(turn)
        except NodeRefused as error:
            return Outcome(PayState.FAILED, why=str(error), begun=not turn.first)
        except NodeDown as error:
            self._own.doubt()
            if turn.fresh and isinstance(error, NotBegun):
                return Outcome(PayState.FAILED, why=str(error), begun=False)
            log.warning("the end of payment %s is not known: %s", turn.payment.payment_hash.hex()[:8], error)
            return Outcome(PayState.IN_FLIGHT)

    async def _asked(self, turn: _Turn) -> Outcome:
        """Ask the node to pay. Where it refuses a hash that it may have seen before, what became of it then is what counts."""
        payment, node = turn.payment, self._own.node
        try:
            amount = payment.amount if payment.chosen else None
            return await node.pay(payment.bolt11, amount, payment.fee_limit, NODE_SECONDS)
        except NodeRefused:
            if turn.fresh or not node.traits.track:
                raise
            seen = await node.track(payment.payment_hash)
            if seen.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}:
                return seen
            raise

    async def _pay_inside(self, payment: Payment) -> None:
        """Pay an invoice of this hub's: in the books, once the node will take nothing for it any more."""
        try:
            await self._own.node.cancel_invoice(payment.payment_hash)
        except NodeRefused as error:  # it was paid at the node, and the books may not know it yet
            await self._book(payment, Outcome(PayState.FAILED, why=str(error)))
        except NodeDown as error:
            self._own.doubt()
            log.warning("invoice %s may be open at the node: %s", payment.payment_hash.hex()[:8], error)
        else:
            await patiently(self._store, lambda tx: self._end_inside(tx, payment), self._clock)

    def _end_inside(self, tx: PaymentTx, payment: Payment) -> None:
        now = tx.payments.find(payment.payment_hash)
        invoice = tx.invoices.find(payment.payment_hash)
        if now is None or now.over:
            return
        if invoice is None or invoice.settled:
            self.end(tx, now, Outcome(PayState.FAILED, why="the invoice was paid already"))
            return
        after = replace(now, state=State.SUCCEEDED, why="", ended_at=tx.now)
        tx.payments.put(after)
        tx.ledger.close_hold(now.hold or 0, HoldState.POSTED)
        postings = ((now.account, -now.amount), (invoice.account, now.amount))
        tx.ledger.append(_entry(after, "inside", postings))
        tx.invoices.settle(invoice.payment_hash, now.amount, tx.now)
        tx.emit(Event(Kind.INVOICE_SETTLED, data={"invoice": now.payment_hash.hex(), "sats": to_sats(now.amount)}))
        self._over(tx, after, now.amount)

    async def _book(self, payment: Payment, outcome: Outcome) -> None:
        await patiently(self._store, lambda tx: self.end(tx, payment, outcome), self._clock)

    def end(self, tx: PaymentTx, payment: Payment, outcome: Outcome) -> None:
        """Write what the node said, and move the money if that was its last word."""
        now = tx.payments.find(payment.payment_hash)
        if now is not None and now.attempt == payment.attempt:
            self._write(tx, now, resolve(now, outcome, tx.now, tx.payments.before(now.payment_hash)))

    def give_up(self, tx: PaymentTx, payment: Payment, why: str) -> None:
        """Take a payment for failed, on an owner's word: its sats are free again."""
        now = tx.payments.find(payment.payment_hash)
        if now is not None and now.attempt == payment.attempt:
            self._write(tx, now, give_up(now, why, tx.now))

    def _write(self, tx: PaymentTx, now: Payment, booking: Booking) -> None:
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
        elif after.state is State.FAILED:
            tx.ledger.close_hold(now.hold or 0, HoldState.VOID)
        if after.over:
            self._over(tx, after, booking.sent)

    def _over(self, tx: PaymentTx, payment: Payment, sent: int) -> None:
        """Count what left, and tell of the end."""
        self._guard.spent(tx, payment, sent)
        data: dict[str, Json] = {
            "payment": payment.payment_hash.hex(),
            "sats": to_sats(payment.amount),
            "answered": bool(self._waiting.get(payment.payment_hash)),
        }
        kind = Kind.PAYMENT_SUCCEEDED if payment.state is State.SUCCEEDED else Kind.PAYMENT_FAILED
        tx.emit(Event(kind, data=data))

    async def _ended(self, payment: Payment) -> Payment:
        """The payment as it stands once it ended, or patience did.

        Whoever waits leaves in the line of writes: an end is written either before, and seen here, or after, and told as news.
        """
        digest = payment.payment_hash
        if (call := self._busy.get(digest)) is None:
            return await self._store.read(lambda tx: _stands(tx, payment))
        waiting, me = self._waiting.setdefault(digest, set()), object()
        waiting.add(me)

        def leave(tx: PaymentTx) -> Payment:
            waiting.discard(me)
            return _stands(tx, payment)

        try:
            await self._clock.until(self._clock.now() + PATIENCE_MS, call.ended)
            return await self._store.write(leave)
        except NotWritten:
            waiting.discard(me)
            return await self._store.read(lambda tx: _stands(tx, payment))
        finally:
            waiting.discard(me)
            if not waiting and self._waiting.get(digest) is waiting:
                del self._waiting[digest]

    async def run(self) -> None:
        """Follow what is unfinished to its end, for ever. Raises `NodeDown` and `OtherNode`."""
        while True:
            self._wake.clear()
            found = await self._store.read(lambda tx: tx.payments.unfinished())
            left = {one.payment_hash: one for one in found}
            due = self._looks.due(left, [one for one in left if self.under_way(one)], self._clock.now())
            if due:
                await self._own.verified()
            for payment_hash in due:
                self._looks.looked(payment_hash, self._clock.now())
                await self._look(left[payment_hash])
            times = [call.since + SILENT_MS for call in self._busy.values() if self._fresh(call)]
            if (following := self._looks.following()) is not None:
                times.append(following)
            await self._clock.until(min(times, default=None), self._wake)

    def under_way(self, payment_hash: bytes) -> bool:
        """Whether its call is on its way; one that has been silent for long is taken for lost, and may come back all the same."""
        call = self._busy.get(payment_hash)
        return call is not None and self._fresh(call)

    def _fresh(self, call: _Call) -> bool:
        return 0 <= self._clock.now() - call.since < SILENT_MS

    async def _look(self, payment: Payment) -> None:
        """Ask the node how a payment stands, and do what follows."""
        node = self._own.node
        digest = payment.payment_hash
        own, before = await self._store.read(lambda tx: (tx.invoices.find(digest), tx.payments.before(digest)))
        if own is not None:
            self._start(payment)
            return
        outcome = await node.track(digest) if node.traits.track else Outcome(PayState.UNKNOWN)
        if after_looking(payment, outcome, node.traits, before) is Next.SEND:
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
    """What was paid under a key: that attempt, whoever tried anew since."""
    if (done := tx.applied(key)) is None:
        return None
    digest, _, attempt = done.partition(":")
    found = tx.payments.find(bytes.fromhex(digest))
    return found if found is None or not attempt else _attempt(tx, found, int(attempt))


def _stands(tx: PaymentTx, payment: Payment) -> Payment:
    """An attempt as it stands now."""
    found = tx.payments.find(payment.payment_hash)
    return payment if found is None else _attempt(tx, found, payment.attempt)


def _attempt(tx: PaymentTx, last: Payment, number: int) -> Payment:
    return next((one for one in tx.payments.before(last.payment_hash) if one.attempt == number), last)


def _payment(order: Order, quote: Quote, now: int, attempt: int) -> Payment:
    asked = quote.asked
    return Payment(
        asked.payment_hash, asked.bolt11, order.account, asked.payee, quote.amount, asked.amount is None, quote.fee_limit,
        order.caller.recorded, order.conversation, order.reason or asked.description, asked.expires_at, now, attempt,
    )  # fmt: skip


def _entry(payment: Payment, kind: str, postings: tuple[tuple[str, int], ...]) -> Entry:
    digest = payment.payment_hash.hex()
    return Entry(f"payment:{digest}", kind, postings, None, payment.actor, payment.reason, payment.payment_hash)
