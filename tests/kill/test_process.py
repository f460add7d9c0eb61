"""`kill -9` of the real process, in every state of a task and in the middle of messages: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.console.link import SOCKET, dial
from tests.kill.hub_process import hub_process
from tests.ollama_server import OllamaServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.kill.hub_process import HubProcess

pytestmark = pytest.mark.timeout(120)
often = pytest.mark.parametrize(
    "often", [False, pytest.param(True, marks=pytest.mark.kill_sweep)], ids=["once", "often"]
)


async def _verify(hub: HubProcess) -> None:
    """The books prove themselves, by the command that people use."""
    assert "The books balance" in await hub.timmy("ledger", "verify")


async def _states(hub: HubProcess) -> Mapping[str, str]:
    return {task["task"]: task["status"] for task in (await hub.data_of("/tasks"))["tasks"]}


@often
async def test_kill_9_in_every_state_of_a_task(tmp_path: Path, often: bool) -> None:
    async with OllamaServer.running("llama3.2:latest") as model, hub_process(tmp_path, model.url) as hub:
        gate = asyncio.Event()
        for _ in range(20):
            model.says(gate, "a poem")
        await hub.say("/task write a poem")
        await hub.reaches("T-1", "running")
        await hub.say("/task write another poem")
        await hub.say("/task proofread the letter pick=ask")
        for number in (4, 5):
            await hub.say("/task paint the shed to=console:owner")
            await hub.reaches(f"T-{number}", "bidding")
            await hub.say(f"/bid {number} 50")
        await hub.say("/deliver 5 it is red now")
        states = {"T-1": "running", "T-2": "open", "T-3": "bidding", "T-4": "awarded", "T-5": "delivered"}
        held = {"ok": True, "balance_sats": 9_860, "held_sats": 400, "simulated": True}

        for _ in range(5 if often else 1):
            await hub.again()
            await hub.reaches("T-1", "running")
            assert await _states(hub) == states
            assert await hub.data_of("/balance") == held

        for step in ("/deliver 4 it is blue now", "/accept 4", "/accept 5", "/cancel 3"):
            await hub.say(step)
            if often:
                await hub.again()
        await hub.again()
        gate.set()
        await hub.reaches("T-1", "settled")
        await hub.reaches("T-2", "settled")
        await hub.again()
        ended = {"T-1": "settled", "T-2": "settled", "T-3": "cancelled", "T-4": "settled", "T-5": "settled"}
        assert await _states(hub) == ended
        assert await hub.data_of("/balance") == {
            "ok": True, "balance_sats": 10_000 - 2 * 40, "held_sats": 0, "simulated": True,
        }  # fmt: skip
        assert hub.kills == (11 if often else 3)
        await _verify(hub)


@often
async def test_a_message_that_was_cut_off_counts_once(tmp_path: Path, often: bool) -> None:
    async with OllamaServer.running("llama3.2:latest") as model, hub_process(tmp_path, model.url) as hub:
        for number in (1, 2, 3) if often else (1,):
            name = f"cut-{number}"
            await hub.drop("/task report on this machine", name=name)
            await hub.start()
            tasks = (await hub.data_of("/tasks"))["tasks"]
            assert len(tasks) <= number
            for task in tasks:
                await hub.reaches(task["task"], "settled")
        await _verify(hub)
        settled = len((await hub.data_of("/tasks"))["tasks"])
        assert (await hub.data_of("/balance"))["balance_sats"] == 10_000 - 30 * settled


async def test_an_answer_under_way_is_given_after_the_restart(tmp_path: Path) -> None:
    async with OllamaServer.running("llama3.2:latest") as model, hub_process(tmp_path, model.url) as hub:
        gate = asyncio.Event()
        model.says("half an ", gate, "answer")
        model.says("a whole answer")
        asking = asyncio.ensure_future(hub.say("what is up?", name="question"))  # noqa: TID251 - ends with the hub
        async with asyncio.timeout(10):
            await model.begun.wait()
        await hub.again()
        assert await asking == []
        async with asyncio.timeout(10):
            while "a whole answer" not in (answer := await _waiting(hub)):
                pass
        gate.set()
        assert answer.count("answer") == 1
        assert [one["role"] for one in model.asked[-1]["messages"]].count("user") == 1


async def _waiting(hub: HubProcess) -> str:
    """What an owner who comes back is shown first."""
    async with dial(hub.data, SOCKET) as link:
        await link.send({"op": "attach"})
        frame = await link.receive()
        return str(frame["text"]) if frame else ""


async def test_sigterm_drains_and_exits_with_0_in_time(tmp_path: Path) -> None:
    async with OllamaServer.running("llama3.2:latest") as model, hub_process(tmp_path, model.url) as hub:
        gate = asyncio.Event()
        model.says("a poem that ", gate)
        await hub.say("/task write a poem")
        await hub.reaches("T-1", "running")
        async with asyncio.timeout(5):
            assert await hub.stop() == 0
        gate.set()
        await hub.start()
        assert await hub.status("T-1") in {"running", "settled"}
