"""Payments and invoices as a person reads them and as a program does (CONTRACT: `payment_hash, preimage?, bolt11?, state`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.views import moment
from core.chat import Button, Mark, Reply, Style, one_line
from core.events import Kind
from core.ids import task_name
from core.money import format_cost, format_sats, to_cost, to_msat, to_sats
from core.wallet.hold import State as Held
from core.wallet.ledger import TREASURY
from core.wallet.payment import State

if TYPE_CHECKING:
    from datetime import tzinfo

    from core.chat import File
    from core.events import Json
    from core.wallet.hold import HoldInvoice
    from core.wallet.invoices import Invoice
    from core.wallet.outgoing import Quote
    from core.wallet.payment import Payment


def short(node: str) -> str:
    """A node's key, for people to recognise."""
    return f"{node[:8]}…{node[-6:]}" if len(node) > 20 else node  # noqa: PLR2004 - a name is shown whole


def invoice(made: Invoice, qr: File, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """An invoice to be paid by any wallet."""
    head = f"Invoice for {format_sats(made.amount, simulated=simulated)}, until {moment(made.expires_at, zone)}"
    text = f"{head}\n{made.bolt11}\nYou are told here when it is paid."
    data: dict[str, Json] = {
        "ok": True, "payment_hash": made.payment_hash.hex(), "bolt11": made.bolt11, "state": "open",
        "amount_sats": to_sats(made.amount), "simulated": simulated,
    }  # fmt: skip
    start = len(head) + 1
    marks = (Mark(0, len(head), Style.BOLD), Mark(start, start + len(made.bolt11), Style.CODE))
    return Reply(text, data, files=(qr,), marks=marks)


def hold_order(one: HoldInvoice, qr: File | None, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """An order whose task is posted once somebody has paid its invoice."""
    amount = format_sats(one.amount, simulated=simulated)
    data: dict[str, Json] = {
        "ok": one.state not in {Held.GIVING, Held.GIVEN}, "order": one.id, "payment_hash": one.payment_hash.hex(),
        "bolt11": one.bolt11, "state": one.state.value, "budget_sats": to_sats(one.amount), "simulated": simulated,
    }  # fmt: skip
    if qr is None or one.state is not Held.OPEN:
        return Reply(f"Order {one.id} is {one.state.value}{f': {one.why}' if one.why else ''}", data)
    head = f"Order {one.id}: pay {amount} until {moment(one.expires_at, zone)}, and the task is posted"
    text = (
        f"{head}\n{one.bolt11}\nThe node holds the sats until the task has ended. Then its worker is paid, or they go back "
        "to whoever paid."
    )
    start = len(head) + 1
    marks = (Mark(0, len(head), Style.BOLD), Mark(start, start + len(one.bolt11), Style.CODE))
    return Reply(text, data, files=(qr,), marks=marks, buttons=(Button("Call off", f"/cancel order={one.id}"),))


def called_off(one: HoldInvoice) -> Reply:
    """An order is not to be."""
    data: dict[str, Json] = {"ok": True, "order": one.id, "state": one.state.value}
    return Reply(f"Order {one.id} was called off. What is paid for it now goes back.", data)


def escrow_told(kind: Kind, one: HoldInvoice, amount: int, *, simulated: bool) -> Reply | None:
    """What is told of an order, or of what was held for its task; `amount` in sats as the event has it."""
    data: dict[str, Json] = {
        "ok": kind is not Kind.ESCROW_LOST, "order": one.id, "payment_hash": one.payment_hash.hex(), "state": one.state.value,
        "amount_sats": amount, "simulated": simulated,
    }  # fmt: skip
    task = task_name(one.task) if one.task else ""
    words = format_sats(to_msat(amount), simulated=simulated)
    match kind:
        case Kind.ESCROW_TAKEN if amount:
            return Reply(f"{words} that {task or f'order {one.id}'} did not cost are in your wallet", data)
        case Kind.ESCROW_GIVEN if task:
            return Reply(f"{words} that were held for {task} went back to whoever paid", data)
        case Kind.ESCROW_GIVEN:
            return Reply(
                f"Order {one.id} is off: {one.why.rstrip('.')}. No task was posted, and nothing was taken.", data
            )
        case Kind.ESCROW_LOST:
            text = (
                f"The node let go of {words} with which the worker of {task} was paid; they stand in suspense.\n"
                "The hub or its node was out of reach for too long while they were held. The worker keeps the pay."
            )
            return Reply(text, data)
        case _:
            return None


def received(paid: Invoice, *, simulated: bool) -> Reply:
    """Told when an invoice was paid."""
    what = f": {memo}" if (memo := one_line(paid.memo)) else ""
    data: dict[str, Json] = {
        "ok": True, "payment_hash": paid.payment_hash.hex(), "state": "settled", "amount_sats": to_sats(paid.received),
        "simulated": simulated,
    }  # fmt: skip
    return Reply(f"{format_sats(paid.received, simulated=simulated)} came in{what}", data)


def quoted(quote: Quote, *, simulated: bool) -> str:
    """What a payment would cost and whom it would pay, for whoever is asked."""
    what = f" ({quote.asked.description})" if quote.asked.description else ""
    return (
        f"Pay {format_cost(quote.amount, simulated=simulated)} to {short(quote.asked.payee)}{what}, "
        f"and up to {format_cost(quote.fee_limit)} for routing?"
    )


def payment(made: Payment, *, simulated: bool) -> Reply:
    """How a payment stands."""
    amount, payee = format_cost(made.amount, simulated=simulated), short(made.payee)
    data: dict[str, Json] = {
        "ok": made.state is not State.FAILED, "payment_hash": made.payment_hash.hex(), "bolt11": made.bolt11,
        "state": made.state.value, "amount_sats": to_cost(made.amount), "amount_msat": made.amount,
        "simulated": simulated,
    }  # fmt: skip
    match made.state:
        case State.SUCCEEDED:
            if made.preimage is not None:
                data["preimage"] = made.preimage.hex()
            data |= {"fee_sats": to_cost(made.fee), "fee_msat": made.fee}
            source = " from the treasury" if made.account == TREASURY else ""
            words = f"Paid {amount} to {payee}{source}; routing took {format_cost(made.fee)}"
            return Reply(f"{words}. Note: {made.why}." if made.why else words, data)
        case State.FAILED:
            data["error"] = "payment_failed"
            rest = f"Nothing left {_source(made.account)}."
            if made.given_up:
                rest = "Its sats are free again. It may have arrived all the same: ask whoever was to get it."
            return Reply(f"The payment of {amount} failed: {made.why.rstrip('.')}. {rest}", data)
        case State.PREPARED | State.SENDING | State.UNKNOWN:
            held = f"{format_cost(made.most)} are set aside for it until the node says how it ended."
            return Reply(f"The payment of {amount} to {payee} is on its way; you are told how it ends.\n{held}", data)
        case _:
            assert_never(made.state)


def _source(account: str) -> str:
    kind, _, name = account.partition(":")
    return {TREASURY: "the treasury", "agent": f"what {name} earned"}.get(kind, "your wallet")


def transferred(payee: str, amount: int, *, simulated: bool) -> Reply:
    """A person was paid."""
    data: dict[str, Json] = {"ok": True, "payee": payee, "amount_sats": to_sats(amount), "simulated": simulated}
    return Reply(f"Paid {format_sats(amount, simulated=simulated)} to {payee}", data)
