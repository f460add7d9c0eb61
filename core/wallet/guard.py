"""What a payment is asked before sats are set aside for it, in the unit of work that does: who says so, and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.access import Action, authorize
from core.chat import Role
from core.errors import Refused
from core.wallet import limits
from core.wallet.limits import Path, Spend

if TYPE_CHECKING:
    from core.store import Store
    from core.tokens import Identities
    from core.wallet.limits import LimitTx
    from core.wallet.outgoing import Order, PaymentTx
    from core.wallet.payment import Payment
    from core.wallet.wallet import LedgerTx

_RIGHTS = {Path.PAYOUT: Action.PAYOUT, Path.TREASURY: Action.TREASURY}


class AgreedNoMore(Refused):
    """Whoever agreed may not agree to so much any more. Nothing was paid."""


class SpendGuard:
    """`core.wallet.outgoing.Guard`: rights as they are in the unit of work that spends, and limits."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        """See `Guard`. Raises `NotAsYouWere`, `NotAllowed`, `AgreedNoMore`, `Frozen` and `OverLimit`."""
        authorize(self._identities.as_now(tx, order.caller), _RIGHTS.get(order.path, Action.SEND))
        if order.by and not _may_agree(tx, order.by, self._identities.role_in(tx, order.by), payment.most):
            raise AgreedNoMore
        one = spend_of(order, payment.most)._replace(key=_key(payment), by=order.by or order.caller.payer)
        limits.spend(tx, one)

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        """See `Guard`."""
        if amount:
            limits.adjust(tx, _key(payment), amount)
        else:
            limits.void(tx, _key(payment))

    def halts(self, tx: PaymentTx) -> str:
        """See `Guard`."""
        return "spending is frozen" if tx.limits.rules().freeze is not None else ""


def spend_of(order: Order, most: int) -> Spend:
    """What an order would spend, msat, whoever decides it."""
    agent = order.account.removeprefix("agent:") if order.path is Path.PAYOUT else None
    return Spend(order.account, most, order.path, "", agent=agent)


def _key(payment: Payment) -> str:
    return f"payment:{payment.payment_hash.hex()}:{payment.attempt}"


def _may_agree(tx: LimitTx, person: str, role: Role, amount: int) -> bool:
    return role is Role.OWNER or (role is Role.PAYER and amount <= tx.limits.rules().approves(person))


def _refuse(tx: LedgerTx, one: Spend) -> None:
    if (why := limits.refusal(tx, one)) is not None:
        raise why
    if tx.ledger.account(one.account).available < one.amount:
        raise tx.ledger.short(one.account, one.amount)


class Consent:
    """Which spends a person must tap for, and who may."""

    def __init__(self, store: Store[LedgerTx]) -> None:
        self._store = store

    async def refuse(self, one: Spend) -> None:
        """Refuse what could not be carried out if it were agreed to now. Raises `NotEnoughSats`, `Frozen` and `OverLimit`."""
        await self._store.read(lambda tx: _refuse(tx, one))

    async def needed(self, account: str, amount: int) -> bool:
        """Whether `amount` msat from this account needs a person's tap."""
        one = Spend(account, amount, Path.PAYMENT, "")
        return await self._store.read(lambda tx: limits.needs_tap(tx, one))

    async def allowed(self, person: str, role: Role, amount: int) -> bool:
        """Whether a person (their account) may agree to a spend of `amount` msat: an owner, or a payer within their own limit."""
        return await self._store.read(lambda tx: _may_agree(tx, person, role, amount))
