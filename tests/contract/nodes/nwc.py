"""A wallet over Nostr Wallet Connect under test: a relay on the loopback, and the wallet service behind it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.lightning.nwc import Nwc
from adapters.lightning.nwc_wire import Patience
from tests.fakes import FakeClock, outwait
from tests.nwc_wallet import NwcWallet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.wallet.lightning import Lightning


class NwcDriver:
    name = "nwc"
    caps_fees = False

    def __init__(self, wallet: NwcWallet) -> None:
        self._wallet = wallet
        wallet.silence = outwait
        self._clock = FakeClock(wallet.node.now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Lightning]:
        node = Nwc(self._wallet.uri, clock=self._clock, patience=Patience(answer=5, look=0.2, told=0.3))
        try:
            yield node
        finally:
            await node.close()

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        self._wallet.node.receive(bolt11, amount)

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        return self._wallet.node.ask(amount, fails, fee)

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        self._wallet.node.land(payment_hash, well=well)

    async def pass_time(self, seconds: int) -> None:
        self._wallet.node.now += seconds * 1000
        self._clock.advance(seconds * 1000)

    async def lose_reply(self) -> None:
        self._wallet.lost = True

    async def time_out(self) -> None:
        self._wallet.silent = self._wallet.mute = True

    async def go_down(self) -> None:
        self._wallet.relay.down = True

    async def come_back(self) -> None:
        self._wallet.relay.down = False

    async def repeat_settled(self) -> None:
        """What it tells only makes the hub look: then everything is told from its book."""
        settled = sorted(
            (one for one in self._wallet.node.invoices.values() if one.settled), key=lambda one: one.settled
        )
        older, newest = settled[-2:]
        self._wallet.to_repeat += [newest, newest, newest, older]

    async def sent(self, payment_hash: bytes) -> int:
        return self._wallet.node.sent[payment_hash]


@asynccontextmanager
async def drive(folder: Path) -> AsyncIterator[NwcDriver]:
    async with NwcWallet.running() as wallet:
        yield NwcDriver(wallet)
