"""The life of a payment that is held at the node for a task: escrow in which the hub never has the sats before the worker has them.

`asking` (the row and its preimage are committed) -> `open` (the node made the invoice) -> `held` (it was paid, and the task is
posted in the same commit) -> `taking` or `giving`, decided in the commit that ends the task -> `taken` or `given`, once the node
has done it. `lost`: the worker was paid, and the node has let go of what was held. What is held runs out at a height of the block
chain, whatever any clock says; all is decided before that, by `MARGIN` blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from core.wallet.lightning import InvoiceState

if TYPE_CHECKING:
    from core.wallet.lightning import NodeInvoice

MARGIN = 18
"""Blocks. LND lets go of what is held 12 blocks before its end, to save the channel (invoices/invoice_expiry_watcher.go): that
leaves an hour to decide."""

BLOCK_MS = 600_000
"""What a block takes on average."""

LONGEST_MS = 6 * 3_600_000
"""The longest time of a task that is paid so: the payer's sats, and those of every node on the way, are bound meanwhile."""

EXPIRY_SECONDS = 3600
"""How long its invoice can be paid."""

GRACE_MS = 60_000
"""How long after that the node is waited for to call it off by itself."""

UNPAID = "nobody paid it in time"


class State(StrEnum):
    """Where it stands in the books."""

    ASKING = "asking"
    OPEN = "open"
    HELD = "held"
    TAKING = "taking"
    GIVING = "giving"
    TAKEN = "taken"
    GIVEN = "given"
    LOST = "lost"


OVER = frozenset({State.TAKEN, State.GIVEN, State.LOST})
UNPOSTED = frozenset({State.ASKING, State.OPEN})


@dataclass(frozen=True, slots=True)
class HoldInvoice:
    """An order that waits to be paid, or what is held for its task. Amounts in msat, times Unix ms.

    `order`: what was ordered, as JSON; `requester` and `payer`: whose task it is, and whose wallet gets what is left. `preimage` is
    a secret until the sats are taken. `received` and `held_until` (a block height) are 0 until it is held.
    """

    id: int
    payment_hash: bytes
    preimage: bytes = field(repr=False)
    backend: str
    requester: str
    payer: str
    conversation: str
    order: str
    amount: int
    expires_at: int
    at: int
    bolt11: str = ""
    state: State = State.ASKING
    task: int | None = None
    received: int = 0
    held_until: int = 0
    why: str = ""
    ended_at: int | None = None


class Next(StrEnum):
    """What is to be done about one, now that the node has said how its invoice stands."""

    WAIT = "wait"
    POST = "post its task"
    GIVE = "call it off at the node"
    GIVEN = "book that nothing is held any more"
    RUN_OUT = "end its task: it can be held no longer"
    GONE = "end its task: it is held no more"
    TAKEN = "book that the node has the sats"
    LOST = "book that the node let go of what the worker was paid with"


def after_looking(one: HoldInvoice, found: NodeInvoice | None, height: int, now: int, *, synced: bool = True) -> Next:
    """What follows from what the node says of the invoice (None: it knows of none) at a block height, 0: it does not say which.

    A node that is not `synced` with the chain is asked again, but where it says what stays so: that it has the sats, that it let go
    of them, or that the chain is so high at least.
    """
    what = _after_looking(one, found, height, now)
    stays = found is not None and found.state is InvoiceState.CANCELLED
    return what if synced or stays or what in {Next.TAKEN, Next.RUN_OUT} else Next.WAIT


def _after_looking(one: HoldInvoice, found: NodeInvoice | None, height: int, now: int) -> Next:
    state = InvoiceState.CANCELLED if found is None else found.state
    match one.state:
        case State.ASKING:
            return _late(one, now)
        case State.OPEN:
            return _late(one, now) if state is InvoiceState.OPEN else _OF_OPEN[state]
        case State.HELD if state is InvoiceState.HELD and runs_out(one.held_until, height):
            return Next.RUN_OUT
        case State.HELD | State.TAKING | State.GIVING:
            return _DECIDED[one.state].get(state, Next.WAIT)
        case State.TAKEN | State.GIVEN | State.LOST:
            return Next.WAIT
        case _:
            assert_never(one.state)


_OF_OPEN = {
    InvoiceState.HELD: Next.POST,
    InvoiceState.CANCELLED: Next.GIVEN,
    InvoiceState.SETTLED: Next.TAKEN,
}
_DECIDED = {
    State.HELD: {InvoiceState.CANCELLED: Next.GONE, InvoiceState.OPEN: Next.GONE},
    State.TAKING: {
        InvoiceState.CANCELLED: Next.LOST, InvoiceState.OPEN: Next.LOST, InvoiceState.SETTLED: Next.TAKEN,
    },
    State.GIVING: {InvoiceState.CANCELLED: Next.GIVEN, InvoiceState.SETTLED: Next.TAKEN},
}  # fmt: skip
"""What else the node says means that it was asked too early: it is asked again."""


def _late(one: HoldInvoice, now: int) -> Next:
    """Nobody has paid it yet."""
    return Next.GIVE if now > one.expires_at + GRACE_MS else Next.WAIT


def runs_out(held_until: int, height: int) -> bool:
    """Whether it is time to decide, or cannot be told."""
    return height <= 0 or height + MARGIN >= held_until


def room(held_until: int, height: int) -> int:
    """How long something can be held with certainty enough, ms; 0 where a height is not known."""
    return max(0, held_until - height - MARGIN) * BLOCK_MS if height > 0 else 0
