"""A task that is paid from outside: the node holds the sats until it has ended, then its worker has them, or they go back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import BLOCK_MS
from core.wallet.lightning import InvoiceState, NodeDown
from tests.fakes import FakeClock, FakeIds
from tests.scenario.bot import Hands, balances, hub, prove

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

POST = "/task find the answer max=200 escrow=hold"
BLOCK_S = BLOCK_MS // 1000


class Node(SimulatedNode):
    """The simulated node, which can be out of reach."""

    gone = False

    async def _do(self, *work: Any, **more: Any) -> Any:
        if self.gone:
            raise NodeDown(backend=self.backend, why="it is out of reach")
        return await super()._do(*work, **more)


@asynccontextmanager
async def escrow(folder: Path, clock: FakeClock, **parts: Any) -> AsyncIterator[tuple[Bot, Node]]:
    """A hub whose people have nothing in it, and its node."""
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    node = Node(folder / "data" / "node.db", clock, FakeIds(f"node {folder}"))
    try:
        async with hub(folder, clock=clock, node=node, grant=0, **parts) as bot:
            yield bot, node
    finally:
        await node.close()


async def stands(bot: Bot, *states: str, pace: float = 1) -> None:
    """Wait until an order stands so."""
    query = "SELECT 1 FROM hold_invoice WHERE state = ?"
    await bot.see(lambda: any(bot.rows(query, one) for one in states), f"an order that is {states}", pace=pace)


async def at_node(node: Node, asked: dict[str, Any]) -> InvoiceState:
    found = await node.lookup(bytes.fromhex(asked["payment_hash"]))
    assert found is not None
    return found.state


async def agrees(bot: Bot) -> None:
    """The node has what the books say, and the books prove themselves."""
    assert (await bot.data("/reconcile"))["difference_msat"] == 0
    prove(bot.app.settings)


async def test_a_task_is_paid_from_outside_and_its_worker_has_the_sats(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with escrow(tmp_path, FakeClock(), hands=Hands(does={"quill": gate})) as (bot, node):
        asked = await bot.say(POST)
        assert "Order 1: pay 200 simulated sats until " in asked["text"]
        assert [file["name"] for file in asked["files"]] == ["invoice.png"]
        assert not bot.rows("SELECT 1 FROM task"), "nothing is posted before it is paid"
        _, preimage = await node.outside_pays(asked["data"]["bolt11"])
        assert preimage is None, "the payer has no receipt yet"
        await stands(bot, "held")
        told = await bot.until(kind="more", task="T-1")
        assert told["text"].startswith("T-1 posted with a budget of 200 simulated sats.")
        await bot.hands.at_work("T-1", "quill")
        assert await bot.data("/balance") == {"ok": True, "balance_sats": 0, "held_sats": 0, "simulated": True}
        assert balances(bot.app.settings) == {
            "held:1:console:owner": (160, 0), "node:held:simulated": (-200, 0), "escrow:1": (40, 0),
        }  # fmt: skip
        await agrees(bot)
        gate.set()
        await bot.settled("T-1")
        await stands(bot, "taken")
        assert await at_node(node, asked["data"]) is InvoiceState.SETTLED
        assert (await bot.until(kind="more", amount_sats=160))["text"].endswith("are in your wallet")
        assert balances(bot.app.settings) == {
            "node:simulated": (-200, 0), "treasury": (40, 0), "user:console:owner": (160, 0),
        }  # fmt: skip
        await agrees(bot)
