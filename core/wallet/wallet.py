"""The service that moves sats. Every move is part of a unit of work that somebody else began, so state and money agree.

A task's budget is held on its requester's account; the award turns the price into escrow and lets the rest go; the
escrow ends at the worker, or comes back (MONEY, "Ledger"). The hub's own personas earn for the treasury.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.events import Event, Kind
from core.money import format_sats
from core.store import Tx
from core.wallet.ledger import (
    EXTERNAL,
    HoldState,
    escrow_account,
    transfer,
    user_account,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.store import Store
    from core.wallet.ledger import (
        AccountRow,
        Entry,
        Proof,
    )


class LedgerStore(Protocol):
    """The books, inside one unit of work."""

    def append(self, entry: Entry) -> int:
        """Book an entry and return its number; the same key and request again return the first number. Raises `KeyConflict`."""

    def hold(self, account: str, target: str, amount: int, task: int | None) -> int:
        """Set `amount` msat aside and return the hold's number. Raises `NotEnoughSats`."""

    def close_hold(self, hold: int, state: HoldState) -> int:
        """Post or void an open hold, once, and return its amount. Raises `HoldClosed`."""

    def account(self, name: str) -> AccountRow:
        """An account's figures; zeros where it does not exist yet."""


class Books(Protocol):
    """Reading the books, from a snapshot."""

    def history(self, account: str, limit: int, start: int | None = None) -> list[HistoryLine]:
        """The newest movements of an account, newest first; from entry `start` on backwards, if given."""

    def in_escrow(self, account: str) -> int:
        """What an account's tasks under way have in escrow, msat."""

    def accounts(self) -> list[AccountRow]:
        """Every account but finished escrows."""

    def prove(self) -> Proof:
        """Walk all entries and prove them. Raises `BooksBroken`."""


class LedgerTx(Tx, Protocol):
    """A unit of work that can move money."""

    @property
    def ledger(self) -> LedgerStore:
        """The books."""


class BooksTx(LedgerTx, Protocol):
    """A unit of work that can move money and read the books."""

    @property
    def books(self) -> Books:
        """The books, read only."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A movement as its account's owner reads it; `amount` in msat, negative when it left."""

    id: int
    at: int
    amount: int
    kind: str
    task: int | None
    reason: str
    other: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has, msat: everything, and the part of it that is held for open tasks; apart from it, what is in escrow."""

    posted: int
    held: int
    escrow: int
    simulated: bool


def hold_budget(tx: LedgerTx, *, account: str, task: int, amount: int) -> int:
    """Set a task's budget aside; returns the hold. Raises `NotEnoughSats`."""
    return tx.ledger.hold(account, escrow_account(task), amount, task)


def release(tx: LedgerTx, hold: int) -> None:
    """Give a held budget back."""
    tx.ledger.close_hold(hold, HoldState.VOID)


def to_escrow(tx: LedgerTx, *, account: str, task: int, attempt: int, hold: int, price: int, actor: str) -> None:  # noqa: PLR0913
    """Spend `price` of a hold into the task's escrow and let the rest go."""
    tx.ledger.close_hold(hold, HoldState.POSTED)
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:escrow", "escrow", account, escrow_account(task), price,
            task=task, actor=actor, reason="price of the winning bid",
        )
    )  # fmt: skip


def pay_worker(tx: LedgerTx, *, task: int, attempt: int, target: str, price: int, actor: str, worker: str) -> None:  # noqa: PLR0913
    """Pay the escrow out to the worker's account (or, for the hub's own personas, the treasury)."""
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:settle", "settle", escrow_account(task), target, price,
            task=task, actor=actor, reason=f"paid to {worker}",
        )
    )  # fmt: skip


def refund(tx: LedgerTx, *, account: str, task: int, attempt: int, price: int, actor: str, why: str) -> None:  # noqa: PLR0913
    """Give the escrow back to the requester."""
    tx.ledger.append(
        transfer(
            f"task:{task}:{attempt}:refund", "refund", escrow_account(task), account, price,
            task=task, actor=actor, reason=why,
        )
    )  # fmt: skip


def hold_again(tx: LedgerTx, *, account: str, task: int, budget: int) -> tuple[int, int]:
    """Hold a refunded task's budget for its next auction, or as much of it as is left; returns (hold, msat held)."""
    amount = min(budget, tx.ledger.account(account).available)
    return tx.ledger.hold(account, escrow_account(task), amount, task), amount


def move_all(tx: LedgerTx, *, key: str, source: str, target: str, actor: str, reason: str) -> int:
    """Move everything that is in an account to another; returns it, msat. Raises `NotEnoughSats` where some of it is held."""
    amount = tx.ledger.account(source).posted
    if amount:
        tx.ledger.append(transfer(key, "link", source, target, amount, task=None, actor=actor, reason=reason))
    return amount


class Wallet:
    """Balances and history, for people; grants, for a new simulated book."""

    def __init__(self, store: Store[BooksTx], *, simulated: bool) -> None:
        self._store = store
        self.simulated = simulated

    async def grant(self, name: str, amount: int) -> bool:
        """Give a new simulated book's owner `amount` msat, once per book; True if it was given now."""

        def work(tx: BooksTx) -> bool:
            if tx.applied("book:grant") is not None:
                return False
            if amount:
                tx.ledger.append(
                    transfer(
                        "book:grant", "grant", EXTERNAL, user_account(name), amount,
                        task=None, actor="hub", reason="simulated sats to start with",
                    )
                )  # fmt: skip
            tx.mark("book:grant", str(amount))
            tx.emit(Event(Kind.BOOK_OPENED, data={"granted": format_sats(amount), "simulated": True}))
            return True

        return self.simulated and await self._store.write(work)

    async def balance(self, account: str) -> Balance:
        """The figures of an account."""
        row, escrow = await self._store.read(lambda tx: (tx.ledger.account(account), tx.books.in_escrow(account)))
        return Balance(row.posted, row.held, escrow, self.simulated)

    async def history(self, account: str, limit: int, start: int | None = None) -> Sequence[HistoryLine]:
        """The newest `limit` movements, newest first; from entry `start` on backwards, if given."""
        return await self._store.read(lambda tx: tx.books.history(account, limit, start))
