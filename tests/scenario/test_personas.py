"""What somebody notices of personas that work with a model: checked results, files, progress, and who does not bid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.llm.server import CARD_MS
from config import personas
from tests.ollama_server import Calls, OllamaServer
from tests.scenario.bot import hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

SVG = '<svg viewBox="0 0 9 9"><circle r="4" fill="#cc0000"/></svg>'


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("qwen3:8b") as running:
        yield running


@pytest.fixture
async def bot(tmp_path: Path, server: OllamaServer) -> AsyncIterator[Bot]:
    async with hub(tmp_path, ollama=server.url, worker=None, personas=personas.load()) as running:
        yield running


@pytest.mark.long
async def test_what_is_not_good_is_mended_and_then_paid_for(bot: Bot, server: OllamaServer) -> None:
    server.says("Sure, here is your poem:\n\nRain.")
    server.says("Sure, here is your poem:\n\nRain,\nagain.")
    await bot.say("/task write a poem of two lines to=quill")
    over = await bot.settled("T-1")
    assert "Rain,\nagain." in over["text"]
    assert "Sure" not in over["text"]
    assert len(server.asked) == 2


@pytest.mark.long
async def test_what_is_not_good_twice_costs_nothing(bot: Bot, server: OllamaServer) -> None:
    server.says("```sh\nsudo rm -rf /var/log\n```")
    server.says("```sh\nsudo rm -rf /var/log\n```")
    await bot.say("/task which systemd unit starts nginx? to=helm")
    over = await bot.ends("T-1")
    assert over["data"]["status"] == "failed"
    assert "`sudo rm -rf /var/log` destroys data" in over["text"]
    assert (await bot.data("/balance"))["held_sats"] == 0


@pytest.mark.long
async def test_a_picture_comes_as_a_file(bot: Bot, server: OllamaServer) -> None:
    server.says(f"A dot.\n```svg\n{SVG}\n```")
    await bot.say("/task draw a logo as dot.svg to=pixel")
    over = await bot.settled("T-1")
    assert [file["name"] for file in over["files"]] == ["dot.svg"]
    assert "<circle" not in over["text"]


async def test_what_is_called_for_a_task_is_shown_in_its_chat(bot: Bot, server: OllamaServer) -> None:
    (bot.app.settings.workspace / "plan.md").write_text("We meet at nine.")
    server.says(Calls("read_file", {"path": "plan.md"}))
    server.says("At nine we meet.")
    await bot.say("/task write a poem about plan.md to=quill")
    told = await bot.until(kind="progress", event="TaskProgressed")
    assert told["text"] == "T-1  quill: read plan.md"
    assert "At nine" in (await bot.settled("T-1"))["text"]


@pytest.mark.long
async def test_a_model_that_cannot_call_gets_no_task_that_names_a_file(bot: Bot, server: OllamaServer) -> None:
    server.can = ["completion"]
    bot.pass_time(CARD_MS / 1000)  # what it can do was seen at the start
    (bot.app.settings.workspace / "plan.md").write_text("We meet at nine.")
    said = await bot.say("/task fix the bug in plan.md to=forge")
    text = said["text"] if not said["data"]["ok"] else (await bot.ends("T-1"))["text"]
    assert "needs a model that can call tools, to look at plan.md" in text
    server.says("```python\nx = 1\n```")
    await bot.say("/task write a python script that sets x to=forge")
    await bot.settled("T-2" if said["data"]["ok"] else "T-1")
