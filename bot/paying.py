"""From a person's word to sats that leave or come: an invoice, a person, an agent's own invoice, or what an address asks.

Above the limit for a single tap nothing leaves before a person saw amount, payee and fee, and agreed (MONEY, "Limits and people").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from bot import goods, views_lightning, views_treasury
from bot.approvals import PAYMENT
from core.access import Action, authorize
from core.chat import Reply, Role
from core.errors import UserError
from core.money import format_sats, to_msat, to_sats
from core.tokens import CONSOLE_OWNER
from core.treasury.treasury import TreasuryLacks, Way
from core.wallet.buying import Bought
from core.wallet.guard import spend_of
from core.wallet.ledger import TREASURY, NotEnoughSats, agent_account, user_account
from core.wallet.lightning import MEMO_BYTES
from core.wallet.limits import Path, Spend
from core.wallet.outgoing import Order
from core.wallet.payment import CostsMore
from core.wallet.purchase import Order as Wanted
from core.wallet.wallet import NobodysWallet

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.approvals import Approvals
    from bot.goods import Keep
    from core.chat import CommandCall
    from core.pairing import Pairing
    from core.swarm.roster import Roster
    from core.tokens import Identities
    from core.treasury.treasury import Treasury
    from core.wallet.buying import Buying
    from core.wallet.endings import Endings
    from core.wallet.guard import Consent
    from core.wallet.invoices import Invoice, Invoices
    from core.wallet.outgoing import Quote
    from core.wallet.payments import Payments
    from core.wallet.wallet import Wallet

ASK_SECONDS = 3600.0

MOST_NAMED = 10
"""Workers that are named where another was meant."""

_BOLT11 = re.compile(r"(?:lightning:(?://)?)?ln[a-z]{2,4}[0-9].*", re.IGNORECASE | re.DOTALL)
_LNURL = re.compile(r"(?:lightning:(?://)?)?lnurl[a-z]?1[a-z0-9]+|lnurl[pwc]?://.*", re.IGNORECASE)
_BITCOIN = re.compile(r"bitcoin:.*|(?:bc|tb|bcrt)1[a-z0-9]{8,87}|[13][1-9A-HJ-NP-Za-km-z]{25,34}", re.IGNORECASE)
_LIGHTNING_ADDRESS = re.compile(r"(?:lightning:)?[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


class MemoTooLong(UserError):
    """The memo is longer than the {limit} bytes that an invoice takes. Shorten it."""


class SayHowMuch(UserError):
    """Say how many sats: /pay PERSON SATS."""


class TreasuryPaysNobody(UserError):
    """The treasury pays invoices and addresses. For a person, first move sats out: /treasury out SATS"""


class CannotPayTo(UserError):
    """{what} cannot be paid here. Ask for a Lightning invoice (lnbc...) and /pay that.

    A person of this hub and an https address can be paid too.
    """


class IntoTreasury(UserError):
    """The treasury is no person. An owner moves sats into it: /treasury in {sats}"""


class SayTheMost(UserError):
    """An address has a price of its own. Say the most that it may cost: /pay ADDRESS max=SATS"""


class OwnPersona(UserError):
    """{agent} is one of this hub's own: what it earns is in the treasury already. /treasury shows it."""


class UnknownWorker(UserError):
    """There is no worker {given} of somebody else's here. {known}. A person's earnings are in their own wallet."""

    status = 404


class Paying:
    """Carries out what money commands ask."""

    def __init__(  # noqa: PLR0913 - what it works with
        self, payments: Payments, invoices: Invoices, buying: Buying, *, keep: Keep, approvals: Approvals,
        identities: Identities, pairing: Pairing, roster: Roster, wallet: Wallet, treasury: Treasury, taps: Consent,
        endings: Endings,
    ) -> None:  # fmt: skip
        self._payments = payments
        self._invoices = invoices
        self._buying = buying
        self._keep = keep
        self._approvals = approvals
        self._identities = identities
        self._pairing = pairing
        self._roster = roster
        self._wallet = wallet
        self._treasury = treasury
        self._taps = taps
        self.endings = endings

    async def invoice(self, call: CommandCall, amount: int, memo: str) -> Invoice:
        """Ask for `amount` msat for the caller's wallet."""
        if len(memo.encode()) > MEMO_BYTES:
            raise MemoTooLong(limit=MEMO_BYTES)
        if call.caller.acting_for and (await self._identities.standing(call.caller.acting_for))[1] is Role.GUEST:
            raise NobodysWallet(given=call.caller.acting_for)  # whoever is only tried out could never have what is paid
        return await self._invoices.create(
            user_account(call.caller.name), amount, memo, actor=call.caller.recorded, conversation=call.follows, key=call.key
        )  # fmt: skip

    async def pay(self, call: CommandCall) -> Reply:
        """Pay an invoice, a person, or what an address asks."""
        whom = cast("str", call.args["whom"])
        hubs = call.args.get("from") == "treasury"
        if hubs:
            authorize(call.caller, Action.TREASURY)
        account = TREASURY if hubs else user_account(call.caller.payer)
        amount, most = (to_msat(cast("int", call.args[one])) if one in call.args else None for one in ("sats", "max"))
        if _BOLT11.fullmatch(whom) and not _LNURL.fullmatch(whom):
            authorize(call.caller, Action.SEND)
            path = Path.TREASURY if hubs else Path.PAYMENT
            order = Order(whom, account, call.caller, call.follows, call.key, amount, most, path=path)
            return await self._send(call, order)
        if _ADDRESS.match(whom):
            authorize(call.caller, Action.SEND)
            if amount is not None:
                raise SayTheMost
            again = call.args.get("again") == "yes"
            return await self._buy(call, Wanted(account, whom, most, call.key, again=again))
        payee, amount = self._person(whom, amount, hubs=hubs)
        if most is not None and amount > most:
            raise CostsMore(total=format_sats(amount), most=format_sats(most))
        if await self._must_tap(call, user_account(call.caller.payer), amount):
            return await self._ask_transfer(call, payee, amount)
        await self._wallet.transfer(call.caller, payee, amount, call.key)
        return views_lightning.transferred(payee, amount, simulated=self._wallet.simulated)

    def _person(self, whom: str, amount: int | None, *, hubs: bool) -> tuple[str, int]:
        """Which person is paid, and how much, msat. Raises what is wrong with either."""
        if (what := _unsupported(whom)) is not None:
            raise CannotPayTo(what=what)
        if hubs:
            raise TreasuryPaysNobody
        if whom.lower() == TREASURY:
            raise IntoTreasury(sats="SATS" if amount is None else to_sats(amount))
        payee = self._pairing.find(whom)
        if amount is None:
            raise SayHowMuch
        return payee, amount

    async def _buy(self, call: CommandCall, order: Wanted) -> Reply:
        """Buy what an address sells, or put its price to those who may agree to so much."""
        bought = await self._buying.buy(order)
        if isinstance(bought, Bought):
            return await goods.delivered(bought, self._keep, simulated=self._wallet.simulated)
        words = goods.question(bought, simulated=self._wallet.simulated) + _payer_of(order.account)
        offer = bought.purchase
        paid = Order(offer.invoice, order.account, call.caller, call.follows, call.key, path=Path.SERVICE)
        quote = await self._payments.quote(paid)
        facts = {"purchase": offer.id, "price": offer.amount, "again": order.again}
        return await self._put(call, spend_of(paid, quote.most), facts, words, routing=quote.fee_limit)

    async def treasury(self, call: CommandCall, way: Way, amount: int) -> Reply:
        """Move sats between the owners' wallet and the treasury."""
        account = user_account(call.caller.payer) if way is Way.IN else TREASURY
        if not await self._treasury.moved(call.key) and await self._must_tap(call, account, amount):
            words = views_treasury.asks(way, amount, simulated=self._wallet.simulated)
            one = Spend(account, amount, Path.TREASURY, "")
            return await self._put(call, one, {"treasury": way.value}, words, needs=Role.OWNER)
        await self._treasury.move(call.caller, way, amount, call.key)
        return views_treasury.moved(way, amount, simulated=self._wallet.simulated)

    async def payout(self, call: CommandCall) -> Reply:
        """Pay what an agent earned to its own invoice."""
        agent = cast("str", call.args["agent"]).lower()
        if self._roster.claims(agent):
            raise OwnPersona(agent=agent)
        if agent not in (workers := await self._wallet.workers()):
            raise UnknownWorker(given=repr(agent[:60]), known=_named(workers))
        bolt11, reason = cast("str", call.args["bolt11"]), f"payout to {agent}"
        order = Order(
            bolt11, agent_account(agent), call.caller, call.follows, call.key, reason=reason, path=Path.PAYOUT
        )
        return await self._send(call, order)

    async def _send(self, call: CommandCall, order: Order) -> Reply:
        if (known := await self._payments.known(order.key)) is not None:
            return views_lightning.payment(known, simulated=self._wallet.simulated)
        quote = await self._payments.quote(order)
        if await self._must_tap(call, order.account, quote.most):
            return await self._ask(call, order, quote)
        made = await self._payments.pay(order)
        return views_lightning.payment(made, simulated=self._wallet.simulated)

    async def _must_tap(self, call: CommandCall, account: str, amount: int) -> bool:
        """Whether a person taps first. Of a command that is repeated after a crash, what it did then counts."""
        if await self._wallet.transferred(call.key):
            return False
        return await self._approvals.known(_tap(call)) or await self._taps.needed(account, amount)

    async def _ask(self, call: CommandCall, order: Order, quote: Quote) -> Reply:
        """Put a payment to those who may agree to so much."""
        words = views_lightning.quoted(quote, simulated=self._wallet.simulated) + _payer_of(order.account)
        facts = {
            "bolt11": quote.asked.bolt11, "amount": order.amount, "reason": order.reason, "path": order.path.value,
        }  # fmt: skip
        until = quote.asked.expires_at
        return await self._put(call, spend_of(order, quote.most), facts, words, routing=quote.fee_limit, until=until)

    async def _ask_transfer(self, call: CommandCall, payee: str, amount: int) -> Reply:
        """Put a payment to a person to those who may agree to so much."""
        account = user_account(call.caller.payer)
        words = f"Pay {format_sats(amount, simulated=self._wallet.simulated)} to {payee}?{_payer_of(account)}"
        return await self._put(call, Spend(account, amount, Path.TRANSFER, ""), {"payee": payee}, words)

    async def _put(  # noqa: PLR0913 - what a question about a spend is
        self, call: CommandCall, one: Spend, facts: dict[str, Any], words: str, *, needs: Role = Role.PAYER,
        routing: int = 0, until: int | None = None,
    ) -> Reply:  # fmt: skip
        """Put a spend to the owners, and to the payers who may agree to so much unless it `needs` an owner.

        `routing`: how much of it is for that, msat. `until`: when an invoice runs out (Unix ms).
        """
        caller = call.caller
        if not await self._approvals.known(_tap(call)):
            await self._affordable(one, routing)
        who = {
            "actor": caller.actor, "acting_for": caller.acting_for, "private": caller.private, "where": call.follows,
            "account": one.account,
        }  # fmt: skip
        payers = await self._payers(one.amount) if needs is Role.PAYER else []
        people = sorted({*self._identities.everybody(CONSOLE_OWNER), *payers})
        made = await self._approvals.ask(
            PAYMENT, json.dumps(who | facts | {"most": one.amount}), words, asked_by=caller.recorded, where=call.follows,
            approvers=people, seconds=ASK_SECONDS, key=_tap(call), needs=needs, once="bolt11" in facts,
            until=until,
        )  # fmt: skip
        text = f"{made.words}\nNothing leaves before somebody who may says yes to {made.name}."
        return Reply(text, {"ok": True, "approval": made.name, "state": made.state.value})

    async def _affordable(self, one: Spend, routing: int) -> None:
        """Nobody is asked to agree to what cannot be paid."""
        try:
            await self._taps.refuse(one)
        except NotEnoughSats as error:
            if one.account != TREASURY or one.path is not Path.TREASURY:
                raise error.with_routing(routing) from None
            raise TreasuryLacks(**error.facts) from None

    async def _payers(self, amount: int) -> list[str]:
        """Those who pay, and may agree to so much."""
        payers = [person.actor for person in self._identities.people if person.role is Role.PAYER]
        return [one for one in payers if await self._taps.allowed(self._identities.account(one), Role.PAYER, amount)]


def _named(workers: Collection[str]) -> str:
    names = sorted(workers)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"There are {', '.join(names[:MOST_NAMED])}{more}" if names else "There are none yet"


def _unsupported(whom: str) -> str | None:
    """What somebody pasted that other wallets pay, and this hub does not; None where it is nothing of that kind."""
    kinds = (
        (_LNURL, "An LNURL"),
        (_BITCOIN, "A bitcoin address"),
        (_LIGHTNING_ADDRESS, "A Lightning address (name@host)"),
    )
    return next((what for pattern, what in kinds if pattern.fullmatch(whom)), None)


def _payer_of(account: str) -> str:
    """Whose sats they are, for whoever is asked; empty where they are the owners' own."""
    return (
        "" if account == user_account(CONSOLE_OWNER) else f" From the account {account.partition(':')[2] or account}."
    )


def _tap(call: CommandCall) -> str:
    """The key under which a command's approval is kept."""
    return f"{call.key}/tap"
