"""The treasury's rules: what counts as earned and as spent, and what its owners are asked when a budget is too small.

It earns what strangers pay at the gate and what the hub's own personas are paid; it spends on the tasks that strangers bought and
on what owners have it pay. Its budgets are the limits `treasury.day` and the like; what strangers bought is done out of what they
paid, and counts in `treasury.sold` alone (`core/wallet/limits.py`, docs/adr/0023).
Source: MONEY, "Limits and people".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

QUARTER = 900_000
"""Ms. Movements are summed by quarters of an hour, with which every zone's day begins."""

MOVED = "treasury"
"""The kind of entry by which an owner moves sats in or out: neither earned nor spent."""

_EARNS = {"sale": "sales", "settle": "agents"}
_SPENDS = {"escrow": "tasks", "refund": "tasks", "payment": "payments", "inside": "payments"}


class Flow(NamedTuple):
    """What came into an account and went out of it, msat, both from 0."""

    received: int
    sent: int


class Turnover(NamedTuple):
    """What the treasury earned and spent, msat by what for, and what owners moved in and out.

    What came back of a task is taken off what tasks cost: of a time in which more came back than was spent, that is negative.
    """

    earned: Mapping[str, int]
    spent: Mapping[str, int]
    moved_in: int = 0
    moved_out: int = 0

    @property
    def earnings(self) -> int:
        """All that was earned."""
        return sum(self.earned.values())

    @property
    def spendings(self) -> int:
        """All that was spent."""
        return sum(self.spent.values())


def turnover(flows: Mapping[str, Flow]) -> Turnover:
    """What movements by kind of entry come to. A kind that is not known counts as what it did: it came in, or went out."""
    earned: dict[str, int] = {}
    spent: dict[str, int] = {}
    moved = flows.get(MOVED, Flow(0, 0))
    for kind, flow in sorted(flows.items()):
        if kind == MOVED:
            continue
        if (what := _SPENDS.get(kind)) is not None:
            spent[what] = spent.get(what, 0) + flow.sent - flow.received
        elif (what := _EARNS.get(kind)) is not None:
            earned[what] = earned.get(what, 0) + flow.received - flow.sent
        else:
            for whole, amount in ((earned, flow.received), (spent, flow.sent)):
                if amount:
                    whole["other"] = whole.get("other", 0) + amount
    return Turnover(_moved(earned), _moved(spent), moved.received, moved.sent)


def _moved(amounts: dict[str, int]) -> dict[str, int]:
    return {what: amount for what, amount in amounts.items() if amount}


def proposal(limit: int, spent: int, needed: int) -> int:
    """The budget that owners are asked for where `needed` msat went over one: twice as much, and enough for this at least."""
    return max(2 * limit, spent + needed)


def day_of(now: int, zone: tzinfo | None, hour: int = 0) -> tuple[str, int]:
    """The day of `now` (Unix ms), and its start: (`2026-11-23`, ms). Days begin at this hour in a zone (None: the system's)."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone)
    start = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if start > local:
        start -= timedelta(days=1)
    return start.date().isoformat(), round(start.timestamp() * 1000)


def next_day(now: int, zone: tzinfo | None, hour: int = 0) -> int:
    """When the next day begins, Unix ms."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone)
    start = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return round((start if start > local else start + timedelta(days=1)).timestamp() * 1000)
