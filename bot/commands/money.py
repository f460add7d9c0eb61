"""Money: what one has, and how it came to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot import views
from bot.registry import MissingArgument, command
from core.access import Action
from core.money import to_msat
from core.treasury.treasury import Way
from core.wallet.ledger import TREASURY, user_account

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall, Reply


@command(
    "/balance",
    "your sats: free, held for tasks and payments, and in escrow",
    group="money",
    action=Action.SEE_MONEY,
    reads=True,
)
async def balance(hub: Hub, call: CommandCall) -> Reply:
    """Show the caller's balance."""
    return views.balance(await hub.wallet.balance(user_account(call.caller.name)))


@command(
    "/history [N] [from=ENTRY]",
    "your last movements",
    group="money",
    action=Action.SEE_MONEY,
    reads=True,
    notes=(
        "N: how many, 10 if you say nothing",
        "from=ENTRY: from this entry on, back in time; a long history ends with the command that goes on",
    ),
)
async def history(hub: Hub, call: CommandCall) -> Reply:
    """Show the caller's movements."""
    limit = min(cast("int", call.args.get("n", views.PAGE)), 1000)
    start = cast("int | None", call.args.get("from"))
    lines = await hub.wallet.history(user_account(call.caller.name), limit + 1, start)
    return views.history(lines, limit, hub.zone, simulated=hub.wallet.simulated, start=start)


@command(
    "/invoice SATS [MEMO]",
    "ask for sats: an invoice that any Lightning wallet can pay, as text and as a QR code",
    group="money",
    action=Action.RECEIVE,
    notes=("MEMO: what it is for; the payer reads it", "It can be paid for an hour, and you are told here when it was"),
)
async def invoice(hub: Hub, call: CommandCall) -> Reply:
    """Ask for sats."""
    from bot import views_lightning

    amount, memo = to_msat(cast("int", call.args["sats"])), cast("str", call.args.get("memo", ""))
    made = await hub.paying().invoice(call, amount, memo)
    qr = await hub.qr(made.bolt11)
    return views_lightning.invoice(made, qr, hub.zone, simulated=hub.wallet.simulated)


@command(
    "/pay WHOM [SATS] [max=SATS] [again=yes|no] [from=me|treasury]",
    "pay a Lightning invoice, a person of this hub, or what an L402 address asks",
    group="money",
    action=Action.PAY,
    notes=(
        "WHOM: an invoice (lnbc...), a person such as telegram:12345 or their name, or an https address",
        "SATS: how much, where the invoice leaves it open, or to a person",
        "max=SATS: all that it may cost, with the fee for routing; of an address, its price",
        "again=yes: buy, though this address was paid before and did not deliver, or may have been paid",
        "from=treasury: an owner pays an invoice or an address out of the hub's treasury, within its budgets",
    ),
)
async def pay(hub: Hub, call: CommandCall) -> Reply:
    """Pay."""
    return await hub.paying().pay(call)


@command(
    "/payout AGENT BOLT11",
    "pay what an agent earned to its own invoice",
    group="money",
    action=Action.PAYOUT,
    notes=("AGENT: a worker of somebody else's; the hub's own personas earn for the treasury",),
)
async def payout(hub: Hub, call: CommandCall) -> Reply:
    """Pay an agent out."""
    return await hub.paying().payout(call)


@command(
    "/treasury [in|out SATS]",
    "the hub's own sats: what it has, earned and spent, and its budgets",
    group="money",
    action=Action.TREASURY,
    bare=True,
    notes=(
        "in SATS: move sats from the owners' wallet into it; out SATS: back",
        "It earns from strangers and from the hub's own agents, and pays the tasks of strangers",
        "Its budgets are limits: /limits treasury.day SATS, and so on",
    ),
)
async def treasury(hub: Hub, call: CommandCall) -> Reply:
    """Show the treasury, or move sats."""
    from bot import views_treasury

    if (way := cast("str | None", call.args.get("in|out"))) is not None:
        return await hub.paying().treasury(call, Way(way), to_msat(cast("int", call.args["sats"])))
    found = await hub.treasury.holdings(call.caller)
    return views_treasury.treasury(found, hub.zone, simulated=hub.wallet.simulated)


@command(
    "/reconcile [book=N] [paid=PREIMAGE] [lost=PAYMENT] [give=ENTRY] [to=WHOM] [again=yes|no]",
    "compare what the Lightning node has with what the books say",
    group="money",
    action=Action.RECONCILE,
    notes=(
        "book=N: put the difference of comparison N into the books, under suspense; it was moved outside this hub",
        "paid=PREIMAGE: the receipt of a payment that the node does not end, all of its 64 digits; it is booked by it",
        "lost=PAYMENT: give such a payment up; its sats are free again",
        "PAYMENT: the first 8 or more of the 64 digits of its hash, as listed; if several begin so, none is changed: say more",
        "give=ENTRY: what came with this entry and stands in suspense has an owner; say who with to=",
        "to=WHOM: a person such as telegram:12345, or treasury",
        "again=yes: give it although suspense has less in all, since some left the node another way",
    ),
)
async def reconcile(hub: Hub, call: CommandCall) -> Reply:
    """Compare the node with the books."""
    from bot import views_lightning, views_reconcile

    number = cast("int | None", call.args.get("book"))
    if number is not None:
        return views_reconcile.booked(await hub.reconciler.book(call.caller, number))
    endings, simulated = hub.paying().endings, hub.wallet.simulated
    if (preimage := cast("str | None", call.args.get("paid"))) is not None:
        return views_lightning.payment(await endings.paid(call.caller, preimage), simulated=simulated)
    if (lost := cast("str | None", call.args.get("lost"))) is not None:
        return views_lightning.payment(await endings.give_up(call.caller, lost), simulated=simulated)
    if (entry := cast("int | None", call.args.get("give"))) is not None:
        return await _given(hub, call, entry)
    waits = views_reconcile.Waiting(
        await endings.unfinished(), await hub.escrow.refusals(), await hub.suspense.unclaimed()
    )
    return views_reconcile.compared(await hub.reconciler.compare(), waits, hub.zone, simulated=simulated)


async def _given(hub: Hub, call: CommandCall, entry: int) -> Reply:
    from bot import views_reconcile

    if (to := cast("str | None", call.args.get("to"))) is None:
        raise MissingArgument(command="reconcile", what="to=WHOM", usage="/reconcile give=ENTRY to=WHOM")
    whom = to if to == TREASURY else hub.pairing.find(to)
    _, amount = await hub.suspense.give(call.caller, entry, whom, key=call.key, short=call.args.get("again") == "yes")
    return views_reconcile.given(entry, whom, amount, simulated=hub.wallet.simulated)


@command(
    "/limits [SCOPE AMOUNT]",
    "what may be spent, and how much of it was",
    group="money",
    action=Action.SEE_MONEY,
    bare=True,
    notes=(
        "SCOPE: payment (of one spend), hour, day; agent:NAME, class:NAME, peer:NAME (within 24 hours)",
        "treasury.day and so on: the same of the treasury; treasury.sold: tasks that strangers paid for",
        "approve: above it a person taps; a person's id, such as telegram:12345: all that they pay and approve within 24 hours",
        "AMOUNT: sats, or off, and then what the settings say holds again; an owner sets it",
    ),
)
async def limits(hub: Hub, call: CommandCall) -> Reply:
    """Show the limits, or change one."""
    from bot import views_money

    if (scope := cast("str | None", call.args.get("scope"))) is not None:
        sats = cast("int | None", call.args["amount"])
        kept, holds = await hub.spending.limit(
            call.caller, scope, None if sats is None else to_msat(sats), key=call.key
        )
        return views_money.limited(kept, holds)
    return views_money.limits(await hub.spending.outlook(call.caller), hub.zone, simulated=hub.wallet.simulated)


@command(
    "/freeze",
    "stop all spending, at once",
    group="money",
    action=Action.FREEZE,
    control=True,
    notes=("Reading, talking, /cancel, refunds, what was awarded and what comes in go on",),
)
async def freeze(hub: Hub, call: CommandCall) -> Reply:
    """Stop all spending."""
    from bot import views_money

    found, new = await hub.spending.freeze(call.caller, key=call.key)
    return views_money.frozen(found, hub.zone, new=new)


@command("/unfreeze", "let spending go on", group="money", action=Action.FREEZE, control=True)
async def unfreeze(hub: Hub, call: CommandCall) -> Reply:
    """Let spending go on."""
    from bot import views_money

    return views_money.thawed(was=await hub.spending.unfreeze(call.caller, key=call.key))
