"""What happened, as facts: one row each, written in the unit of work that made it true.

Events feed notifications, the status page and `/events`; they are never the state itself. `data` holds only
JSON values. Texts that people or models wrote stay out of events, so that a stream can be shown without leaking them.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = None | bool | int | float | str
Json = Scalar | list["Json"] | dict[str, "Json"]


class Kind(StrEnum):
    """Every event the hub emits; the value is its public `type` in `/events`."""

    TASK_POSTED = "TaskPosted"
    TASK_WAITING = "TaskWaiting"
    AUCTION_OPENED = "AuctionOpened"
    BID_PLACED = "BidPlaced"
    BID_REFUSED = "BidRefused"
    AUCTION_VOID = "AuctionVoid"
    TASK_AWARDED = "TaskAwarded"
    TASK_STARTED = "TaskStarted"
    TASK_PROGRESSED = "TaskProgressed"  # told to who looks on, with the worker's words; never written
    ATTEMPT_FAILED = "AttemptFailed"
    TASK_DELIVERED = "TaskDelivered"
    TASK_REJECTED = "TaskRejected"
    TASK_SETTLED = "TaskSettled"
    TASK_FAILED = "TaskFailed"
    TASK_CANCELLED = "TaskCancelled"
    TASK_EXPIRED = "TaskExpired"
    AGENT_SPAWNED = "AgentSpawned"
    AGENT_DISMISSED = "AgentDismissed"
    AGENT_DOWN = "AgentDown"
    AGENT_UP = "AgentUp"
    BOOK_OPENED = "BookOpened"
    INVOICE_SETTLED = "InvoiceSettled"
    PAYMENT_SUCCEEDED = "PaymentSucceeded"
    PAYMENT_FAILED = "PaymentFailed"
    ESCROW_HELD = "EscrowHeld"
    ESCROW_ENDING = "EscrowEnding"
    ESCROW_TAKEN = "EscrowTaken"
    ESCROW_GIVEN = "EscrowGiven"
    ESCROW_LOST = "EscrowLost"
    ESCROW_REFUSED = "EscrowRefused"
    SUSPENSE_CAME = "SuspenseCame"
    SUSPENSE_GIVEN = "SuspenseGiven"
    SATS_TRANSFERRED = "SatsTransferred"
    SPENDING_FROZEN = "SpendingFrozen"
    SPENDING_UNFROZEN = "SpendingUnfrozen"
    LIMIT_CHANGED = "LimitChanged"
    TREASURY_MOVED = "TreasuryMoved"
    TREASURY_SHORT = "TreasuryShort"
    APPROVAL_ASKED = "ApprovalAsked"
    APPROVAL_SETTLED = "ApprovalSettled"
    SCHEDULE_MADE = "ScheduleMade"
    SCHEDULE_PAUSED = "SchedulePaused"
    SCHEDULE_OVERDUE = "ScheduleOverdue"
    SCHEDULE_ENDED = "ScheduleEnded"
    SURFACE_DOWN = "SurfaceDown"
    SURFACE_UP = "SurfaceUp"
    HANDLER_FAILED = "HandlerFailed"
    ACTOR_PAIRED = "ActorPaired"
    ACTOR_UNPAIRED = "ActorUnpaired"
    ACTOR_LINKED = "ActorLinked"
    ACTOR_UNLINKED = "ActorUnlinked"
    TOKEN_REVOKED = "TokenRevoked"  # noqa: S105 - an event


TERMINAL = frozenset({Kind.TASK_SETTLED, Kind.TASK_FAILED, Kind.TASK_CANCELLED, Kind.TASK_EXPIRED})


PRIVATE: Mapping[Kind, frozenset[str]] = {
    **dict.fromkeys(
        (
            Kind.INVOICE_SETTLED, Kind.PAYMENT_SUCCEEDED, Kind.PAYMENT_FAILED, Kind.SATS_TRANSFERRED, Kind.SUSPENSE_CAME,
            Kind.SUSPENSE_GIVEN, Kind.LIMIT_CHANGED, Kind.TREASURY_MOVED, Kind.TREASURY_SHORT, Kind.ESCROW_HELD,
            Kind.ESCROW_ENDING, Kind.ESCROW_TAKEN, Kind.ESCROW_GIVEN, Kind.ESCROW_LOST, Kind.ESCROW_REFUSED,
        ),
        frozenset[str](),
    ),
    Kind.ACTOR_LINKED: frozenset({"actor", "account", "by"}),
}  # fmt: skip
"""Events of somebody's sats, and which of their facts others than the owners may read: not how many, whose, or for what invoice.

What a task costs is no secret; what a person has and pays is answered to them alone (CONTRACT, `/balance`).
"""


def readable(event: Event) -> Mapping[str, Json]:
    """The facts of an event that whoever may read the hub's state may read too."""
    shown = PRIVATE.get(event.kind)
    return event.data if shown is None else {name: value for name, value in event.data.items() if name in shown}


_NOTHING: Mapping[str, Json] = MappingProxyType({})


class Event(NamedTuple):
    """One fact. `id` and `at` (Unix milliseconds, UTC) are given by the store when it is written."""

    kind: Kind
    task: int | None = None
    agent: str | None = None
    data: Mapping[str, Json] = _NOTHING
    id: int = 0
    at: int = 0
