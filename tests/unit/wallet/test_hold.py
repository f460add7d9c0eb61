"""What follows from what a node says of a held payment, and how long it can be held."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.wallet.hold import BLOCK_MS, EXPIRY_SECONDS, GRACE_MS, MARGIN, HoldInvoice, Next, State, after_looking, room
from core.wallet.lightning import InvoiceState, NodeInvoice

HASH = bytes(32)
UNTIL = 1_000
ONE = HoldInvoice(1, HASH, b"p" * 32, "lnd", "a", "a", "c", "{}", 5_000, EXPIRY_SECONDS * 1000, 0, held_until=UNTIL)
LATE = ONE.expires_at + GRACE_MS + 1
NONE = None
OPEN, HELD, SETTLED, CANCELLED = InvoiceState.OPEN, InvoiceState.HELD, InvoiceState.SETTLED, InvoiceState.CANCELLED


def look(state: State, found: InvoiceState | None, *, height: int = 1, now: int = 0, synced: bool = True) -> Next:
    told = None if found is None else NodeInvoice(HASH, "ln", 5_000, ONE.expires_at, found, held_until=UNTIL)
    return after_looking(replace(ONE, state=state), told, height, now, synced=synced)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (State.ASKING, {NONE: Next.WAIT, OPEN: Next.WAIT}),
        (State.OPEN, {NONE: Next.GIVEN, OPEN: Next.WAIT, HELD: Next.POST, CANCELLED: Next.GIVEN, SETTLED: Next.TAKEN}),
        (State.HELD, {NONE: Next.GONE, OPEN: Next.GONE, HELD: Next.WAIT, CANCELLED: Next.GONE, SETTLED: Next.WAIT}),
        (
            State.TAKING,
            {NONE: Next.LOST, OPEN: Next.LOST, HELD: Next.WAIT, CANCELLED: Next.LOST, SETTLED: Next.TAKEN},
        ),
        (
            State.GIVING,
            {NONE: Next.GIVEN, OPEN: Next.WAIT, HELD: Next.WAIT, CANCELLED: Next.GIVEN, SETTLED: Next.TAKEN},
        ),
        *((over, dict.fromkeys((NONE, *InvoiceState), Next.WAIT)) for over in (State.TAKEN, State.GIVEN, State.LOST)),
    ],
)
def test_what_the_node_says_decides_what_follows(state: State, says: dict[InvoiceState | None, Next]) -> None:
    assert {found: look(state, found) for found in says} == says


def test_a_node_that_is_behind_the_chain_is_believed_only_what_can_not_be_undone() -> None:
    every = (NONE, *InvoiceState)
    for state in State:
        expected = dict.fromkeys(every, Next.WAIT)
        if state in {State.OPEN, State.TAKING, State.GIVING}:
            expected[SETTLED] = Next.TAKEN
        expected[CANCELLED] = look(state, CANCELLED, now=LATE)
        assert {found: look(state, found, now=LATE, synced=False) for found in every} == expected
    assert look(State.HELD, CANCELLED, synced=False) is Next.GONE, "whoever is paid with it later is paid by the hub"
    assert look(State.HELD, HELD, height=UNTIL - MARGIN, synced=False) is Next.RUN_OUT, "it is as high at least"


def test_what_nobody_pays_is_called_off_when_its_invoice_is_over() -> None:
    assert look(State.ASKING, NONE, now=LATE - 1) is look(State.OPEN, OPEN, now=LATE - 1) is Next.WAIT
    assert look(State.ASKING, NONE, now=LATE) is look(State.OPEN, OPEN, now=LATE) is Next.GIVE
    assert look(State.OPEN, HELD, now=LATE) is Next.POST, "it was paid in time"


def test_it_is_decided_in_time_by_height_alone() -> None:
    year = 365 * 86_400_000
    assert look(State.HELD, HELD, height=UNTIL - MARGIN - 1, now=year) is Next.WAIT, "whatever the clock says"
    assert look(State.HELD, HELD, height=UNTIL - MARGIN) is Next.RUN_OUT
    assert look(State.HELD, HELD, height=0) is Next.RUN_OUT, "nobody knows"
    assert look(State.HELD, CANCELLED, height=UNTIL) is Next.GONE
    assert look(State.HELD, SETTLED, height=UNTIL) is Next.WAIT


def test_there_is_room_for_what_can_be_held_with_a_margin() -> None:
    assert room(UNTIL, UNTIL - MARGIN - 6) == 6 * BLOCK_MS
    assert room(UNTIL, UNTIL - MARGIN) == room(UNTIL, UNTIL + 5) == 0
    assert room(UNTIL, 0) == room(0, 700_000) == 0, "what is not known leaves none"


def test_the_secret_shows_nowhere() -> None:
    assert "ppp" not in repr(ONE)
