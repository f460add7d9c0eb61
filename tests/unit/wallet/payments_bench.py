"""What pays and is paid, over a real store and a node that misbehaves on request; its people have sats."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.clockwork import Nursery
from adapters.sqlite.writer import Database
from core.chat import Caller, Role
from core.money import to_msat
from core.wallet.invoices import Invoices
from core.wallet.ledger import user_account
from core.wallet.node import OwnNode
from core.wallet.outgoing import Order
from core.wallet.payments import Payments
from core.wallet.reconcile import Reconciler
from tests.blank import blank
from tests.fakes import FakeClock
from tests.twin_node import Line, Twin, decode, reading
from tests.unit.wallet.small_book import granted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from core.wallet.outgoing import PaymentTx
    from core.wallet.payment import Payment

OWNER = Caller("console:owner", Role.OWNER)
ANN = Caller("telegram:1", Role.PAYER)
SATS = to_msat(1)


class Guard:
    """Says no with `why`, and keeps what it was told."""

    why = ""

    def __init__(self) -> None:
        self.counted: list[int] = []

    def spend(self, tx: PaymentTx, order: Order, payment: Payment) -> None:
        self.counted.append(payment.most)

    def spent(self, tx: PaymentTx, payment: Payment, amount: int) -> None:
        self.counted.append(-amount)

    def halts(self, tx: PaymentTx) -> str:
        return self.why


class Bench:
    """One life."""

    def __init__(self, store: Database, nursery: Nursery, clock: FakeClock, twin: Twin) -> None:
        self.store = store
        self.nursery = nursery
        self.clock = clock
        self.twin = twin
        self.guard = Guard()
        self.own = OwnNode(store, Line(twin), clock)
        self.payments = Payments(store, self.own, clock, nursery, reading, self.guard)
        self.invoices = Invoices(store, self.own, clock)
        self.reconciler = Reconciler(store, self.own)
        self._keys = 0

    def order(self, bolt11: str, caller: Caller = OWNER, amount: int | None = None, key: str = "") -> Order:
        self._keys += 1
        return Order(bolt11, user_account(caller.name), caller, "console:1", key or f"k{self._keys}", amount)

    async def pay(self, bolt11: str, caller: Caller = OWNER, amount: int | None = None, key: str = "") -> Payment:
        return await self.payments.pay(self.order(bolt11, caller, amount, key))

    async def stands(self, bolt11: str) -> Payment:
        found = await self.store.read(lambda tx: tx.payments.find(decode(bolt11).payment_hash))
        assert found is not None
        return found

    async def has(self, account: str) -> tuple[int, int]:
        """(posted, held) in msat."""
        row = await self.store.read(lambda tx: tx.ledger.account(account))
        return row.posted, row.held

    async def quiet(self) -> None:
        """Let things run for a while in which no time passes."""
        for _ in range(10):
            await self.store.write(lambda tx: None)

    async def until(self, true: Callable[[], object], seconds: float = 0.1) -> None:
        """Let things run, and time pass, until something is true."""
        for _ in range(1000):
            await self.store.write(lambda tx: None)
            if true():
                return
            self.clock.advance(round(1000 * seconds))
        raise AssertionError("it never was")

    async def ends(self, bolt11: str, seconds: float = 0.1) -> Payment:
        """Follow a payment to its end."""
        for _ in range(1000):
            if (found := await self.stands(bolt11)).over:
                return found
            self.clock.advance(round(1000 * seconds))
        raise AssertionError("it never ended")


@asynccontextmanager
async def bench(path: Path, twin: Twin | None = None) -> AsyncIterator[Bench]:
    """Open a book, new or not."""
    clock = twin.clock if twin is not None else FakeClock()
    assert isinstance(clock, FakeClock)
    twin = twin or Twin(clock)
    async with Database.open(blank(path), clock) as store, Nursery() as nursery:
        await store._writer.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))
        made = Bench(store, nursery, clock, twin)
        await store.write(lambda tx: granted(tx, 10_000))
        await store.write(lambda tx: granted(tx, 300, ANN.name))
        yield made
        await store.read(lambda tx: tx.books.prove())
