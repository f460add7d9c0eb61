"""A task that is paid from outside: the node holds the sats until it has ended, then its worker has them, or they go back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.lightning.simulated import SimulatedNode
from adapters.sqlite.writer import Database
from bot.doctor import Asked, examine
from core.agent.model import ModelUnreachable
from core.wallet.hold import MARGIN
from core.wallet.lightning import HOLD_BLOCKS, InvoiceState, NodeDown, NodeRefused
from tests.depth import first
from tests.fakes import FakeClock, FakeIds
from tests.kill.story import Parrot
from tests.scenario.bot import Hands, balances, hub, prove

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.wallet.lightning import NodeInfo
    from tests.scenario.bot import Bot

POST = "/task find the answer max=200 escrow=hold"


class Node(SimulatedNode):
    """The simulated node, which can be out of reach, refuse to do as it is told, and be `blocks` further than its clock says."""

    gone = False
    stubborn = ""
    blocks = 0
    synced = True

    async def settle_hold(self, preimage: bytes) -> None:
        self._refuse()
        await super().settle_hold(preimage)

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        self._refuse()
        await super().cancel_invoice(payment_hash)

    def _refuse(self) -> None:
        if self.stubborn:
            raise NodeRefused(backend=self.backend, why=self.stubborn)

    async def info(self) -> NodeInfo:
        found = await super().info()
        return found._replace(height=max(0, found.height + self.blocks), synced=self.synced)

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
    """Wait until the newest order stands so."""
    query = "SELECT state FROM hold_invoice ORDER BY id DESC LIMIT 1"
    await bot.see(lambda: bot.rows(query)[0][0] in states, f"an order that is {states}", pace=pace)


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
        before = bot.tables()
        await bot.app.hub.coordinator.run_out(1, "too late", gone=True)
        assert bot.tables() == before, "it had ended by then"


async def paid(bot: Bot, node: Node, text: str = POST) -> dict[str, Any]:
    """An order, paid from outside, and its task posted."""
    asked = await bot.data(text)
    await node.outside_pays(asked["bolt11"])
    await stands(bot, "held")
    return asked


async def all_went_back(bot: Bot, node: Node, asked: dict[str, Any]) -> None:
    """The payer has their sats, and nobody here has any."""
    await stands(bot, "given")
    assert await at_node(node, asked) is InvoiceState.CANCELLED
    assert balances(bot.app.settings) == {}
    await agrees(bot)


@pytest.mark.long
async def test_the_model_that_was_ordered_is_that_of_the_task(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock(), model=Parrot()) as (bot, node):
        assert (await bot.data(f"{POST} model=phi4"))["error"] == "unknown_model"
        asked = await bot.data(f"{POST} model=parrot")
        await node.outside_pays(asked["bolt11"])
        await stands(bot, "held", "taken")
        assert (await bot.settled("T-1"))["data"]["model"] == "parrot:latest"


class Away(Parrot):
    """A model whose server can be out of reach."""

    away = False

    async def models(self) -> list[str]:
        if self.away:
            raise ModelUnreachable(url="http://127.0.0.1:9")
        return await super().models()


async def test_where_the_model_server_is_gone_by_the_time_it_is_paid_the_sats_go_back(tmp_path: Path) -> None:
    model = Away()
    async with escrow(tmp_path, FakeClock(), model=model) as (bot, node):
        asked = await bot.data(f"{POST} model=parrot")
        model.away = True
        await node.outside_pays(asked["bolt11"])
        await all_went_back(bot, node, asked)
        assert bot.app.health.parts["escrow"].restarts == 0, "the node answers"


async def test_what_fails_goes_back_to_whoever_paid(tmp_path: Path) -> None:
    hands = Hands(does={"quill": RuntimeError("broken"), "echo": RuntimeError("broken")})
    async with escrow(tmp_path, FakeClock(), hands=hands) as (bot, node):
        asked = await paid(bot, node)
        assert (await bot.ends("T-1"))["data"]["status"] == "failed"
        await all_went_back(bot, node, asked)
        assert "200 simulated sats that were held for T-1 went back" in (await bot.until(kind="more", order=1))["text"]
        assert (await bot.data("/retry T-1"))["error"] == "not_enough_sats", "a second try is paid from the wallet"


@pytest.mark.parametrize("end", first(1, ["height", "cancel", "deadline"]))
async def test_what_ends_without_a_result_goes_back(tmp_path: Path, end: str) -> None:
    async with escrow(tmp_path, FakeClock(), hands=Hands(does={"quill": asyncio.Event()})) as (bot, node):
        asked = await paid(bot, node, f"{POST} by=6h")
        await bot.hands.at_work("T-1", "quill")
        if end == "cancel":
            held = "\npaid from outside: the node holds its sats until it has ended"
            assert held in (await bot.say("/show T-1"))["text"]
            said = (await bot.say("/cancel T-1"))["text"]
            assert said == "T-1 cancelled; what is held for it goes back to whoever paid"
            assert "\npaid from outside: the node held its sats until then" in (await bot.say("/show T-1"))["text"]
        elif end == "deadline":
            bot.pass_time(6 * 3600)
        else:
            node.blocks = HOLD_BLOCKS - MARGIN - 1
            for _ in range(3):
                bot.pass_time(60)
                await bot.barrier()
            assert bot.rows("SELECT 1 FROM task WHERE status = 'running'"), "a block before the margin"
            node.blocks += 1
            await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'expired'"), "its end", pace=5)
        if end != "cancel":
            told = await bot.ends("T-1")
            assert told["data"]["status"] == "expired"
            assert ("could be held no longer" in told["text"]) == (end == "height")
        await bot.hands.until(lambda: bot.hands.stopped == [("T-1", "quill")])
        await all_went_back(bot, node, asked)


async def delivered(bot: Bot, node: Node) -> dict[str, Any]:
    """A task that a person has done, and whose requester says nothing."""
    asked = await paid(bot, node, f"{POST} to=telegram:5")
    await bot.say("/bid T-1 150", acting_for="telegram:5")
    await bot.say("/deliver T-1 here it is", acting_for="telegram:5")
    return asked


async def test_what_was_delivered_is_paid_before_it_can_be_held_no_longer(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await delivered(bot, node)
        node.blocks = HOLD_BLOCKS - MARGIN
        await stands(bot, "taken")
        assert await at_node(node, asked) is InvoiceState.SETTLED
        assert balances(bot.app.settings) == {
            "node:simulated": (-200, 0), "user:telegram:5": (150, 0), "user:console:owner": (50, 0),
        }  # fmt: skip
        await agrees(bot)


async def test_a_hub_that_was_dead_for_a_day_pays_nobody_with_what_went_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock) as (bot, node):
        asked = await delivered(bot, node)
    clock.advance(2 * 86_400_000)
    async with escrow(tmp_path, clock) as (bot, node):
        told = await bot.ends("T-1")
        assert told["data"]["status"] == "failed"
        assert "is no longer held" in told["text"]
        await all_went_back(bot, node, asked)
        assert not bot.rows("SELECT 1 FROM reputation WHERE failed > 0"), "that was not the worker's fault"


@pytest.mark.long
async def test_nor_does_an_agent_that_was_at_work_and_goes_on_at_the_start(tmp_path: Path) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock, hands=Hands(does={"quill": asyncio.Event()})) as (bot, node):
        asked = await paid(bot, node)
        await bot.hands.at_work("T-1", "quill")
    clock.advance(2 * 86_400_000)
    async with escrow(tmp_path, clock) as (bot, node):
        assert (await bot.ends("T-1"))["data"]["status"] == "expired"
        await all_went_back(bot, node, asked)


async def test_nobody_is_paid_with_what_a_node_has_let_go_of_though_it_is_behind_the_chain(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await delivered(bot, node)
        node.synced = False
        bot.pass_time(60)
        await bot.see(bot.app.health.behind, "that it is behind")
        await node.cancel_invoice(bytes.fromhex(asked["payment_hash"]))
        await stands(bot, "given", pace=5)
        assert bot.rows("SELECT status FROM task") == [("failed",)]
        assert balances(bot.app.settings) == {}


async def test_who_was_paid_keeps_it_when_the_node_has_let_go_meanwhile(tmp_path: Path) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock) as (bot, node):
        asked = await delivered(bot, node)
        node.gone = True
        await bot.say("/accept T-1")
        await stands(bot, "taking")
        clock.advance(2 * 86_400_000)
        node.gone = False
        await stands(bot, "lost", pace=5)
        told = await bot.until(kind="more", order=1)
        assert "let go of 150 simulated sats with which the worker of T-1 was paid" in told["text"]
        assert await at_node(node, asked) is InvoiceState.CANCELLED
        assert balances(bot.app.settings) == {"suspense": (-150, 0), "user:telegram:5": (150, 0)}
        await agrees(bot)


@pytest.mark.long
async def test_a_node_that_will_not_take_what_it_holds_is_told_once_and_shown_until_it_has_let_go(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock) as (bot, node):
        asked = await delivered(bot, node)
        node.stubborn = "permission denied"
        await bot.say("/accept T-1")
        told = await bot.until(kind="more", state="taking")
        until = bot.rows("SELECT held_until FROM hold_invoice")[0][0]
        assert told["text"] == (
            "The node will not take the 200 simulated sats that it holds for T-1: The Lightning node (simulated) refused: "
            f"permission denied.\nIt is told again and again. If it has not taken them before block {until:,} they go back to "
            "whoever paid: the worker keeps what it was paid, 150 simulated sats, and the hub has lost them."
        )
        for _ in range(3):
            bot.pass_time(5)
            await bot.barrier()
        assert "will not take" not in str(bot.unread), "once"
        shown = await bot.say("/reconcile")
        assert (
            f"held for T-1  200 sats, until block {until:,}: the node will not take them: The Lightning"
            in shown["text"]
        )
        assert shown["data"]["refused"] == [{
            "order": 1, "task": "T-1", "state": "taking", "payment_hash": asked["payment_hash"], "amount_sats": 200,
            "until_block": until, "why": "The Lightning node (simulated) refused: permission denied",
        }]  # fmt: skip
        assert shown["data"]["ok"] is False
        (found,) = [one for one in examine(bot.app.settings, None, Asked(), Path("none")) if one.id == "escrow.obeyed"]
        assert (found.ok, "will not take what is held for T-1" in found.says) == (False, True)
        clock.advance(2 * 86_400_000)
        await stands(bot, "lost", pace=5)
        assert "let go of 150 simulated sats" in (await bot.until(kind="more", order=1))["text"]
        assert balances(bot.app.settings) == {"suspense": (-150, 0), "user:telegram:5": (150, 0)}
        assert (await bot.data("/reconcile"))["refused"] == []


async def test_a_node_that_will_not_give_back_is_told_and_what_it_holds_runs_out(tmp_path: Path) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock, hands=Hands(does={"quill": asyncio.Event()})) as (bot, node):
        asked = await paid(bot, node)
        node.stubborn = "no"
        await bot.say("/cancel T-1")
        told = await bot.until(kind="more", state="giving")
        assert told["text"].startswith("The node will not give back the 200 simulated sats that it holds for T-1: ")
        assert "by themselves at block" in told["text"]
        clock.advance(2 * 86_400_000)
        await all_went_back(bot, node, asked)


@pytest.mark.parametrize("state", first(2, ["held", "taking", "open", "giving"]))
async def test_a_restart_goes_on_where_it_was(tmp_path: Path, state: str) -> None:
    clock = FakeClock()
    async with escrow(tmp_path, clock, hands=Hands(does={"quill": asyncio.Event()})) as (bot, node):
        asked = await bot.data(POST) if state == "open" else await paid(bot, node)
        if state in {"taking", "giving"}:
            await bot.hands.at_work("T-1", "quill")
            node.gone = True
            if state == "taking":
                bot.hands.does["quill"].set()  # type: ignore[union-attr]
            else:
                await bot.say("/cancel T-1")
            await stands(bot, state)
    async with escrow(tmp_path, clock) as (bot, node):
        if state == "open":
            await node.outside_pays(asked["bolt11"])
        if state == "giving":
            await all_went_back(bot, node, asked)
            return
        await stands(bot, "taken")
        assert balances(bot.app.settings)["treasury"] == (40, 0)
        await agrees(bot)


async def test_an_order_that_nobody_pays_lapses(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await bot.data(POST)
        bot.pass_time(3601)
        await all_went_back(bot, node, asked)
        told = await bot.until(kind="more", order=1)
        assert told["text"] == "Order 1 is off: nobody paid it in time. No task was posted, and nothing was taken."


async def test_an_order_is_called_off_before_it_is_paid(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await bot.say(POST)
        assert [button["command"] for button in asked["buttons"]] == ["/cancel order=1"]
        listed = await bot.say("/tasks")
        assert listed["text"].endswith("\norder 1  200 sats  waits to be paid; call it off: /cancel order=1")
        assert listed["data"]["orders"] == [{"order": 1, "state": "open", "budget_sats": 200}]
        assert "orders" not in await bot.data("/tasks", acting_for="telegram:5")
        assert (await bot.data("/cancel order=1", acting_for="telegram:5"))["error"] == "not_allowed"
        assert (await bot.data("/cancel order=1"))["ok"]
        await all_went_back(bot, node, asked["data"])
        with pytest.raises(NodeRefused):
            await node.outside_pays(asked["data"]["bolt11"])
        assert (await bot.data("/cancel order=1"))["error"] == "no_such_order"
        assert (await bot.data("/cancel order=2"))["error"] == "no_such_order"
        assert (await bot.data("/cancel"))["error"] == "missing_argument"
        await node.outside_pays((await bot.data(POST))["bolt11"])
        await stands(bot, "held", "taking", "taken")
        assert (await bot.data("/cancel order=2"))["error"] == "paid_by"


async def test_what_may_not_be_spent_by_then_goes_back(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await bot.data(POST)
        await bot.say("/freeze")
        assert (await bot.data(POST))["error"] == "frozen"
        await node.outside_pays(asked["bolt11"])
        await all_went_back(bot, node, asked)
        assert "Spending is frozen" in (await bot.until(kind="more", order=1))["text"]
        assert not bot.rows("SELECT 1 FROM task")
        await bot.say("/unfreeze")
        asked = await bot.data(POST)
        await bot.say("/limits day 100")
        assert (await bot.data(POST))["error"] == "over_limit"
        await node.outside_pays(asked["bolt11"])
        await all_went_back(bot, node, asked)


async def test_what_cannot_be_held_is_refused(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        assert (await bot.data(f"{POST} by=7h"))["error"] == "too_long_to_hold"
        node.traits = node.traits._replace(hold=False)
        refused = await bot.say(POST)
        assert refused["data"]["error"] == "cannot_hold"
        assert "Leave escrow=hold out" in refused["text"]
        node.traits = node.traits._replace(hold=True)
        node.gone = True
        bot.pass_time(60)
        assert (await bot.data(POST))["error"] == "node_down"
        node.gone, node.blocks = False, -1_000
        bot.pass_time(60)
        assert (await bot.data(POST))["error"] == "no_height"
        assert not bot.rows("SELECT 1 FROM hold_invoice")


async def test_what_came_too_late_for_its_task_goes_back(tmp_path: Path) -> None:
    async with escrow(tmp_path, FakeClock()) as (bot, node):
        asked = await bot.data(f"{POST} by=6h")
        await node.outside_pays(asked["bolt11"])
        node.blocks = HOLD_BLOCKS - MARGIN - 35  # a node that gave it fewer blocks than were asked for
        bot.pass_time(60)
        await all_went_back(bot, node, asked)
        assert "came too late to be held" in (await bot.until(kind="more", order=1))["text"]


class SlowDisk(Database):
    """Says late that a task was posted."""

    written = asyncio.Event()

    async def write(self, work: Any, /) -> Any:
        done = await super().write(work)
        if getattr(work, "__qualname__", "").startswith("Coordinator.post"):
            await self.written.wait()
        return done


async def test_a_task_that_a_start_has_no_time_to_wait_for_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.FIRST_LOOK_SECONDS", 0.3)
    clock = FakeClock()
    async with escrow(tmp_path, clock) as (bot, _):
        asked = await bot.data(POST)
    late = Node(tmp_path / "data" / "node.db", clock, FakeIds("payer"))
    await late.outside_pays(asked["bolt11"])
    await late.close()
    SlowDisk.written = asyncio.Event()
    async with escrow(tmp_path, clock, database=SlowDisk) as (bot, _):
        SlowDisk.written.set()
        await stands(bot, "taken")
        await bot.settled("T-1")
        await agrees(bot)
