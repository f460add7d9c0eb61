"""LND under test, on `tests/lnd_server.py`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.lightning.lnd import Lnd
from adapters.lightning.lnd_macaroons import Macaroons
from adapters.lightning.lnd_wire import Patience
from tests.contract.lightning import NotPaid
from tests.fakes import FakeClock, outwait
from tests.lnd_node import Node, Unpaid
from tests.lnd_server import Fate, LndServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.wallet.lightning import Lightning

PATIENCE = Patience(connect=5, answer=10, grace=10, first=0.2)


class LndDriver:
    """See `Driver`."""

    name = "lnd"
    caps_fees = True

    def __init__(self, server: LndServer, clock: FakeClock) -> None:
        self._server = server
        self._node = server.node
        self._clock = clock
        self._macaroons = Macaroons(*server.three())
        server.silence = outwait

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Lightning]:
        """See `Driver`."""
        lnd = Lnd(self._server.url, None, self._macaroons, patience=PATIENCE)
        try:
            yield lnd
        finally:
            await lnd.close()

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        """See `Driver`."""
        try:
            self._node.pay_in(bolt11, amount)
        except Unpaid as error:
            raise NotPaid(str(error)) from None

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        """See `Driver`."""
        return self._node.ask(amount, fails, fee)

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        """See `Driver`."""
        self._node.land(payment_hash, well=well)

    async def pass_time(self, seconds: int) -> None:
        """See `Driver`."""
        self._clock.advance(seconds * 1000)

    async def lose_reply(self) -> None:
        """See `Driver`."""
        self._server.fates.append(Fate.LOST)

    async def time_out(self) -> None:
        """See `Driver`."""
        self._server.fates.append(Fate.SILENT)

    async def go_down(self) -> None:
        """See `Driver`."""
        await self._server.stop()

    async def come_back(self) -> None:
        """See `Driver`."""
        await self._server.start()

    async def repeat_settled(self) -> None:
        """See `Driver`."""
        self._server.repeats = True

    async def sent(self, payment_hash: bytes) -> int:
        """See `Driver`."""
        return self._node.left.count(payment_hash)


@asynccontextmanager
async def drive(_: Path) -> AsyncIterator[LndDriver]:
    """A node with 1,000,000 sats on its side."""
    clock = FakeClock()
    async with LndServer.running(Node(lambda: clock.now() // 1000)) as server:
        yield LndDriver(server, clock)
