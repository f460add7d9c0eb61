"""A real node under the conformance suite, and a purse that is never opened for more than 1,000 sats in a run.

The node is the one that `TIMMY_LND_*` names. What needs somebody beyond it uses the node that `LIVE_PEER_URL`,
`LIVE_PEER_TLS_CERT_PATH` and `LIVE_PEER_MACAROON_READ`, `_RECEIVE`, `_PAY` name, also an LND, which can reach it; without one that
is skipped. No fault is made at a real node: what needs one is skipped too.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock, SystemIds
from adapters.lightning.bolt11 import decode
from adapters.lightning.lnd import Lnd
from adapters.lightning.lnd_macaroons import Macaroons
from adapters.lightning.lnd_wire import Patience
from config import settings
from core.errors import UserError
from core.money import format_sats, to_msat
from core.wallet.lightning import BadInvoice, InvoiceState, PayState
from tests.contract import test_lightning as suite
from tests.contract.lightning import NotPaid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from core.wallet.lightning import Lightning, Outcome
    from tests.contract.lightning import Driver

MOST = to_msat(1_000)
TRY = 10
"""Seconds that a node may look for a way: longer than on a wire of our own."""

PATIENCE = Patience(grace=3 - TRY)
"""What is held hangs until somebody says what becomes of it: 3 s are enough to see that it does."""

FEE_LIMIT = to_msat(10)
NOT_SET = 3
PEER = "LIVE_PEER_"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/live/"):
            item.add_marker(pytest.mark.live)


class Purse:
    """What the run may still spend, msat. Both nodes' payments count: a hash once, with its fee limit, paid or not."""

    def __init__(self) -> None:
        self._taken: dict[bytes, int] = {}

    def take(self, bolt11: str, amount: int | None, fee_limit: int) -> None:
        try:
            request = decode(bolt11)
        except BadInvoice:
            return  # the backend will say so, and pays nothing
        self._taken[request.payment_hash] = (request.amount or amount or 0) + fee_limit
        if sum(self._taken.values()) > MOST:
            pytest.exit(f"the tests would spend more than {format_sats(MOST)}", returncode=1)


class Thrifty(Lnd):
    """The backend, with the purse in front of it."""

    def __init__(self, given: settings.Lnd, purse: Purse, patience: Patience) -> None:
        three = (given.macaroon_read, given.macaroon_receive, given.macaroon_pay)
        read, receive, pay = ("" if one is None else one.get_secret_value() for one in three)
        super().__init__(given.url or "", given.tls_cert_path, Macaroons(read, receive, pay), patience=patience)
        self._purse = purse

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        self._purse.take(bolt11, amount, fee_limit)
        return await super().pay(bolt11, amount, fee_limit, timeout)


class LiveDriver:
    """See `Driver`. What a real node cannot be made to do is skipped."""

    name = "lnd"
    caps_fees = True

    def __init__(self, given: settings.Lnd, peer: settings.Lnd | None, purse: Purse) -> None:
        self._given = given
        self._purse = purse
        self._asked: dict[bytes, bytes] = {}
        self._clock = SystemClock()
        self._node = Thrifty(given, purse, PATIENCE)
        self._peer = None if peer is None else Thrifty(peer, purse, PATIENCE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Lightning]:
        self._node = Thrifty(self._given, self._purse, PATIENCE)
        try:
            yield self._node
        finally:
            await self._node.close()

    async def close(self) -> None:
        if self._peer is not None:
            await self._peer.close()

    @property
    def peer(self) -> Thrifty:
        if self._peer is None:
            pytest.skip(f"needs a second node: {PEER}URL is not set")
        return self._peer

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        request = decode(bolt11)
        if amount is not None and request.amount is not None:
            pytest.skip("LND does not pay another amount than the invoice says")
        peer, found = self.peer, await self._node.lookup(request.payment_hash)
        if found is None or found.state is not InvoiceState.OPEN:
            raise NotPaid("a node that has paid it says so again")
        outcome = await peer.pay(bolt11, amount, FEE_LIMIT, TRY)
        found = await self._node.lookup(request.payment_hash)
        if found is None or found.state not in {InvoiceState.HELD, InvoiceState.SETTLED}:
            raise NotPaid(outcome.why)

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        if fee or fails not in {"", "hangs"}:
            pytest.skip("the way between two real nodes is as it is")
        if fails:
            preimage = hashlib.sha256(SystemIds().token().encode()).digest()
            payment_hash = hashlib.sha256(preimage).digest()
            self._asked[payment_hash] = preimage
            return (await self.peer.create_hold(payment_hash, amount or 0, "hangs", 3600)).bolt11
        if amount is None:
            order = {"memo": "yours to choose", "expiry": "3600"}
            return str((await self.peer._ordered("/v1/invoices", order))["payment_request"])
        return (await self.peer.create_invoice(amount, "from outside", 3600)).bolt11

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        if well:
            await self.peer.settle_hold(self._asked[payment_hash])
        else:
            await self.peer.cancel_invoice(payment_hash)
        while (await self._node.track(payment_hash)).state is PayState.IN_FLIGHT:
            await self._clock.sleep(0.2)

    async def sent(self, payment_hash: bytes) -> int:
        return int((await self._node.track(payment_hash)).state is PayState.SUCCEEDED)

    async def pass_time(self, seconds: int) -> None:
        pytest.skip("a real node's time passes as it does")

    async def fault(self) -> None:
        pytest.skip("no fault is made at a real node")

    lose_reply = time_out = go_down = come_back = repeat_settled = fault


def _named() -> tuple[settings.Lnd, settings.Lnd | None]:
    """The node that settings name, and its peer; without a node the run is over."""
    keys = [name for name in settings.Lnd.model_fields if os.environ.get(PEER + name.upper())]
    try:
        given = settings.load().lnd
        peer = settings.Lnd(**{name: os.environ[PEER + name.upper()] for name in keys}) if keys else None
    except (UserError, ValueError) as error:
        pytest.exit(str(error), returncode=NOT_SET)
    if given.missing:
        why = f"TIMMY_LND_{given.missing[0].upper()} is not set: docs/lightning.md tells what a node needs"
        pytest.exit(f"there is no node to test: {why}", returncode=NOT_SET)
    if peer is not None and peer.missing:
        pytest.exit(f"{PEER}{peer.missing[0].upper()} is not set, and a peer needs it", returncode=NOT_SET)
    return given, peer


@pytest.fixture(scope="session")
def purse() -> Purse:
    return Purse()


@pytest.fixture
async def driver(purse: Purse, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Driver]:
    monkeypatch.setattr(suite, "TRY", TRY)
    monkeypatch.setattr(suite, "SECRET", hashlib.sha256(SystemIds().token().encode()).digest())
    given, peer = _named()
    try:
        driver = LiveDriver(given, peer, purse)
    except UserError as error:
        pytest.exit(str(error), returncode=NOT_SET)
    yield driver
    await driver.close()


@pytest.fixture
async def node(driver: Driver) -> AsyncIterator[Lightning]:
    async with driver.running() as node:
        yield node
