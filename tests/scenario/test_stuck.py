"""What nothing moves any more, made to happen by a fault each: it is set going once more, or told once and shown everywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bot import subscriptions
from bot.doctor import _stuck
from core.store import NotWritten
from core.swarm import bidding
from core.swarm import task as life
from core.swarm.walk import Walk
from tests.depth import first
from tests.fakes import FakeClock
from tests.scenario.bot import ECHO, Hands, hub, prove
from tests.scenario.crew import workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.swarm.task import Step, Task
    from tests.scenario.bot import Bot


class Fault(Exception):
    """It breaks."""


def breaks(monkeypatch: pytest.MonkeyPatch, verb: str, told: Callable[[Task], bool] = lambda _: True) -> None:
    """From now on no task takes this edge, where `told` says so."""
    real = getattr(life, verb)

    def broken(task: Task, **more: Any) -> Step:
        if told(task):
            raise Fault(verb)
        step: Step = real(task, **more)
        return step

    monkeypatch.setattr(life, verb, broken)


async def seen(bot: Bot, what: str, kind: str, *, within: float = 600) -> dict[str, Any]:
    """The one thing that is stuck, after it was told to the owner; in the status, the metrics and to the doctor."""
    health = bot.app.health
    began = bot.clock.now()
    await bot.see(lambda: health.stuck() or bot.clock.now() > began + within * 1000, f"{what} is stuck", pace=5)
    assert [(one.about, one.kind) for one in health.stuck()] == [(what, kind)]
    told = await bot.until(text=f"{what} is stuck: ")
    assert " To do: " in told["text"]
    said = await bot.say("/status")
    assert f"but something is stuck: {what}" in said["text"].splitlines()[0]
    assert f"\n{what}  is stuck: " in said["text"]
    (one,) = said["data"]["stuck"]
    assert said["data"]["ok"] is False
    token = (await bot.app.console.admin["token.mint"]({"token_kind": "read", "name": f"r{bot.clock.now()}"}))["text"]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        async with session.get(f"{bot.app.address}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        async with session.get(f"{bot.app.address}/healthz") as answer:
            assert answer.status == 200, "a start would not help"
    assert [line for line in lines if line.startswith("timmy_stuck{") and not line.endswith(" 0.0")] == [
        f'timmy_stuck{{what="{kind}"}} 1.0'
    ]
    wrong = [finding for finding in _stuck(said["data"]["stuck"]) if not finding.ok]
    assert [(finding.says, finding.severity) for finding in wrong] == [(f"{what}: {one['why']}", "error")]
    for _ in range(20):
        bot.pass_time(20)
        await bot.barrier()
    assert not [frame for frame in bot.unread if "is stuck" in str(frame.get("text"))], "told once"
    found: dict[str, Any] = one
    return found


async def test_an_open_task_that_nobody_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its walk breaks off again and again; a start tells of it no second time."""
    clock = FakeClock()

    async def broken(*_: Any) -> Any:
        raise Fault

    monkeypatch.setattr(Walk, "_auction", broken)
    async with hub(tmp_path, clock=clock) as bot:
        task = (await bot.data("/task find it"))["task"]
        found = await seen(bot, task, "open")
        assert found["why"] == "it waits for nobody"
        assert found["fix"].startswith(f"/cancel {task}")
    async with hub(tmp_path, clock=clock) as bot:
        await bot.see(bot.app.health.stuck, "that it is stuck", pace=5)
        await bot.barrier()
        assert not [frame for frame in bot.unread if "is stuck" in str(frame.get("text"))]
        await bot.say(f"/cancel {task}")
        await bot.see(lambda: not bot.app.health.stuck(), "that it is over", pace=5)
        assert (await bot.say("/status"))["text"].startswith("All parts are up, but no model answers\n")
        prove(bot.app.settings)


async def test_a_wake_up_that_was_lost_is_made_up_for(tmp_path: Path) -> None:
    """It waits for somebody who is not there at all: the next look finds whom it can wait for."""
    async with hub(tmp_path, personas=()) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        lease = await box.won((await bot.data("/task find it"))["task"], 10)
        task = (await bot.data("/task find more"))["task"]
        await bot.barrier()
        coordinator = bot.app.hub.coordinator
        coordinator._docket.parking.unpark(int(task[2:]))
        coordinator._docket.parking.park(int(task[2:]), ["gone"])
        for _ in range(40):
            await box.beat("T-1", lease)
            bot.pass_time(2)
            await bot.barrier()
        assert coordinator._docket.parking.whom(int(task[2:])) == ("box",)
        assert bot.app.health.stuck() == []


@pytest.mark.parametrize("status", first(2, ["bidding", "awarded", "running", "delivered"]))
async def test_a_task_that_is_long_overdue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """The clock cannot close it, take it back or pay for it."""
    async with hub(tmp_path, personas=(), auction={"review": 60}) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = (await bot.data("/task find it"))["task"]
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"), "its auction", pace=0)
        if status == "bidding":
            monkeypatch.setattr(bidding, "close", lambda *_: _raise())
        else:
            breaks(monkeypatch, "lose")
            breaks(monkeypatch, "settle")
            await box.bid(task, 10)
            lease = (await box.given())["lease_token"]
            if status != "awarded":
                await box.beat(task, lease)
            if status == "delivered":
                await box.deliver(task, lease, "done")
        found = await seen(bot, task, status)
        assert found["fix"].startswith("/accept or /reject it" if status == "delivered" else f"/cancel {task}")


def _raise() -> None:
    raise Fault


async def test_a_handler_that_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subscriptions.Notify.__call__

    def broken(notify: Any, tx: Any, events: Any) -> Any:
        if any(event.task == 1 for event in events):
            raise NotWritten(why="a fault")
        return real(notify, tx, events)

    monkeypatch.setattr(subscriptions.Notify, "__call__", broken)
    async with hub(tmp_path) as bot:
        await bot.data("/task find it")
        found = await seen(bot, "notify", "handler")
        assert "what follows from that is not done" in found["why"]


@pytest.mark.parametrize("where", ["held", "in escrow"])
async def test_money_that_a_task_has_left(tmp_path: Path, where: str) -> None:
    """As no code of the hub leaves it: somebody changes the row by hand."""
    async with hub(tmp_path, personas=(), auction={"window": 3600}) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = (await bot.data("/task find it max=50"))["task"]
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'bidding'"), "its auction", pace=0)
        if where != "held":
            await box.bid(task, 10)

        def work(tx: UnitOfWork) -> None:
            tx._connection.execute("UPDATE task SET status = 'failed', due = NULL WHERE id = ?", (int(task[2:]),))

        await bot.app.store.write(work)
        found = await seen(bot, task, "money")
        assert found["why"].startswith(f"{10 if where != 'held' else 50} sats are {where} for it")


async def test_what_is_stuck_is_seen_each_time_though_a_round_looks_at_some_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise Fault

    monkeypatch.setattr(Walk, "_auction", broken)
    monkeypatch.setattr("core.swarm.stuck.SOME", 2)
    async with hub(tmp_path) as bot:
        for _ in range(5):
            await bot.data("/task find it max=20")
        await bot.see(lambda: len(bot.app.health.stuck()) == 5, "all of them", pace=5)


async def test_all_owners_are_told_and_many_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise Fault

    monkeypatch.setattr(Walk, "_auction", broken)
    async with hub(tmp_path) as bot:
        for _ in range(7):
            await bot.data("/task find it max=20")
        told = await bot.see(bot.app.health.stuck, "that they are stuck", pace=5)
        assert len(told) == 7
        said = await bot.until(text="So are 2 more: /status")
        assert said["text"].count("is stuck") == 5
        data = (await bot.say("/status"))["data"]
        assert "T-1, T-2, T-3, T-4, T-5 and 2 more are stuck" in data["faults"]
        (wrong,) = [finding for finding in _stuck(data["stuck"]) if not finding.ok]
        assert wrong.says.endswith("; and 2 more")


async def test_what_waits_as_it_should_is_not_stuck(tmp_path: Path) -> None:
    """For a busy agent, for people, for the end of a review, for spending to go on."""
    gate = asyncio.Event()
    async with hub(tmp_path, hands=Hands(does={"echo": gate}), personas=(ECHO,)) as bot, workers(bot, "box") as (box,):
        await bot.data("/task find it")
        await bot.data("/task find more")
        await bot.data("/task find more pick=ask")
        await box.enrol()
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE id = 2 AND status = 'bidding'"), "its auction", pace=0)
        await box.deliver("T-2", await box.won("T-2", 10), "done")
        await bot.data("/task find more to=echo")
        await bot.say("/freeze")
        await bot.data("/task find most")
        for _ in range(30):
            bot.pass_time(10)
            await bot.barrier()
        live = {row[0] for row in bot.rows("SELECT status FROM task")}
        assert (live, bot.app.health.stuck()) == ({"open", "bidding", "running", "delivered"}, [])
        gate.set()
