"""The comparison of node and books as an owner reads it and as a program does, with all that waits for the node or for an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.views import PAGE as ROWS
from bot.views import moment
from bot.views_escrow import line, refusal
from bot.views_lightning import sats
from core.chat import Button, Reply
from core.money import format_cost, format_sats, to_sats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.events import Json
    from core.wallet.held import Refusal
    from core.wallet.payment import Payment
    from core.wallet.reconcile import Comparison


def compared(
    found: Comparison, unfinished: Sequence[Payment], refusals: Sequence[Refusal], zone: tzinfo | None, *, simulated: bool
) -> Reply:  # fmt: skip
    """The node and the books, side by side, what the node has not ended and what it refuses; a button books what differs."""
    differs = found.difference
    data: dict[str, Json] = {
        "ok": differs == 0 and not refusals, "comparison": found.id, "node_sats": to_sats(found.node),
        "books_sats": to_sats(found.books), "in_flight_sats": to_sats(found.in_flight), "difference_msat": differs,
        "simulated": simulated,
        "unfinished": [{"payment_hash": one.payment_hash.hex(), "state": one.state.value, "since": one.at} for one in unfinished],
        "refused": [refusal(one) for one in refusals],
    }  # fmt: skip
    lines = f"node   {sats(found.node, simulated=simulated)}\nbooks  {format_sats(found.books)}"
    if found.coming:
        lines += f"\non its way in, held for tasks  {format_sats(found.coming)}"
    if found.in_flight:
        lines += f"\non its way out  up to {format_cost(found.in_flight)}"
    lines += "".join(f"\n{_unended(one, zone)}" for one in unfinished[:ROWS])
    lines += f"\nand {len(unfinished) - ROWS} more" if len(unfinished) > ROWS else ""
    lines += "".join(f"\n{line(one)}" for one in refusals[:ROWS])
    if not differs:
        return Reply(f"The node has what the books say\n{lines}", data)
    more = "more" if differs > 0 else "less"
    head = f"The node has {abs(differs):,} msat {more} than the books say"
    why = "Somebody moved sats at the node without this hub, or its fees changed. Have it booked once you know why: "
    why += f"/reconcile book={found.id}"
    return Reply(f"{head}\n{lines}\n{why}", data, buttons=(Button("Book it", f"/reconcile book={found.id}"),))


def _unended(one: Payment, zone: tzinfo | None) -> str:
    why = f": {one.why}" if one.why else ""
    return f"  {one.payment_hash.hex()[:8]}  {format_cost(one.amount)}, {moment(one.at, zone)}{why}"


def booked(found: Comparison) -> Reply:
    """A difference is in the books now."""
    words = f"Booked {found.difference:+,} msat to suspense; the books say what the node has"
    return Reply(words, {"ok": True, "comparison": found.id, "difference_msat": found.difference})
