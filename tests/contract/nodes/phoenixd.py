"""phoenixd under test: its HTTP API on the loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.lightning.phoenixd import Patience, Phoenixd
from tests.fakes import outwait
from tests.phoenixd_server import PhoenixdServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.wallet.lightning import Lightning


class PhoenixdDriver:
    name = "phoenixd"
    caps_fees = False

    def __init__(self, server: PhoenixdServer) -> None:
        self._server = server
        server.silence = outwait

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Lightning]:
        node = Phoenixd(self._server.url, self._server.password, patience=Patience(answer=5, look=0.3), page=2)
        try:
            yield node
        finally:
            await node.close()

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        self._server.node.receive(bolt11, amount)

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        return self._server.node.ask(amount, fails, fee)

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        self._server.node.land(payment_hash, well=well)

    async def pass_time(self, seconds: int) -> None:
        self._server.node.now += seconds * 1000

    async def lose_reply(self) -> None:
        self._server.faults.lost = True

    async def time_out(self) -> None:
        self._server.faults.silent = self._server.faults.mute = True

    async def go_down(self) -> None:
        self._server.faults.down = True

    async def come_back(self) -> None:
        self._server.faults.down = False

    async def repeat_settled(self) -> None:
        older, newest = sorted(
            (one for one in self._server.node.invoices.values() if one.settled), key=lambda one: one.settled
        )[-2:]
        self._server.to_repeat += [newest, newest, newest, older]

    async def sent(self, payment_hash: bytes) -> int:
        return self._server.node.sent[payment_hash]


@asynccontextmanager
async def drive(folder: Path) -> AsyncIterator[PhoenixdDriver]:
    async with PhoenixdServer.running() as server:
        yield PhoenixdDriver(server)
