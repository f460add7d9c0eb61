"""The life of an outgoing Lightning payment, so that no crash and no lost reply pays twice or loses sats (MONEY).

`prepared` (the row and the hold are committed) -> `sending` (committed before the node is called) -> `succeeded` or `failed`,
only by a final answer of the node; until there is one it is `unknown` and the hold stays. There is one row for each payment hash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.chat import one_line
from core.errors import UserError
from core.money import MAX_SATS, BadAmount, format_cost, format_sats, to_cost, to_msat
from core.wallet.lightning import PREFIXES, PayState, proves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.wallet.lightning import Node, Outcome, PaymentRequest, Traits

LEAST_FEE = 2_000
"""msat that a route may always cost: a payment of a few sats has no other way."""


EARLIER = "it was an earlier invoice of the same payment hash, which the node had called failed"
"""Why another amount was paid than was asked for."""

LONGEST_WHY = 300
"""Characters of a reason that are kept: a node may pass on what others on the way say."""


class State(StrEnum):
    """Where a payment stands in the books."""

    PREPARED = "prepared"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


OVER = frozenset({State.SUCCEEDED, State.FAILED})


class WrongNetwork(UserError):
    """This invoice is for {theirs}, and this hub's node is on {ours}. Ask for an invoice of {ours}; nothing was paid."""


class InvoiceExpired(UserError):
    """This invoice has run out. Ask for a new one; nothing was paid."""


class AmountMissing(UserError):
    """This invoice leaves the amount to you. Say how many sats: /pay INVOICE SATS."""


class AmountGiven(UserError):
    """This invoice is for {asked}, and you said {given}. Leave the amount out, or ask for another invoice; nothing was paid."""


class CostsMore(UserError):
    """This costs up to {total} with the routing fee, and you allowed {most}. Nothing was paid."""


class PaidAlready(UserError):
    """This invoice was paid already. Nothing was paid again."""

    status = 409


class BeingPaid(UserError):
    """This invoice is being paid already. Nothing was sent again; whoever pays it is told how it ends."""

    status = 409


class HashTaken(UserError):
    """Another invoice with this one's payment hash is being paid. A node pays one of them at a time: ask for a new invoice."""

    status = 409


class GivenUp(UserError):
    """A payment of this invoice was given up, and may have arrived all the same. Ask for a new invoice; nothing more was paid."""

    status = 409


class TriedAlready(UserError):
    """This invoice was tried and failed, and this node ({backend}) is asked once for each. Ask for a new one; nothing was paid."""

    status = 409


def fee_limit(amount: int) -> int:
    """The most that routing may cost, msat: 1 %, and at least 2 sats."""
    return max(LEAST_FEE, amount // 100)


@dataclass(frozen=True, slots=True)
class Payment:
    """An outgoing payment as the books hold it. `amount` and fees in msat, times Unix ms.

    `hold`: none where it was made inside the books. `chosen`: the amount was the payer's choice, and is sent along. `attempt`
    counts from 1: what failed may be tried anew. `begun`: the node may have begun this attempt. `given_up`: it failed on an
    owner's word, not on the node's.
    """

    payment_hash: bytes
    bolt11: str
    account: str
    payee: str
    amount: int
    chosen: bool
    fee_limit: int
    actor: str
    conversation: str
    reason: str
    expires_at: int
    at: int
    attempt: int = 1
    state: State = State.PREPARED
    hold: int | None = None
    preimage: bytes | None = None
    fee: int = 0
    why: str = ""
    ended_at: int | None = None
    begun: bool = False
    given_up: bool = False

    @property
    def most(self) -> int:
        """What is set aside for it, msat."""
        return self.amount + self.fee_limit

    @property
    def may_have_left(self) -> bool:
        """Whether the node may have begun it: what failed before that has certainly cost nothing."""
        return self.begun or not self.over

    @property
    def over(self) -> bool:
        """Whether it came to its end."""
        return self.state in OVER


def price(
    asked: PaymentRequest, given: int | None, most: int | None, least_fee: Callable[[int], int]
) -> tuple[int, int]:
    """The amount that is sent and the fee limit, msat. `given`: what the payer chose; `most`: all that it may cost.

    With `most` the fee may take what is left of it, within its rule.
    Raises `AmountMissing`, `AmountGiven`, `BadAmount` and `CostsMore`.
    """
    if asked.amount is None and given is None:
        raise AmountMissing
    if asked.amount is not None and given is not None and asked.amount != given:
        raise AmountGiven(asked=format_cost(asked.amount), given=format_sats(given))
    amount = asked.amount if given is None else given
    assert amount is not None  # noqa: S101 - one of the two is there
    if amount <= 0:
        raise BadAmount(given=format_sats(amount))
    limit = max(fee_limit(amount), least_fee(amount))
    if most is not None:
        if amount > most:
            raise CostsMore(total=format_cost(amount), most=format_sats(most))
        limit = min(limit, most - amount)
    if amount + limit > to_msat(MAX_SATS):  # more than there are: no node's word that it was paid would be believed
        raise CostsMore(total=format_cost(amount + limit), most=format_sats(to_msat(MAX_SATS)))
    return amount, limit


def check_payable(asked: PaymentRequest, network: str, now: int) -> None:
    """Raise `WrongNetwork` or `InvoiceExpired`."""
    if asked.prefix != PREFIXES[network]:
        named = {prefix: name for name, prefix in reversed(PREFIXES.items())}
        theirs = named.get(asked.prefix, asked.prefix)
        raise WrongNetwork(theirs="a test network (regtest)" if asked.prefix == "bcrt" else theirs, ours=network)
    if asked.expires_at <= now:
        raise InvoiceExpired


def check_free(asked: PaymentRequest, tried: Sequence[Payment], node: Node) -> None:
    """Raise where nothing may be paid under an invoice's hash now. `tried`: what was, the newest first, at least one.

    A payment has its hash from when its sats are set aside until the node ends it, for no node pays two under one hash side by
    side. Afterwards the hash is free, but for what may be paid twice: what was given up; and, where a node does not pay a hash
    once only, what it began for the same payee. Who signed another invoice under the hash of somebody's has no say in that.
    """
    last = tried[0]
    if last.state is State.SUCCEEDED:
        raise PaidAlready
    if not last.over:
        raise BeingPaid if last.bolt11.lower() == asked.bolt11.lower() else HashTaken
    if last.given_up:
        raise GivenUp
    if not node.traits.once and any(one.begun and one.payee == asked.payee for one in tried):
        raise TriedAlready(backend=node.backend)


class Booking(NamedTuple):
    """What an outcome means for the books: `sent` msat leave for good, of which `beyond` exceed what was set aside."""

    payment: Payment
    sent: int = 0
    beyond: int = 0


def resolve(payment: Payment, outcome: Outcome, now: int, before: Sequence[Payment] = ()) -> Booking:
    """The payment once the node has said how it stands. Only a final answer ends it; a success must show its receipt.

    `before`: earlier attempts under its hash. The node may have called one failed that it paid after all: then it was that one.
    """
    if payment.over:
        return Booking(payment)
    match outcome.state:
        case PayState.SUCCEEDED if proves(outcome.preimage, payment.payment_hash) and _credible(outcome):
            paid = _arrived(payment, outcome, before)
            # The receipt proves that the whole amount arrived, whatever else is said of it.
            sent = max(outcome.amount, paid.amount) + outcome.fee
            done = replace(
                payment, bolt11=paid.bolt11, payee=paid.payee, amount=paid.amount, chosen=paid.chosen, fee_limit=paid.fee_limit,
                state=State.SUCCEEDED, preimage=outcome.preimage, fee=outcome.fee, ended_at=now,
                why="" if paid is payment else EARLIER,
            )  # fmt: skip
            return Booking(done, sent, max(0, sent - payment.most))
        case PayState.FAILED:
            begun = payment.begun and outcome.begun
            return Booking(_failed(payment, one_line(outcome.why)[:LONGEST_WHY], now, begun=begun))
        case PayState.SUCCEEDED:
            why = "the node says that it was paid, and shows no receipt or impossible amounts for it"
        case PayState.IN_FLIGHT:
            why = "it is on its way"
        case _:
            why = "the node does not know of it"
    return Booking(replace(payment, state=State.UNKNOWN, why=why))


def explained(payment: Payment, outcome: Outcome) -> Outcome:
    """The same; of a failure, that the payer left nothing for routing, if so: the node says only that it found no way."""
    if outcome.state is not PayState.FAILED or payment.fee_limit or not outcome.begun:
        return outcome
    allowed = f"max={to_cost(payment.amount)} left nothing for routing, so allow some more"
    return outcome._replace(why=f"{allowed} ({outcome.why})")


def may_be_earlier(outcome: Outcome, before: Sequence[Payment], traits: Traits) -> bool:
    """Whether a failure that a node tells of may be of an attempt before the last, which may be on its way all the same."""
    return outcome.state is PayState.FAILED and not traits.once and any(one.begun for one in before)


def give_up(payment: Payment, why: str, now: int) -> Booking:
    """The payment once an owner took it for failed, whatever became of it at the node."""
    return Booking(payment if payment.over else replace(_failed(payment, why, now), given_up=True))


def _failed(payment: Payment, why: str, now: int, *, begun: bool = True) -> Payment:
    return replace(payment, state=State.FAILED, why=why, ended_at=now, begun=begun)


def _arrived(payment: Payment, outcome: Outcome, before: Sequence[Payment]) -> Payment:
    """The attempt that was paid. The node's word chooses among those that it may have begun, and makes up no amount.

    Where its word fits none of them, it is this one: so a node cannot talk an amount down.
    """
    tried = (payment, *(one for one in before if one.begun))
    return next((one for one in tried if one.amount == outcome.amount), payment)


def _credible(outcome: Outcome) -> bool:
    """Whether its amounts can be: they are booked."""
    return min(outcome.amount, outcome.fee) >= 0 and outcome.amount + outcome.fee <= to_msat(MAX_SATS)


class Next(StrEnum):
    """What is to be done about a payment that was found unfinished."""

    SEND = "send"
    WAIT = "wait"


def after_looking(payment: Payment, outcome: Outcome, traits: Traits, before: Sequence[Payment] = ()) -> Next:
    """What follows when a payment is found unfinished, and the node said how it stands. `before`: earlier attempts.

    What was never sent is sent, if the node knows nothing of it but an attempt that failed. What was sent may still be on its way
    to a node that does not know it, or that tells of an attempt before; it is sent again only where the same hash is paid once
    (where it is not, whoever sends leaves it).
    """
    never_sent = payment.state is State.PREPARED
    nothing = outcome.state is PayState.UNKNOWN
    earlier = outcome.state is PayState.FAILED and (never_sent or any(one.begun for one in before))
    if earlier or (nothing and (never_sent or traits.once)):
        return Next.SEND
    return Next.WAIT
