"""What is held at the node for tasks, in the books: each function is part of a unit of work that somebody else began.

What is held stands in an account of its own, which no wallet reaches: what a budget has above its price is not there to be spent
before the node has it. It is a wallet's only once the node has said that it has the sats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.events import Event, Kind
from core.money import to_sats
from core.tokens import TokenTx, account_of
from core.wallet.hold import State
from core.wallet.invoices import SUSPENSE
from core.wallet.ledger import Entry, at_node, held_account, transfer, user_account
from core.wallet.node import node_account
from core.wallet.wallet import LedgerTx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.events import Json
    from core.wallet.hold import HoldInvoice
    from core.wallet.lightning import NodeInvoice
    from core.wallet.wallet import People


class HoldStore(Protocol):
    """Held payments and the orders that wait for one, inside one unit of work."""

    def add(self, one: HoldInvoice) -> HoldInvoice:
        """Keep a new one; returned with its number."""

    def put(self, one: HoldInvoice) -> None:
        """Write it as it stands now."""

    def find(self, payment_hash: bytes) -> HoldInvoice | None:
        """One by its hash."""

    def numbered(self, number: int) -> HoldInvoice | None:
        """One by its number."""

    def of_task(self, task: int) -> HoldInvoice | None:
        """The one that a task is paid with."""

    def unfinished(self) -> Sequence[HoldInvoice]:
        """Those that have not ended, oldest first."""

    def waiting(self, requester: str) -> Sequence[HoldInvoice]:
        """Orders of somebody's that wait to be paid, oldest first."""

    def taking(self) -> int:
        """What the node was told to take and may have, msat."""


class Stuck(NamedTuple):
    """What the node was told to take or give back and still holds, and why in its words; `paid`: the worker's part of it, msat."""

    one: HoldInvoice
    why: str
    paid: int


class HoldTx(LedgerTx, TokenTx, Protocol):
    """A unit of work over the books and what is held, that knows who people are."""

    @property
    def holds(self) -> HoldStore:
        """Held payments."""


def arrived(tx: HoldTx, one: HoldInvoice, task: int, received: int, held_until: int) -> HoldInvoice:
    """The node holds `received` msat for the task that is being posted; returns it as it now is."""
    account = held_account(one.payer, task)
    tx.ledger.append(
        transfer(
            _key(one, "in"), "held", at_node(one.backend), account, received, task=task, actor=one.payer,
            reason="held at the node, and neither the hub's nor the worker's yet",
        )
    )  # fmt: skip
    after = replace(one, state=State.HELD, task=task, received=received, held_until=held_until)
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_HELD, after, received))
    return after


def ended(tx: HoldTx, task: int, *, paid: bool) -> None:
    """A task that is paid so has ended. If its worker was paid the node takes what is held, else it gives it back."""
    one = tx.holds.of_task(task)
    assert one is not None  # noqa: S101 - its account says so
    if paid:
        after = replace(one, state=State.TAKING)
    else:
        after = replace(one, state=State.GIVING, why="its task was not paid for")
        tx.ledger.append(
            transfer(
                _key(one, "back"), "given back", held_account(one.payer, task), at_node(one.backend), one.received,
                task=task, actor=one.payer, reason="the node gives it back to whoever paid it",
            )
        )  # fmt: skip
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_ENDING, after, one.received))


def call_off(tx: HoldTx, one: HoldInvoice, why: str) -> HoldInvoice:
    """An order whose task was not posted is not to be, whether the node holds anything for it by now or not."""
    after = replace(one, state=State.GIVING, why=why)
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_ENDING, after, 0))
    return after


def given(tx: HoldTx, one: HoldInvoice, why: str) -> None:
    """The node holds nothing for it, and never will."""
    after = replace(one, state=State.GIVEN, why=one.why or why, ended_at=tx.now)
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_GIVEN, after, one.received))


def taken(tx: HoldTx, one: HoldInvoice, received: int, people: People) -> None:
    """The node has the sats. What the worker was not paid is their wallet's who paid, and so is all of it where nobody was."""
    account, payer = node_account(one.backend), user_account(account_of(*people.standing_in(tx, one.payer)))
    reason = "held for a task, and taken"
    if one.state is State.TAKING and one.task is not None:
        postings = [(account, -received), (at_node(one.backend), one.received)]
        if more := received - one.received:
            postings.append((SUSPENSE, more))
        source = held_account(one.payer, one.task)
        rest = tx.ledger.account(source).posted
    else:  # it was to be given back, and somebody had it settled at the node
        postings, source, rest = [(account, -received), (payer, received)], "", 0
    entry = Entry(_key(one, "taken"), "taken", tuple(postings), one.task, one.payer, reason, one.payment_hash)
    tx.ledger.append(entry)
    if rest:
        tx.ledger.append(
            transfer(
                _key(one, "rest"), "rest", source, payer, rest, task=one.task, actor=one.payer,
                reason="what the task did not cost of what was held for it",
            )
        )  # fmt: skip
    after = replace(one, state=State.TAKEN, ended_at=tx.now)
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_TAKEN, after, rest if source else received))


def settled(tx: HoldTx, found: NodeInvoice, people: People) -> bool:
    """Book what the node says was settled, if it was held for a task. False where the books have another end for it, or no such.

    What is settled while its task goes on is booked when that ends: the node is told to take it then, and has.
    """
    one = tx.holds.find(found.payment_hash)
    if one is None or one.state in {State.GIVEN, State.LOST}:
        return False
    if one.state not in {State.HELD, State.TAKEN}:
        taken(tx, one, found.received, people)
    return True


def lost(tx: HoldTx, one: HoldInvoice) -> None:
    """The node let go of what a worker was paid with. The worker keeps it; the hub has lost it, and its owner is told."""
    assert one.task is not None  # noqa: S101 - a worker was paid
    source = held_account(one.payer, one.task)
    rest = tx.ledger.account(source).posted
    postings = [(at_node(one.backend), one.received), (SUSPENSE, rest - one.received)]
    if rest:
        postings.append((source, -rest))
    reason = "the node let go of what the worker was paid with"
    tx.ledger.append(Entry(_key(one, "lost"), "lost", tuple(postings), one.task, one.payer, reason))
    after = replace(one, state=State.LOST, why=reason, ended_at=tx.now)
    tx.holds.put(after)
    tx.emit(_event(Kind.ESCROW_LOST, after, one.received - rest))


def refused(tx: HoldTx, one: HoldInvoice, why: str, height: int) -> None:
    """The node does not do what was decided; said where it is not `is_told`: once, and once more when it should have run out.

    Nothing is booked: what is held stays where it stands until the node says that it took it, or let go of it.
    """
    tx.mark(_refused_key(one, height), why)
    event = _event(Kind.ESCROW_REFUSED, one, one.received)
    data: dict[str, Json] = {**event.data, "paid_sats": to_sats(_paid(tx, one)), "overdue": _overdue(one, height)}
    tx.emit(event._replace(data=data))


def is_told(tx: HoldTx, one: HoldInvoice, height: int) -> bool:
    """Whether it was told already, at a block height, that the node refuses."""
    return tx.applied(_refused_key(one, height)) is not None


def _overdue(one: HoldInvoice, height: int) -> bool:
    return 0 < one.held_until <= height


def _refused_key(one: HoldInvoice, height: int) -> str:
    return _key(one, "overdue" if _overdue(one, height) else "refused")


def refusal(tx: HoldTx, one: HoldInvoice) -> Stuck | None:
    """What the node refuses of it; None where it does as it is told, as far as is known."""
    why = tx.applied(_key(one, "overdue")) or tx.applied(_key(one, "refused"))
    return None if why is None else Stuck(one, why, _paid(tx, one))


def refusals(tx: HoldTx) -> list[Stuck]:
    """All that the node refuses now, oldest first."""
    return [found for one in tx.holds.unfinished() if (found := refusal(tx, one)) is not None]


def _paid(tx: HoldTx, one: HoldInvoice) -> int:
    if one.state is not State.TAKING or one.task is None:
        return 0
    return one.received - tx.ledger.account(held_account(one.payer, one.task)).posted


def _key(one: HoldInvoice, what: str) -> str:
    return f"held:{one.payment_hash.hex()}:{what}"


def _event(kind: Kind, one: HoldInvoice, amount: int) -> Event:
    data: dict[str, Json] = {"invoice": one.payment_hash.hex(), "sats": to_sats(amount)}
    return Event(kind, one.task, data=data)
