"""`kill -9` of the real process while a payment is on its way: it is paid once, and booked as the node says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock, SystemIds
from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import Fails
from tests.kill.hub_process import hub_process
from tests.kill.test_process import _verify

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
NOBODY = "http://127.0.0.1:9"


@pytest.mark.kill_sweep
@pytest.mark.parametrize("well", [True, False])
async def test_kill_9_in_the_middle_of_a_payment(tmp_path: Path, well: bool) -> None:
    async with hub_process(tmp_path, NOBODY) as hub:
        node = SimulatedNode(hub.data / "node.db", SystemClock(), SystemIds())  # the same node, from outside
        bolt11 = await node.outside_asks(300_000, fails=Fails.HANGS, fee=1_000)
        had = await node.balance()
        state = {"held_sats": 303, "balance_sats": 10_000}
        asking = asyncio.ensure_future(hub.say(f"/pay {bolt11}", name="the payment"))  # noqa: TID251 - ends with the hub
        while not (await hub.data_of("/balance"))["held_sats"]:
            await _pause()
        await hub.again()
        assert await asking == []
        assert state.items() <= (await hub.data_of("/balance")).items()
        await hub.again()
        assert state.items() <= (await hub.data_of("/balance")).items()
        await node.land(_hash(bolt11), well=well)
        while (balance := await hub.data_of("/balance"))["held_sats"]:
            await _pause()
        assert balance["balance_sats"] == 10_000 - 301 * well
        assert await node.balance() == had - 301_000 * well
        assert (await hub.data_of("/reconcile"))["difference_msat"] == 0
        again = await hub.say(f"/pay {bolt11}") if well else []
        assert [frame["data"]["error"] for frame in again] == ["paid_already"] * well
        await hub.again()
        await _verify(hub)
        await node.close()


async def _pause() -> None:
    await asyncio.sleep(0.1)  # noqa: TID251 - it is another process, and to ask without a pause takes its time


def _hash(bolt11: str) -> bytes:
    from adapters.lightning.bolt11 import decode  # noqa: PLC0415 - a slow library

    return decode(bolt11).payment_hash
