"""From a person's word to sats that leave or come: an invoice, a person, an agent's own invoice, or what an address asks.

Above the limit for a single tap nothing leaves before a person saw amount, payee and fee, and agreed (MONEY, "Limits and people").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Protocol, cast

from bot import views_lightning
from core.access import Action, authorize
from core.chat import Reply, Role
from core.errors import UserError
from core.money import to_msat
from core.tokens import CONSOLE_OWNER
from core.wallet.ledger import user_account
from core.wallet.lightning import MEMO_BYTES
from core.wallet.payments import Order

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from core.approval import Approval
    from core.chat import Caller, CommandCall
    from core.pairing import Pairing
    from core.swarm.roster import Roster
    from core.tokens import Identities
    from core.wallet.invoices import Invoice, Invoices
    from core.wallet.payments import Payments, Quote
    from core.wallet.wallet import Wallet

KIND = "payment"
"""The kind of these approvals."""

ASK_SECONDS = 3600.0

_BOLT11 = re.compile(r"(?:lightning:)?ln[a-z]{2,4}[0-9].*", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


class MemoTooLong(UserError):
    """The memo is longer than the {limit} bytes that an invoice takes. Shorten it."""


class OwnPersona(UserError):
    """{agent} is one of this hub's own: what it earns is in the treasury already. /treasury shows it."""


class Taps(Protocol):
    """Which spends a person must tap for."""

    async def needs_tap(self, caller: Caller, amount: int) -> bool:
        """Whether `amount` msat of this caller's needs a person's tap."""

    def may_approve(self, actor: str, role: Role, amount: int) -> bool:
        """Whether a person may agree to a spend of `amount` msat."""


class Paying:
    """Carries out what money commands ask."""

    def __init__(  # noqa: PLR0913 - what it works with
        self, payments: Payments, invoices: Invoices, *, approvals: Approvals, identities: Identities, pairing: Pairing,
        roster: Roster, wallet: Wallet, taps: Taps,
    ) -> None:  # fmt: skip
        self._payments = payments
        self._invoices = invoices
        self._approvals = approvals
        self._identities = identities
        self._pairing = pairing
        self._roster = roster
        self._wallet = wallet
        self._taps = taps

    async def invoice(self, call: CommandCall, amount: int, memo: str) -> Invoice:
        """Ask for `amount` msat for the caller's wallet."""
        if len(memo.encode()) > MEMO_BYTES:
            raise MemoTooLong(limit=MEMO_BYTES)
        return await self._invoices.create(
            user_account(call.caller.name), amount, memo, actor=call.caller.recorded, conversation=call.follows, key=call.key
        )  # fmt: skip

    async def pay(self, call: CommandCall) -> Reply:
        """Pay an invoice, a person, or what an address asks."""
        whom = cast("str", call.args["whom"])
        amount, most = (to_msat(cast("int", call.args[one])) if one in call.args else None for one in ("sats", "max"))
        if _BOLT11.fullmatch(whom):
            authorize(call.caller, Action.SEND)
            account = user_account(call.caller.name)
            return await self._send(call, Order(whom, account, call.caller, call.follows, call.key, amount, most))
        if _ADDRESS.match(whom):
            raise NotImplementedError
        raise NotImplementedError(self._pairing.find(whom))

    async def payout(self, call: CommandCall) -> Reply:
        """Pay what an agent earned to its own invoice."""
        agent = cast("str", call.args["agent"]).lower()
        if self._roster.claims(agent):
            raise OwnPersona(agent=agent)
        bolt11, reason = cast("str", call.args["bolt11"]), f"payout to {agent}"
        order = Order(bolt11, f"agent:{agent}", call.caller, call.follows, call.key, reason=reason)
        return await self._send(call, order)

    async def _send(self, call: CommandCall, order: Order) -> Reply:
        if (known := await self._payments.known(order.key)) is not None:
            return views_lightning.payment(known, simulated=self._wallet.simulated)
        quote = await self._payments.quote(order)
        if await self._taps.needs_tap(call.caller, quote.most):
            return await self._ask(call, order, quote)
        made = await self._payments.pay(order)
        return views_lightning.payment(made, simulated=self._wallet.simulated)

    async def _ask(self, call: CommandCall, order: Order, quote: Quote) -> Reply:
        """Put it to those who may agree to so much."""
        words = views_lightning.quoted(quote, simulated=self._wallet.simulated)
        if order.account != user_account(CONSOLE_OWNER):
            words += f" From {order.account.partition(':')[2]}'s wallet."
        action = json.dumps({
            "bolt11": quote.asked.bolt11, "account": order.account, "actor": call.caller.actor,
            "acting_for": call.caller.acting_for, "private": call.caller.private, "conversation": order.conversation,
            "amount": order.amount, "most": quote.most, "reason": order.reason,
        })  # fmt: skip
        people = sorted({*self._identities.everybody(CONSOLE_OWNER), *self._payers(quote.most)})
        made = await self._approvals.ask(
            KIND, action, words, asked_by=call.caller.recorded, where=order.conversation, approvers=people,
            seconds=ASK_SECONDS, key=f"{call.key}/tap", needs=Role.PAYER,
        )  # fmt: skip
        text = f"{made.words}\nNothing leaves before somebody who may says yes to {made.name}."
        return Reply(text, {"ok": True, "approval": made.name, "state": made.state.value})

    def _payers(self, amount: int) -> list[str]:
        """Those who pay, and may agree to so much."""
        payers = [person.actor for person in self._identities.people if person.role is Role.PAYER]
        return [actor for actor in payers if self._taps.may_approve(actor, Role.PAYER, amount)]

    async def carry(self, approval: Approval) -> str:
        """Pay what was agreed to; the same approval twice pays once."""
        asked, key = json.loads(approval.action), f"approval/{approval.id}"
        if (known := await self._payments.known(key)) is not None:
            return views_lightning.payment(known, simulated=self._wallet.simulated).text
        caller = await self._identities.caller(asked["actor"], private=asked["private"], acting_for=asked["acting_for"])
        _, role = await self._identities.standing(approval.decided_by or "")
        if not self._taps.may_approve(approval.decided_by or "", role, asked["most"]):
            return "nothing was paid: whoever agreed may not agree to so much any more"
        order = Order(
            asked["bolt11"], asked["account"], caller, asked["conversation"], key, asked["amount"],
            asked["most"], asked["reason"],
        )  # fmt: skip
        made = await self._payments.pay(order)
        return views_lightning.payment(made, simulated=self._wallet.simulated).text
