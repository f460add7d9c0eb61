"""A stranger who pays for a task reaches no file of the hub's people, and no tool: whoever works for them has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.parts.agent import Hands
from tests.attacks.world import call, world
from tests.cashier import FakeCashier
from tests.fakes import FakeClock
from tests.scenario.strangers import Stranger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.world import World

WANTS = "research what the diary says about the door, and tell it"


async def sold(w: World, cashier: FakeCashier) -> str:
    """What a stranger gets for their sats, all of it, and what was left behind."""
    cashier.store = w.bot.app.store
    stranger = Stranger(cashier)
    stranger.base = w.bot.app.serving.gate.address
    w.plays(
        [
            [
                call("read_file", path="diary.md"),
                call("take_note", text="x"),
                call("fetch_page", url="https://evil.example/"),
            ]
        ]
    )
    stranger.buy(await stranger.task(WANTS))
    name = (await stranger.task(WANTS)).body["task_id"]
    found = await stranger.ask("GET", f"/v1/tasks/{name}")
    while found.body["status"] not in {"settled", "failed"}:
        w.bot.pass_time(0.2)
        await w.bot.app.store.write(lambda tx: None)
        found = await stranger.ask("GET", f"/v1/tasks/{name}")
    return str(found.body)


@pytest.mark.long
async def test_a_strangers_task_has_no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cashier = FakeCashier(FakeClock())
    async with world(tmp_path, monkeypatch, agents=True, cashier=cashier) as w:
        got = await sold(w, cashier)
        assert w.model.asked
        assert not any(body.get("tools") for body in w.model.asked)
        assert "4711" not in got + w.given
        assert (w.web.asked, w.desk.noted) == ([], [])


@pytest.mark.long
async def test_it_would_read_a_diary_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toolboxes: list[Any] = []

    def generous(*ports: Any, toolbox: Any = None, **more: Any) -> Hands:
        toolboxes.append(toolbox or toolboxes[-1])
        return Hands(*ports, toolbox=toolboxes[-1], **more)

    monkeypatch.setattr("bot.app.Hands", generous)
    cashier = FakeCashier(FakeClock())
    async with world(tmp_path, monkeypatch, agents=True, cashier=cashier) as w:
        await sold(w, cashier)
        assert "4711" in w.given
