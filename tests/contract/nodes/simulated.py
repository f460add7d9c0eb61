"""The simulated node in the conformance suite. Its wire is its file: down means that another program has locked it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from adapters.lightning.simulated import SimulatedNode
from core.wallet.lightning import NodeDown, NodeRefused
from tests.contract.lightning import NotPaid
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import Any

FILE = "node.db"


class HastyClock(FakeClock):
    """Nobody waits: whoever would sees the time come."""

    async def until(self, when: int | None, wake: asyncio.Event) -> None:
        if when is not None and not wake.is_set():
            self.advance(max(0, when - self.now()))
        await super().until(when, wake)


class Cut(SimulatedNode):
    """A node whose answers can be lost after it did what it was asked."""

    lost = False

    def _transact(self, work: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> Any:
        found = super()._transact(work, loop)
        if self.lost:
            self.lost = False
            raise NodeDown(backend=self.backend, why="the answer was lost")
        return found


class Simulated:
    """See `Driver`. While the hub is away, so is its node; what happens outside meanwhile happens as it comes back."""

    name = "simulated"
    caps_fees = True

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._clock = HastyClock()
        self._ids = FakeIds("simulated node")
        self._node: Cut | None = None
        self._lock: sqlite3.Connection | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SimulatedNode]:
        node = self._node = Cut(self._path, self._clock, self._ids, patience=0)
        try:
            yield node
        finally:
            self._node = None
            await node.close()

    @contextlib.asynccontextmanager
    async def _any(self) -> AsyncIterator[SimulatedNode]:
        if self._node is not None:
            yield self._node
        else:
            async with self.running() as node:
                yield node

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        async with self._any() as node:
            try:
                await node.outside_pays(bolt11, amount)
            except NodeRefused as error:
                raise NotPaid(str(error)) from error

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        async with self._any() as node:
            return await node.outside_asks(amount, "outside", fails=fails, fee=fee)

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        async with self._any() as node:
            await node.land(payment_hash, well=well)

    async def pass_time(self, seconds: int) -> None:
        self._clock.advance(1000 * seconds)

    async def lose_reply(self) -> None:
        assert self._node is not None
        self._node.lost = True

    time_out = lose_reply  # in process there is no connection that could stay silent

    async def go_down(self) -> None:
        self._lock = sqlite3.connect(self._path, isolation_level=None)
        self._lock.execute("BEGIN IMMEDIATE")

    async def come_back(self) -> None:
        assert self._lock is not None
        self._lock.close()

    async def repeat_settled(self) -> None:
        """It reads them in their order from its file, each once."""

    async def sent(self, payment_hash: bytes) -> int:
        query = "SELECT coalesce(sum(CASE WHEN amount < 0 THEN 1 ELSE -1 END), 0) FROM movement WHERE payment_hash = ?"
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            (count,) = connection.execute(query, (payment_hash,)).fetchone()
        return int(count)


@contextlib.asynccontextmanager
async def drive(folder: Path) -> AsyncIterator[Simulated]:
    yield Simulated(folder)
