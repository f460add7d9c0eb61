"""A purchase in words: the price, who got it, and what came back for it; or the question whether it may be paid."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.chat import File, Mark, Reply, Style
from core.money import format_cost, to_cost
from core.wallet.goods import goods
from core.wallet.purchase import host_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.events import Json
    from core.wallet.buying import Asks, Bought

    Keep = Callable[[str, bytes], Awaitable[str]]
    """Keeps what a file of this name holds, and says where."""


async def delivered(bought: Bought, keep: Keep, *, simulated: bool) -> Reply:
    """The page that was bought, in columns and lines as it came: nothing in it is a command, a link or a style of the hub's."""
    host = host_of(bought.page.url)
    got = await asyncio.to_thread(goods, bought.page, host)  # a large one takes a second
    files = (File(got.file, await keep(got.file, bought.page.body)),) if got.file else ()
    head = f"From {host}, {_price(bought, simulated=simulated)}:"
    text = "\n".join(filter(None, (head, got.text or ("" if files else "(nothing)"))))
    marks = (Mark(len(head) + 1, len(text), Style.PRE),) if got.text else ()
    facts: dict[str, Json] = {"ok": True, "host": host, "state": "bought", "simulated": simulated}
    if bought.purchase is not None:
        facts |= {"payment_hash": bought.purchase.payment_hash.hex(), "price_sats": to_cost(bought.purchase.amount)}
    return Reply(text, facts, files=files, marks=marks)


def _price(bought: Bought, *, simulated: bool) -> str:
    if bought.purchase is None:
        return "at no cost"
    if bought.before:
        return "with a token that was paid for before"
    return f"for {format_cost(bought.purchase.amount)}{' (simulated)' if simulated else ''}"


def question(asks: Asks, *, simulated: bool) -> str:
    """What a person is asked before anything is paid."""
    return f"{asks.words}{' The sats are simulated.' if simulated else ''} Pay it?"
