"""The daily report as its owners read it and as a program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import moment
from bot.views_money import standing_facts
from bot.views_treasury import parts
from core.money import format_cost, format_sats, to_cost, to_msat, to_sats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from core.chat import Reply
    from core.events import Json
    from core.treasury.report import Report
    from core.wallet.limits import Standing

_KINDS = {
    "invoice": "invoices", "sale": "sales to strangers", "suspense": "nobody here asked for", "payment": "payments",
    "settle": "work", "transfer": "transfers", "inside": "invoices of this hub", "treasury": "in and out of the treasury",
    "link": "linked wallets", "reconcile": "booked differences", "taken": "held for tasks", "lost": "let go of by the node",
    "claimed": "given out of suspense",
}  # fmt: skip
_NOTHING = "0 sats"


def report(found: Report, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """The report of a day; what is wrong stands first."""
    span = f"{moment(found.span.since, zone)} to {moment(found.span.until, zone)}"
    kind = " (simulated sats)" if simulated else ""
    page = Page(f"Something is wrong with the money{kind}" if found.wrong else f"The money of the day{kind}")
    for line in _wrong(found, zone):
        page.add(line)
    page.add(span)
    came, went, inside = found.moves
    moves = (("in", _sums(came, to_sats)), ("out", _sums(went, to_cost)), ("inside", _sums(inside, to_sats)))
    page.table([*moves, ("treasury", _treasury(found))])
    if found.holds[0]:
        page.add(f"{format_cost(found.holds[1])} are set aside in {_counted(found.holds[0], 'open hold')}")
    if not isinstance(found.node, str) and not found.differs:
        page.add(f"The node has what the books say: {format_sats(found.node.node, simulated=simulated)}")
    page.add(_books(found))
    return page.reply(_data(found, simulated=simulated))


def _wrong(found: Report, zone: tzinfo | None) -> list[str]:
    lines: list[str] = []
    if isinstance(found.books, str):
        lines.append(found.books)
    if isinstance(found.node, str):
        lines.append(f"The node was not compared with the books: {found.node}")
    elif found.differs:
        more = "more" if found.node.difference > 0 else "less"
        lines.append(
            f"The node has {abs(found.node.difference):,} msat {more} than the books say. /reconcile says more"
        )
    if found.late[0]:
        count = _counted(found.late[0], "payment")
        lines.append(
            f"{count} of {format_cost(found.late[1])} did not end within an hour; the node is asked again and again"
        )
    lines += [_used_up(one) for one in found.used_up]
    if found.freeze is not None:
        lines.append(f"Spending is frozen, {moment(found.freeze.at, zone)} by {found.freeze.by}. /unfreeze ends it")
    return lines


def _used_up(one: Standing) -> str:
    return f"The limit {one.scope} is used: {to_cost(one.spent):,} of {format_sats(one.limit or 0)} in 24 hours"


def _sums(amounts: Mapping[str, int], whole: Callable[[int], int]) -> str:
    if not amounts:
        return _NOTHING
    each = ", ".join(f"{_KINDS.get(kind, kind)} {whole(amount):,}" for kind, amount in sorted(amounts.items()))
    return f"{format_sats(to_msat(whole(sum(amounts.values()))))} ({each})"


def _treasury(found: Report) -> str:
    one = found.treasury
    earned = f" ({parts(one.earned, to_sats)})" if one.earned else ""
    spent = f" ({parts(one.spent, to_cost)})" if one.spent else ""
    words = f"earned {format_sats(one.earnings)}{earned}, spent {format_cost(one.spendings)}{spent}"
    return f"{words}; {format_sats(found.balance)} free"


def _books(found: Report) -> str:
    if found.books is None:
        return "The books are long and were not walked: timmy ledger verify does it"
    if isinstance(found.books, str):
        return "timmy ledger verify says where the books are broken"
    return f"The books balance: {found.books.entries:,} entries"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _data(found: Report, *, simulated: bool) -> dict[str, Json]:
    came, went, inside = (
        {kind: whole(amount) for kind, amount in one.items()}
        for one, whole in zip(found.moves, (to_sats, to_cost, to_sats), strict=True)
    )
    compared = None if isinstance(found.node, str) else found.node.difference
    return {
        "ok": not found.wrong, "report": found.span.day, "since": found.span.since, "until": found.span.until,
        "in_sats": dict(came), "out_sats": dict(went), "inside_sats": dict(inside), "simulated": simulated,
        "treasury": {
            "balance_sats": to_sats(found.balance), "earned_sats": to_sats(found.treasury.earnings),
            "spent_sats": to_cost(found.treasury.spendings),
        },
        "open_holds": found.holds[0], "late_payments": found.late[0], "difference_msat": compared,
        "books": None if found.books is None else not isinstance(found.books, str), "frozen": found.freeze is not None,
        "used_up": [standing_facts(one) for one in found.used_up],
    }  # fmt: skip
