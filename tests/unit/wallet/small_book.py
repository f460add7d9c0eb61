"""A small book with every kind of entry and hold in it: one task settled, one waiting, one called off, one under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.money import to_msat
from core.swarm.task import Status, Task
from core.tokens import Identities
from core.wallet import wallet
from core.wallet.ledger import EXTERNAL, TREASURY, transfer, user_account
from tests.fakes import FakeIds

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

OWNER = "console:owner"
ACCOUNT = user_account(OWNER)


def wallet_of(store: Database, *, simulated: bool = True) -> wallet.Wallet:
    """The service on a store that knows nobody but its owner."""
    return wallet.Wallet(store, Identities(store, FakeIds(), owners=(), reserved=bool), simulated=simulated)


def granted(tx: UnitOfWork, sats: int, name: str = OWNER) -> None:
    """Give somebody sats out of nothing, as a simulated book does once."""
    tx.ledger.append(
        transfer(
            f"grant:{name}",
            "grant",
            EXTERNAL,
            user_account(name),
            to_msat(sats),
            task=None,
            actor="hub",
            reason="grant",
        )
    )


def posted(tx: UnitOfWork, sats: int) -> int:
    """Post a task; returns its number."""
    number = tx.tasks.next_id()
    hold = wallet.hold_budget(tx, account=ACCOUNT, task=number, amount=to_msat(sats))
    tx.tasks.add(
        Task(
            id=number, requester=OWNER, account=ACCOUNT, conversation="console:1", description="work", hold=hold,
            status=Status.OPEN, budget=to_msat(sats), pick="auto", only=None, attempt=1, attempts=3, posted_at=tx.now,
            deadline=tx.now + 1000,
        )
    )  # fmt: skip
    return number


def awarded(tx: UnitOfWork, number: int, sats: int) -> None:
    """Put a price into escrow."""
    task = found(tx, number)
    spent = wallet.price_of(account=ACCOUNT, task=number, attempt=1, price=to_msat(sats), agent="echo", kind="research")
    wallet.to_escrow(tx, account=spent.account, hold=task.hold or 0, spent=spent, task=number, attempt=1, actor="hub")
    tx.tasks.save(task.but(status=Status.RUNNING, hold=None, price=to_msat(sats), agent="echo"), task)


def settled(tx: UnitOfWork, number: int) -> None:
    """Pay the worker."""
    task = found(tx, number)
    wallet.pay_worker(
        tx, task=number, attempt=1, target=TREASURY, price=task.price or 0, actor="echo", worker="echo"
    )  # fmt: skip
    tx.tasks.save(task.but(status=Status.SETTLED), task)


def cancelled(tx: UnitOfWork, number: int) -> None:
    """Call a waiting task off."""
    task = found(tx, number)
    wallet.release(tx, task=number, attempt=1, hold=task.hold or 0)
    tx.tasks.save(task.but(status=Status.CANCELLED, hold=None), task)


def found(tx: UnitOfWork, number: int) -> Task:
    task = tx.tasks.find(number)
    assert task is not None
    return task


def a_small_book(tx: UnitOfWork) -> None:
    granted(tx, 10_000)
    granted(tx, 50, "telegram:1")
    settled_one, waiting, called_off, under_way = (posted(tx, sats) for sats in (100, 200, 300, 400))
    awarded(tx, settled_one, 60)
    settled(tx, settled_one)
    cancelled(tx, called_off)
    awarded(tx, under_way, 390)
    assert waiting == 2
