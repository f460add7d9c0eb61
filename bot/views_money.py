"""Limits, the freeze and transfers, as a person reads them and as a program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import moment
from core.automation.topics import Notice, Topic
from core.chat import Button, Reply
from core.events import Kind
from core.money import format_sats, to_cost, to_sats
from core.tokens import CONSOLE_OWNER, home_of
from core.wallet.limits import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import tzinfo

    from core.events import Event, Json
    from core.wallet.limits import Freeze, Standing
    from core.wallet.spending import Outlook

TOLD = frozenset({
    Kind.SATS_TRANSFERRED, Kind.SPENDING_FROZEN, Kind.SPENDING_UNFROZEN, Kind.LIMIT_CHANGED, Kind.TREASURY_MOVED,
    Kind.TREASURY_SHORT, Kind.SUSPENSE_CAME, Kind.SUSPENSE_GIVEN,
})  # fmt: skip
"""Of money, what somebody is told who did not do it."""

_SECURITY = frozenset({Kind.SPENDING_FROZEN, Kind.SPENDING_UNFROZEN, Kind.LIMIT_CHANGED})

_STOPPED = "Nothing is posted, awarded or paid; /cancel, refunds and what was awarded go on. /unfreeze ends it."


def frozen(found: Freeze, zone: tzinfo | None, *, new: bool) -> Reply:
    """The answer to /freeze."""
    head = "Spending is frozen." if new else f"Spending was frozen already, {moment(found.at, zone)} by {found.by}."
    return Reply(f"{head}\n{_STOPPED}", {"ok": True, "frozen": True, "since": found.at, "by": found.by})


def thawed(*, was: bool) -> Reply:
    """The answer to /unfreeze."""
    words = "Spending goes on. What waited is put up again." if was else "Spending was not frozen."
    return Reply(words, {"ok": True, "frozen": False})


def limited(scope: str, holds: int | None) -> Reply:
    """The answer to a change of a limit: what holds now."""
    words = "none" if holds is None else format_sats(holds)
    return Reply(f"The limit {scope} is {words} now", {"ok": True, **_fact(scope, holds)})


def limits(found: Outlook, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """The answer to /limits."""
    head = "Limits on spending" + (" (simulated sats)" if simulated else "")
    if found.freeze is not None:
        head = f"Spending is frozen, {moment(found.freeze.at, zone)} by {found.freeze.by}. /unfreeze ends it"
    page = Page(head)
    page.table([standing_line(one) for one in found.own])
    tap = "none" if found.approve is None else f"above {format_sats(found.approve)} a person taps"
    page.table([("approve", tap), *(standing_line(one) for one in (*found.people, *found.treasury))])
    rules: list[Json] = [standing_facts(one) for one in (*found.own, *found.people, *found.treasury)]
    rules.append(_fact("approve", found.approve))
    return page.reply({"ok": True, "frozen": found.freeze is not None, "simulated": simulated, "limits": rules})


def standing_line(one: Standing) -> tuple[str, ...]:
    """A limit, and how much of it is used, in columns."""
    if one.window is None:
        return one.scope, "none" if one.limit is None else f"{format_sats(one.limit)} for one spend"
    spent = to_cost(one.spent)
    parts = ", ".join(f"{path} {to_cost(amount):,}" for path, amount in sorted((one.paths or {}).items()))
    ways = f" ({parts})" if len(one.paths or {}) > 1 else ""
    within = "the last hour" if one.window == HOUR else "the last 24 hours"
    if one.limit is None:
        return one.scope, f"none; {spent:,} sats spent in {within}{ways}"
    return one.scope, f"{spent:,} of {format_sats(one.limit)} spent in {within}{ways}"


def _fact(scope: str, limit: int | None) -> dict[str, Json]:
    return {"scope": scope, "limit_sats": None if limit is None else to_sats(limit)}


def standing_facts(one: Standing) -> dict[str, Json]:
    """The same for programs."""
    facts = _fact(one.scope, one.limit)
    if one.window is not None:
        facts |= {"window_s": one.window // 1000, "spent_sats": to_cost(one.spent)}
    if one.window is not None and one.limit is not None:
        facts["left_sats"] = to_sats(max(0, one.limit - one.spent))
    return facts


def told(event: Event, everybody: Callable[[str], Collection[str]], *, simulated: bool) -> Notice:
    """Who is told of what somebody else did with money, and what."""
    data, by = event.data, str(event.data.get("by", ""))
    topic = Topic.MONEY
    if event.kind is Kind.SATS_TRANSFERRED:
        whom, sats = str(data["to"]), int(str(data["amount_sats"]))
        what = f"{'simulated ' if simulated else ''}{'sat' if sats == 1 else 'sats'}"
        facts: dict[str, Json] = {"ok": True, "from": data["from"], "amount_sats": sats, "simulated": simulated}
        reply = Reply(f"{data['from']} paid you {sats:,} {what}. /balance shows what you have", facts)
    elif event.kind is Kind.SUSPENSE_GIVEN and home_of(str(data["to"])) is not None:
        whom, reply = str(data["to"]), _found(event, simulated=simulated)
    else:
        whom, reply = CONSOLE_OWNER, _to_owners(event, by)
        topic = Topic.SECURITY if event.kind in _SECURITY else Topic.TREASURY
    homes = {home for one in everybody(whom) if (home := home_of(one)) is not None}
    return Notice(topic, reply, homes - {home_of(by)})


def _found(event: Event, *, simulated: bool) -> Reply:
    """What had come for somebody is theirs."""
    sats = int(str(event.data["amount_sats"]))
    what = f"{'simulated ' if simulated else ''}{'sat' if sats == 1 else 'sats'}"
    facts: dict[str, Json] = {"ok": True, "amount_sats": sats, "entry": event.data["entry"], "simulated": simulated}
    return Reply(
        f"{sats:,} {what} that came to the node earlier are in your wallet. /balance shows what you have", facts
    )


def _to_owners(event: Event, by: str) -> Reply:
    match event.kind:
        case Kind.TREASURY_MOVED | Kind.TREASURY_SHORT:
            return _of_treasury(event)
        case Kind.SUSPENSE_CAME:
            words = f"{event.data['sats']:,} sats came to the node that nobody here asked for. They wait in suspense:"
            if (waiting := int(str(event.data.get("waiting_sats", 0)))) != event.data["sats"] and waiting > 0:
                words = f"{words[:-1]}, where {waiting:,} sats are in all:"
            words += " /reconcile says how to give such to whom they belong. More that comes today is not told."
            return Reply(words, {"ok": False, **event.data})
        case Kind.SUSPENSE_GIVEN:
            words = f"{by} gave {event.data['amount_sats']:,} sats that were in suspense to {event.data['to']}."
            return Reply(words, {"ok": True, **event.data})
        case Kind.SPENDING_FROZEN:
            return Reply(f"{by} froze all spending.\n{_STOPPED}", {"ok": True, "frozen": True, "by": by})
        case Kind.SPENDING_UNFROZEN:
            return Reply(f"{by} let spending go on.", {"ok": True, "frozen": False, "by": by})
        case _:
            sats = event.data["limit_sats"]
            words = "none" if sats is None else f"{sats:,} sats"
            facts = {"ok": True, "scope": event.data["scope"], "limit_sats": sats, "by": by}
            return Reply(f"{by} changed the limit {event.data['scope']}: it is {words} now.", facts)


def _of_treasury(event: Event) -> Reply:
    """What one of the owners moved, or that a stranger was turned away."""
    data = event.data
    if event.kind is Kind.TREASURY_MOVED:
        words = f"{data['by']} moved {data['amount_sats']:,} sats {'into' if data['way'] == 'in' else 'out of'} the treasury."
        return Reply(words, {"ok": True, **data})
    head = f"A stranger's task of {data['needed_sats']:,} sats was turned away"
    facts: dict[str, Json] = {"ok": False, **data}
    if "limit_sats" not in data:
        words = (
            f"{head}: the treasury has too few sats. Move some there: /treasury in SATS. Strangers are told: not now."
        )
        return Reply(words, facts)
    scope, proposed = str(data["scope"]), data["proposed_sats"]
    words = (
        f"{head}: the treasury's budget {scope} of {data['limit_sats']:,} sats is used up, and strangers are told: not now.\n"
        f"To raise it, for good: /limits {scope} {proposed}"
    )
    return Reply(words, facts, buttons=(Button(f"Raise it to {proposed:,}", f"/limits {scope} {proposed}"),))
