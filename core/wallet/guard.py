"""What a payment is asked before sats are set aside for it, in the unit of work that does: who says so, and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.access import Action, authorize

if TYPE_CHECKING:
    from core.tokens import Identities
    from core.wallet.payment import Payment
    from core.wallet.payments import Order, PaymentTx


class SpendGuard:
    """`core.wallet.payments.Guard`."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        """See `Guard`."""
        authorize(self._identities.as_now(tx, order.caller), Action.SEND)

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        """See `Guard`."""

    def halts(self, tx: PaymentTx) -> str:
        """See `Guard`."""
        return ""
