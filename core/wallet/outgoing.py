"""What is written about sats that go out over Lightning, each time in one unit of work: rows, what is set aside, entries, limits.

Nothing here asks a node or waits; `payments` does, and says here what came of it. The rules of a single payment are in `payment`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import UserError
from core.events import Event, Kind
from core.money import format_sats, to_sats
from core.tokens import TokenTx
from core.wallet.invoices import SALES
from core.wallet.ledger import Entry, HoldState, NotEnoughSats
from core.wallet.lightning import Outcome, PayState
from core.wallet.limits import Path
from core.wallet.payment import PaidAlready, Payment, State, check_free, give_up, resolve
from core.wallet.wallet import LedgerTx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.chat import Caller
    from core.events import Json
    from core.wallet.held import HoldStore
    from core.wallet.invoices import Invoice, InvoiceStore
    from core.wallet.lightning import PaymentRequest
    from core.wallet.node import OwnNode
    from core.wallet.payment import Booking

log = logging.getLogger(__name__)

ROUTING = "fees:routing"


class PaysYourself(UserError):
    """This invoice is your own. Nothing was paid: the sats are yours already."""


class OwnGate(UserError):
    """This invoice is of what this hub sells to strangers. Nothing was paid: here you can just ask, or post it with /task."""


class OwnOrder(UserError):
    """This invoice is of order {order} here, and the hub's node cannot pay itself. Pay it from another wallet.

    Or call it off (/cancel order={order}) and post the task without escrow=hold.
    """


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

    @property
    def holds(self) -> HoldStore:
        """What is held for tasks, and the orders that wait to be paid."""


class Guard(Protocol):
    """The limits, as payments ask them inside a unit of work."""

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        """Count what is about to be set aside. Raises `Refused` or `UserError` where it may not be."""

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        """Count what really left, msat: 0 where the payment failed."""

    def halts(self, tx: PaymentTx) -> str:
        """Why nothing may leave now; empty if it may."""


class Order(NamedTuple):
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


class Quote(NamedTuple):
    """What an order would send: the decoded invoice, its amount and the most that routing may take, msat."""

    asked: PaymentRequest
    amount: int
    fee_limit: int

    @property
    def most(self) -> int:
        """All that it may cost."""
        return self.amount + self.fee_limit


class Turn(NamedTuple):
    """A payment that is about to be made: whether its invoice is this hub's own.

    `first`: the node was not asked to make this attempt yet; `fresh`: nor any before it.
    """

    payment: Payment
    own: bool
    first: bool
    fresh: bool


class Outgoing:
    """Writes payments. `guard` is asked in the unit of work that sets the sats aside, and may refuse.

    `awaited`: whether somebody waits for the end of the payment with this hash, so that it is no news to them.
    """

    def __init__(self, own: OwnNode, guard: Guard, awaited: Callable[[PaymentTx, bytes], bool]) -> None:
        self._own = own
        self._guard = guard
        self._awaited = awaited

    def prepare(self, tx: PaymentTx, order: Order, quote: Quote) -> Payment:
        """Set the sats aside and write the payment: nothing is sent or taken back before this is committed."""
        if (done := paid_under(tx, order.key)) is not None:
            return done
        before = tx.payments.find(quote.asked.payment_hash)
        if before is not None:
            check_free(quote.asked, [before, *tx.payments.before(before.payment_hash)], self._own.node)
        target = self._own.account
        if (invoice := tx.invoices.find(quote.asked.payment_hash)) is not None:
            self.check_own(order, invoice, quote.asked.bolt11)
            quote, target = quote._replace(fee_limit=0), invoice.account
        payment = _payment(order, quote, tx.now, 1 if before is None else before.attempt + 1)
        self._guard.spend(tx, order, payment)
        try:
            hold = tx.ledger.hold(order.account, target, payment.most, None)
        except NotEnoughSats as error:
            raise error.with_routing(payment.fee_limit) from None
        payment = replace(payment, hold=hold)
        tx.payments.put(payment)
        tx.mark(order.key, f"{payment.payment_hash.hex()}:{payment.attempt}")
        return payment

    def check_own(self, order: Order, invoice: Invoice, bolt11: str) -> None:
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

    def begin(self, tx: PaymentTx, payment_hash: bytes) -> Turn | None:
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
        if not (first or own or self._own.node.traits.once):
            return None
        payment = replace(payment, state=State.SENDING if first else payment.state, begun=True)
        tx.payments.put(payment)
        return Turn(payment, own, first, first and not any(one.begun for one in tx.payments.before(payment_hash)))

    def end_inside(self, tx: PaymentTx, payment: Payment) -> None:
        """Move the sats between two accounts, for an invoice of this hub's that the node has taken back."""
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
            "attempt": payment.attempt,
            "sats": to_sats(payment.amount),
            "answered": self._awaited(tx, payment.payment_hash),
        }
        kind = Kind.PAYMENT_SUCCEEDED if payment.state is State.SUCCEEDED else Kind.PAYMENT_FAILED
        tx.emit(Event(kind, data=data))


def paid_under(tx: PaymentTx, key: str) -> Payment | None:
    """What was paid under a key: that attempt, whoever tried anew since."""
    if (done := tx.applied(key)) is None:
        return None
    digest, _, number = done.partition(":")
    return attempted(tx, bytes.fromhex(digest), int(number or 0))


def as_it_stands(tx: PaymentTx, payment: Payment) -> Payment:
    """An attempt as it stands now."""
    return attempted(tx, payment.payment_hash, payment.attempt) or payment


def attempted(tx: PaymentTx, payment_hash: bytes, number: int) -> Payment | None:
    """One attempt under a hash, or the last one where there is none of this number (0: of a time when none was kept)."""
    before = tx.payments.before(payment_hash)
    return next((one for one in before if one.attempt == number), None) or tx.payments.find(payment_hash)


def _payment(order: Order, quote: Quote, now: int, attempt: int) -> Payment:
    asked = quote.asked
    return Payment(
        asked.payment_hash, asked.bolt11, order.account, asked.payee, quote.amount, asked.amount is None, quote.fee_limit,
        order.caller.recorded, order.conversation, order.reason or asked.description, asked.expires_at, now, attempt,
    )  # fmt: skip


def _entry(payment: Payment, kind: str, postings: tuple[tuple[str, int], ...]) -> Entry:
    digest = payment.payment_hash.hex()
    return Entry(f"payment:{digest}", kind, postings, None, payment.actor, payment.reason, payment.payment_hash)
