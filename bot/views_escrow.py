"""What a node was told to do with what it holds for tasks, and refuses to: for the owners, and for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.chat import Reply
from core.ids import task_name
from core.money import format_sats, to_sats
from core.wallet.hold import OVER, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.events import Event, Json
    from core.wallet.held import Stuck
    from core.wallet.hold import HoldInvoice


def refused(found: Stuck | None, event: Event, *, simulated: bool) -> Reply | None:
    """Told to the owners: the node does not do what was decided about what it holds, and what comes of that."""
    if found is None or found.one.state in OVER:
        return None  # it has done it since
    one = found.one
    data: dict[str, Json] = {"ok": False, **refusal(found), "simulated": simulated}
    if not one.received:
        text = f"The node will not call off order {one.id}: {found.why.rstrip('.')}.\nIt is told again and again; "
        return Reply(f"{text}what is paid for it meanwhile is held, posts nothing, and goes back.", data)
    kept = format_sats(one.received, simulated=simulated)
    text = f"The node will not {_refuses(one)} the {kept} that it holds for {_what_for(one)}: "
    text += f"{found.why.rstrip('.')}.\n"
    if event.data["overdue"]:
        text += f"Block {one.held_until:,} is past, and it says that it still holds them. See to the node: "
        return Reply(f"{text}nothing is booked before it says what became of them.", data)
    text += "It is told again and again. "
    if one.state is State.GIVING:
        return Reply(
            f"{text}They go back to whoever paid by themselves at block {one.held_until:,} at the latest.", data
        )
    text += f"If it has not taken them before block {one.held_until:,} they go back to whoever paid: "
    paid = format_sats(found.paid, simulated=simulated)
    return Reply(f"{text}the worker keeps what it was paid, {paid}, and the hub has lost them.", data)


def with_orders(listed: Reply, orders: Sequence[HoldInvoice]) -> Reply:
    """A list of tasks, with the orders of whoever asked that become tasks once they are paid."""
    if not orders:
        return listed
    facts: list[Json] = [
        {"order": one.id, "state": one.state.value, "budget_sats": to_sats(one.amount)} for one in orders
    ]
    rows = "\n".join(
        f"order {one.id}  {format_sats(one.amount)}  waits to be paid; call it off: /cancel order={one.id}"
        for one in orders
    )
    return replace(listed, text=f"{listed.text}\n{rows}", data={**listed.data, "orders": facts})


def _refuses(one: HoldInvoice) -> str:
    return "take" if one.state is State.TAKING else "give back"


def _what_for(one: HoldInvoice) -> str:
    return task_name(one.task) if one.task else f"order {one.id}"


def refusal(found: Stuck) -> dict[str, Json]:
    """The facts."""
    one = found.one
    return {
        "order": one.id, "task": task_name(one.task) if one.task else None, "state": one.state.value,
        "payment_hash": one.payment_hash.hex(), "amount_sats": to_sats(one.received), "until_block": one.held_until,
        "why": found.why,
    }  # fmt: skip


def line(found: Stuck) -> str:
    """One of a list."""
    one = found.one
    if not one.received:
        return f"  order {one.id}: the node will not call it off: {found.why}"
    until = f"until block {one.held_until:,}"
    return f"  held for {_what_for(one)}  {format_sats(one.received)}, {until}: the node will not {_refuses(one)} them: {found.why}"
