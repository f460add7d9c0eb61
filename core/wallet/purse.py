"""What buys by L402 pays out of: a payment like any other, in the name of whoever the account belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import Unavailable, UserError
from core.wallet import limits
from core.wallet.lightning import PREFIXES, Outcome, PayState
from core.wallet.limits import Path
from core.wallet.outgoing import Order
from core.wallet.payment import State
from core.wallet.wallet import owner_of

if TYPE_CHECKING:
    from core.store import Store
    from core.tokens import Identities
    from core.wallet.node import OwnNode
    from core.wallet.outgoing import PaymentTx
    from core.wallet.payment import Payment
    from core.wallet.payments import Payments


class ServiceNotPaid(UserError):
    """The payment failed: {why}. Nothing left your wallet."""


class StillOnItsWay(Unavailable):
    """The node has not said yet how the payment ended."""


class Purse:
    """`core.wallet.buying.Pays`, and what else buying asks of the wallet."""

    def __init__(self, store: Store[PaymentTx], payments: Payments, identities: Identities, own: OwnNode) -> None:
        self._store = store
        self._payments = payments
        self._identities = identities
        self._own = own

    async def cost(self, account: str, bolt11: str) -> int:
        """See `Pays`."""
        return (await self._payments.quote(await self._order(account, bolt11, ""))).most

    async def pay_invoice(self, account: str, bolt11: str, most: int, key: str, reason: str, by: str) -> bytes:
        """See `Pays`. The payment is told nowhere by itself: whoever buys is answered."""
        order = (await self._order(account, bolt11, f"l402:{key}"))._replace(reason=reason, by=by)
        quote = await self._payments.quote(order)
        if quote.amount > most:
            raise ServiceNotPaid(why="the invoice is for more than was agreed to")
        paid = await self._payments.pay(order)
        if paid.state is State.FAILED:
            raise ServiceNotPaid(why=paid.why)
        if paid.preimage is None:
            raise StillOnItsWay
        return paid.preimage

    async def _order(self, account: str, bolt11: str, key: str) -> Order:
        caller = await self._identities.caller(owner_of(account), private=True)
        return Order(bolt11, account, caller, "", key, path=Path.SERVICE)

    async def outcome(self, account: str, payment_hash: bytes) -> Outcome:
        """See `Pays`. What another account paid is nothing to this one."""

        def work(tx: PaymentTx) -> Payment | None:
            last = tx.payments.find(payment_hash)
            tried = [] if last is None else [last, *tx.payments.before(payment_hash)]
            return next((one for one in tried if one.account == account), None)

        if (found := await self._store.read(work)) is None:
            return Outcome(PayState.UNKNOWN)
        match found.state:
            case State.SUCCEEDED:
                return Outcome(PayState.SUCCEEDED, found.preimage, found.amount, found.fee)
            case State.FAILED:
                return Outcome(PayState.FAILED, why=found.why)
            case _:
                return Outcome(PayState.IN_FLIGHT)

    async def prefix(self) -> str:
        """That of our network's invoices. Raises `NodeDown`."""
        return PREFIXES[(await self._own.verified()).network]

    async def unasked(self, account: str) -> int | None:
        """What this account may pay without a tap, msat; None: nothing was set."""
        del account  # one threshold for all
        rules = await self._store.read(lambda tx: tx.limits.rules())
        return rules.amounts.get(limits.APPROVE)
