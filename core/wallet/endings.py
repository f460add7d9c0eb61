"""The way out of a payment that its node never ends: an owner shows its receipt, or gives it up.

The node is asked first, and what it says counts. A receipt proves itself. What is given up has failed for the books: its sats are
free again, and should they have left after all, the comparison with the node shows it. Nothing is paid under its hash any more, and
what it bought is bought again only by somebody who was told of it.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from core.access import Action, authorize
from core.errors import UserError
from core.wallet.lightning import NodeDown, Outcome, PayState
from core.wallet.payment import may_be_earlier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.chat import Caller
    from core.ports import Clock
    from core.store import Store
    from core.wallet.node import OwnNode
    from core.wallet.outgoing import PaymentTx
    from core.wallet.payment import Payment
    from core.wallet.payments import Payments
    from core.wallet.wallet import People

LEAST_MS = 24 * 3_600_000
"""How long a payment is left to its node, at least."""

_HASH = re.compile(r"[0-9a-f]{8,64}")
_PREIMAGE = re.compile(r"[0-9a-f]{64}")


class UnknownPayment(UserError):
    """There is no payment {given}. /reconcile lists those that are unfinished; say 8 or more digits of one's hash, as it begins."""

    status = 404


class SeveralPayments(UserError):
    """{count} unfinished payments begin with {given}. Say more of the hash, up to all of its 64 digits; nothing was changed."""

    status = 409


class NoPreimage(UserError):
    """{given} is no receipt. A receipt is the whole preimage of a payment of this hub: 64 digits and letters a to f."""


class TooEarly(UserError):
    """The payment {payment} is left to the node until its invoice has run out and a day has passed. Nothing was changed."""

    status = 409


class OnItsWayStill(UserError):
    """The node says that the payment {payment} is on its way: only the node ends it. Nothing was changed."""

    status = 409


class Endings:
    """Ends payments on an owner's word."""

    def __init__(self, store: Store[PaymentTx], own: OwnNode, payments: Payments, clock: Clock, people: People) -> None:
        self._store = store
        self._own = own
        self._payments = payments
        self._clock = clock
        self._people = people

    async def unfinished(self) -> Sequence[Payment]:
        """What the node has not ended, oldest first."""
        return await self._store.read(lambda tx: tx.payments.unfinished())

    async def paid(self, caller: Caller, given: str) -> Payment:
        """Book a payment by its receipt; with no fee, unless the node says now what it took.

        Raises `NoPreimage` and `OtherNode`.
        """
        authorize(caller, Action.RECONCILE)
        if not _PREIMAGE.fullmatch(given.lower()):
            raise NoPreimage(given=repr(given[:80]))
        preimage = bytes.fromhex(given)
        digest = hashlib.sha256(preimage).digest()
        found, own = await self._store.read(lambda tx: (tx.payments.find(digest), tx.invoices.find(digest)))
        if found is None or own is not None:  # inside the books no receipt is given
            raise NoPreimage(given=repr(given[:80]))
        receipt = Outcome(PayState.SUCCEEDED, preimage, found.amount)
        with suppress(NodeDown):
            said = await self._said(found)
            if said.state is PayState.SUCCEEDED:
                return await self._end(caller, found, said, receipt)
        return await self._end(caller, found, receipt)

    async def give_up(self, caller: Caller, given: str) -> Payment:
        """Take a payment (its hash, or the beginning of an unfinished one's) for failed, unless the node ends it now.

        Raises `UnknownPayment`, `SeveralPayments`, `TooEarly`, `OnItsWayStill`, `NodeDown`, `NodeBehind` and `OtherNode`.
        """
        authorize(caller, Action.RECONCILE)
        found = await self._named(given.lower())
        if found.over:
            return found
        now, named = self._clock.now(), found.payment_hash.hex()[:8]
        if now < max(found.expires_at, found.at + LEAST_MS):
            raise TooEarly(payment=named)
        said = await self._said(found)
        if said.state is PayState.IN_FLIGHT:
            raise OnItsWayStill(payment=named)
        if said.state is not PayState.SUCCEEDED:
            await self._own.in_step()
        return await self._end(caller, found, said)

    async def _said(self, payment: Payment) -> Outcome:
        """What the node says of it now."""
        await self._own.verified()
        node = self._own.node
        return await node.track(payment.payment_hash) if node.traits.track else Outcome(PayState.UNKNOWN)

    async def _named(self, given: str) -> Payment:
        if not _HASH.fullmatch(given):
            raise UnknownPayment(given=repr(given[:80]))
        if len(given) == 64:  # noqa: PLR2004 - a whole hash, in hex
            known = await self._store.read(lambda tx: tx.payments.find(bytes.fromhex(given)))
            found = [] if known is None else [known]
        else:
            found = [one for one in await self.unfinished() if one.payment_hash.hex().startswith(given)]
        if not found:
            raise UnknownPayment(given=repr(given[:80]))
        if len(found) > 1:
            raise SeveralPayments(count=len(found), given=given)
        return found[0]

    async def _end(self, caller: Caller, payment: Payment, said: Outcome, receipt: Outcome | None = None) -> Payment:
        """Book what the node or a receipt says; where that is no end, the receipt or the owner's word is one."""

        def work(tx: PaymentTx) -> Payment:
            by = self._people.as_now(tx, caller).recorded
            if said.state is not PayState.SUCCEEDED and self._payments.under_way(payment.payment_hash):
                raise TooEarly(payment=payment.payment_hash.hex()[:8])  # it was begun anew meanwhile
            if not may_be_earlier(said, tx.payments.before(payment.payment_hash), self._own.node.traits):
                self._payments.outgoing.end(tx, payment, said)
            if receipt is not None:
                self._payments.outgoing.end(tx, payment, receipt)
            else:
                why = f"{by} gave it up, since the node does not say how it ended"
                self._payments.outgoing.give_up(tx, payment, why)
            return tx.payments.find(payment.payment_hash) or payment

        return await self._store.write(work)
