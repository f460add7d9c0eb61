"""What was agreed to is paid: exactly that, once, and in the name of whoever asked (see `bot/paying.py`, which asks)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot import goods, views_lightning, views_treasury
from bot.approvals import Came
from core.errors import Refused, UserError
from core.treasury.treasury import Way
from core.wallet.buying import Bought
from core.wallet.guard import AgreedNoMore
from core.wallet.lightning import NodeDown
from core.wallet.limits import Path
from core.wallet.outgoing import Order
from core.wallet.wallet import owner_of

if TYPE_CHECKING:
    from bot.goods import Keep
    from core.approval import Approval
    from core.chat import Caller
    from core.tokens import Identities
    from core.treasury.treasury import Treasury
    from core.wallet.buying import Buying
    from core.wallet.guard import Consent
    from core.wallet.payment import Payment
    from core.wallet.payments import Payments
    from core.wallet.wallet import Wallet


class AskedAsAnother(Refused):
    """Whoever asked is of another account now. Nothing was paid."""


class PriceChanged(UserError):
    """The price has changed. Nothing was paid; ask for it again."""

    status = 409


class Agreed:
    """Carries out approvals of payments, purchases, transfers and what the treasury moves."""

    def __init__(  # noqa: PLR0913 - what it works with
        self, payments: Payments, buying: Buying, *, keep: Keep, identities: Identities, wallet: Wallet, treasury: Treasury,
        taps: Consent,
    ) -> None:  # fmt: skip
        self._payments = payments
        self._buying = buying
        self._keep = keep
        self._identities = identities
        self._wallet = wallet
        self._treasury = treasury
        self._taps = taps

    async def carry(self, approval: Approval) -> Came:
        """Pay what was agreed to; the same approval twice pays once.

        Where the node was down or refused, so that certainly nothing was begun, it may be approved again.
        """
        asked = json.loads(approval.action)
        key = f"approval/{approval.id}" + (f"/{approval.tries}" if approval.tries > 1 else "")
        if (done := await self._payments.known(key)) is not None:  # before a crash
            return self._paid(done)
        caller = await self._identities.caller(asked["actor"], private=asked["private"], acting_for=asked["acting_for"])
        agreed = self._identities.account(approval.decided_by or "")
        await self._check_unchanged(approval, asked, caller)
        try:
            return await self._carry(approval, asked, caller, agreed, key)
        except NodeDown as error:
            return Came(str(error), error.code, again=True)

    async def _carry(self, approval: Approval, asked: dict[str, Any], caller: Caller, agreed: str, key: str) -> Came:
        """Do it, on the word of `agreed`. Raises `NodeDown` where nothing was begun."""
        simulated = self._wallet.simulated
        if "purchase" in asked:
            return await self._bought(asked, agreed, approval.conversation)
        if "treasury" in asked:
            way = Way(asked["treasury"])
            await self._treasury.move(caller, way, asked["most"], key)
            return Came.of(views_treasury.moved(way, asked["most"], simulated=simulated))
        if "payee" in asked:
            await self._wallet.transfer(caller, asked["payee"], asked["most"], key, by=agreed)
            return Came.of(views_lightning.transferred(asked["payee"], asked["most"], simulated=simulated))
        order = Order(
            asked["bolt11"], asked["account"], caller, asked["where"], key, asked["amount"], asked["most"], asked["reason"],
            Path(asked["path"]), agreed,
        )  # fmt: skip
        return self._paid(await self._payments.pay(order))

    def _paid(self, made: Payment) -> Came:
        return Came.of(views_lightning.payment(made, simulated=self._wallet.simulated), again=not made.may_have_left)

    async def _check_unchanged(self, approval: Approval, asked: dict[str, Any], caller: Caller) -> None:
        """Raise where what was agreed to may not be done any more."""
        person = approval.decided_by or ""
        _, role = await self._identities.standing(person)
        if not await self._taps.allowed(self._identities.account(person), role, asked["most"]):
            raise AgreedNoMore
        if owner_of(asked["account"]) != caller.payer:
            raise AskedAsAnother

    async def _bought(self, asked: dict[str, Any], agreed: str, where: str) -> Came:
        """Buy what was agreed to; what comes back is for whoever asked."""
        price = asked.get("price", asked["most"])  # the way comes on top
        bought = await self._buying.confirm(asked["purchase"], price, agreed, again=asked.get("again", False))
        if not isinstance(bought, Bought):
            raise PriceChanged
        reply = await goods.delivered(bought, self._keep, simulated=self._wallet.simulated)
        return Came(reply.text.partition("\n")[0].rstrip(":"), place=where, reply=reply)
