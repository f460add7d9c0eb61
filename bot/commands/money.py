"""Money: what one has, and how it came to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bot import views
from bot.registry import command
from core.access import Action
from core.wallet.ledger import user_account

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import CommandCall, Reply


@command(
    "/balance",
    "your sats: free, held for open tasks, and in escrow",
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
    return views.history(lines, limit, hub.zone, simulated=hub.wallet.simulated)
