"""The comparison of node and books as an owner reads it and as a program does, with all that waits for the node or for an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.views import PAGE as ROWS
from bot.views import moment
from bot.views_escrow import line, refusal
from core.chat import Button, Reply
from core.money import format_cost, format_sats, to_cost, to_sats
from core.wallet.suspense import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.events import Json
    from core.wallet.held import Stuck
    from core.wallet.payment import Payment
    from core.wallet.reconcile import Comparison
    from core.wallet.suspense import Unclaimed


class Waiting(NamedTuple):
    """What the node has not ended, what it refuses, and what waits for an owner to say whose it is."""

    unfinished: Sequence[Payment]
    refusals: Sequence[Stuck]
    unclaimed: Sequence[Unclaimed]


def compared(found: Comparison, waits: Waiting, zone: tzinfo | None, *, simulated: bool) -> Reply:
    """The node and the books, side by side, and what waits; a button books what differs."""
    differs, unfinished, refusals, unclaimed = found.difference, waits.unfinished, waits.refusals, waits.unclaimed
    data: dict[str, Json] = {
        "ok": differs == 0 and not refusals, "comparison": found.id, "node_sats": to_sats(found.node),
        "books_sats": to_sats(found.books), "in_flight_sats": to_cost(found.in_flight), "difference_msat": differs,
        "simulated": simulated,
        "unfinished": [{"payment_hash": one.payment_hash.hex(), "state": one.state.value, "since": one.at} for one in unfinished],
        "refused": [refusal(one) for one in refusals],
        "suspense": [{"entry": one.entry, "amount_sats": to_sats(one.amount), "at": one.at} for one in unclaimed],
    }  # fmt: skip
    lines = f"node   {format_sats(found.node, simulated=simulated)}\nbooks  {format_sats(found.books)}"
    if found.coming:
        lines += f"\non its way in, held for tasks  {format_sats(found.coming)}"
    if found.in_flight:
        lines += f"\non its way out  up to {format_cost(found.in_flight)}"
    lines += "".join(f"\n{_unended(one, zone)}" for one in unfinished[:ROWS])
    lines += f"\nand {len(unfinished) - ROWS} more" if len(unfinished) > ROWS else ""
    lines += "".join(f"\n{line(one)}" for one in refusals[:ROWS])
    lines += f"\nand {len(refusals) - ROWS} more that the node refuses" if len(refusals) > ROWS else ""
    lines += _suspense(unclaimed, zone)
    if not differs:
        under_way = found.coming or found.in_flight
        return Reply(f"The node has what the books say{', with what is under way' if under_way else ''}\n{lines}", data)
    more = "more" if differs > 0 else "less"
    head = f"The node has {abs(differs):,} msat {more} than the books say"
    why = "Somebody moved sats at the node without this hub, or its fees changed. Have it booked once you know why: "
    why += f"/reconcile book={found.id}"
    return Reply(f"{head}\n{lines}\n{why}", data, buttons=(Button("Book it", f"/reconcile book={found.id}"),))


def _unended(one: Payment, zone: tzinfo | None) -> str:
    why = f": {one.why}" if one.why else ""
    return f"  {one.payment_hash.hex()[:8]}  {format_cost(one.amount)}, {moment(one.at, zone)}{why}"


def _suspense(unclaimed: Sequence[Unclaimed], zone: tzinfo | None) -> str:
    """What waits for an owner's word, the newest first: a page of it, how much there is, and how to get at the rest."""
    if not unclaimed:
        return ""
    lines = "".join(f"\n{_unclaimed(one, zone)}" for one in unclaimed[:ROWS])
    if len(unclaimed) > ROWS:
        least = "at least " if len(unclaimed) >= SHOWN else ""
        whole = format_sats(sum(one.amount for one in unclaimed))
        lines += f"\nand {least}{len(unclaimed) - ROWS} more; together {least}{whole} in suspense: "
        lines += "what you give makes room for the next"
    return f"{lines}\nSay whose it is, once you know: /reconcile give=ENTRY to=WHOM"


def _unclaimed(one: Unclaimed, zone: tzinfo | None) -> str:
    payment = f", payment {one.payment.hex()[:8]}" if one.payment else ""
    return f"  in suspense, entry {one.entry}  {format_sats(one.amount)}, {moment(one.at, zone)}{payment}: {one.reason}"


def given(entry: int, whom: str, amount: int, *, simulated: bool) -> Reply:
    """What an entry had put into suspense has an owner."""
    data: dict[str, Json] = {
        "ok": True,
        "entry": entry,
        "to": whom,
        "amount_sats": to_sats(amount),
        "simulated": simulated,
    }
    return Reply(f"{format_sats(amount, simulated=simulated)} of entry {entry} are {whom}'s now", data)


def booked(found: Comparison) -> Reply:
    """A difference is in the books now."""
    words = f"Booked {found.difference:+,} msat to suspense; the books say what the node has"
    return Reply(words, {"ok": True, "comparison": found.id, "difference_msat": found.difference})
