"""The treasury as its owners read it and as a program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import moment
from bot.views_money import standing_facts, standing_line
from core.chat import Reply
from core.money import format_cost, format_sats, to_cost, to_sats
from core.treasury.treasury import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from core.events import Json
    from core.treasury.policy import Turnover
    from core.treasury.treasury import Holdings

_WHATS = {
    "sales": "sales to strangers", "agents": "the hub's own agents", "tasks": "tasks of strangers", "payments": "payments",
    "other": "other",
}  # fmt: skip


def treasury(found: Holdings, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """The answer to /treasury."""
    account = found.account
    page = Page(f"The treasury has {format_sats(account.available, simulated=simulated)} free")
    if found.freeze is not None:
        page.add(f"Spending is frozen, {moment(found.freeze.at, zone)} by {found.freeze.by}. /unfreeze ends it")
    if account.held:
        page.add(f"{format_cost(account.held)} more are set aside for open tasks and payments")
    spans = (("today", found.today), ("last 24 hours", found.day), ("in all", found.whole))
    page.table([("", "earned", "spent"), *((name, *_both(one)) for name, one in spans)])
    if found.whole.earned:
        page.add(f"earned in all: {parts(found.whole.earned, to_sats)}")
    if found.whole.spent:
        page.add(f"spent in all: {parts(found.whole.spent, to_cost)}")
    if found.whole.moved_in or found.whole.moved_out:
        page.add(f"owners moved {format_sats(found.whole.moved_in)} in and {format_sats(found.whole.moved_out)} out")
    page.table([standing_line(one) for one in found.budgets])
    data: dict[str, Json] = {
        "ok": True, "balance_sats": to_sats(account.available), "held_sats": to_cost(account.held), "simulated": simulated,
        "frozen": found.freeze is not None, "today": _facts(found.today), "day": _facts(found.day), "whole": _facts(found.whole),
        "budgets": [standing_facts(one) for one in found.budgets],
    }  # fmt: skip
    return page.reply(data)


def _both(one: Turnover) -> tuple[str, str]:
    return format_sats(one.earnings), format_cost(one.spendings)


def parts(amounts: Mapping[str, int], whole: Callable[[int], int]) -> str:
    """`sales to strangers 500, the hub's own agents 40`; `whole` makes sats of msat."""
    return ", ".join(f"{_WHATS[what]} {whole(amount):,}" for what, amount in sorted(amounts.items()))


def _facts(one: Turnover) -> dict[str, Json]:
    return {
        "earned_sats": to_sats(one.earnings), "spent_sats": to_cost(one.spendings), "moved_in_sats": to_sats(one.moved_in),
        "moved_out_sats": to_sats(one.moved_out),
    }  # fmt: skip


def asks(way: Way, amount: int, *, simulated: bool) -> str:
    """What is asked before so much is moved."""
    ways = "into the treasury" if way is Way.IN else "out of the treasury, to its owners' wallet"
    return f"Move {format_sats(amount, simulated=simulated)} {ways}?"


def moved(way: Way, amount: int, *, simulated: bool) -> Reply:
    """Sats were moved."""
    ways = "into" if way is Way.IN else "out of"
    data: dict[str, Json] = {
        "ok": True,
        "way": way.value,
        "amount_sats": to_sats(amount),
        "simulated": simulated,
    }
    return Reply(f"Moved {format_sats(amount, simulated=simulated)} {ways} the treasury", data)
