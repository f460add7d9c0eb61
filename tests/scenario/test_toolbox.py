"""Tools in a whole hub: who may have which, and what they show of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.agent.tool import Use
from core.chat import Caller, Role
from tests.scenario.bot import OWNER, hub

if TYPE_CHECKING:
    from pathlib import Path

    from core.events import Json
    from tests.scenario.bot import Bot

ANN = Caller("telegram:5", Role.MEMBER)


async def called(bot: Bot, name: str, caller: Caller, **arguments: Json) -> str:
    tool = bot.app.dispatcher._hub.tooling._toolbox.find(name)
    assert tool is not None
    return (await tool.run(tool.read(arguments), Use(caller, caller.actor, "call-1"))).text


async def test_tools_read_the_workspace_and_show_the_hub_to_who_may_see_it(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        said = await bot.say("/tools")
        assert "read_file: Read a text, Markdown, PDF or Word file of the workspace" in said["text"]
        assert "read_file" in said["data"]["tools"]
        await bot.say("/task write a poem max=100")
        await bot.settled("T-1")
        owner = Caller(OWNER, Role.OWNER)
        assert (await called(bot, "read_file", owner, path="welcome.md")).startswith("welcome.md, lines 1 to")
        assert "T-1" in await called(bot, "tasks", ANN)
        assert "quill did write a poem" in await called(bot, "tasks", ANN, task="T-1")
        assert (await called(bot, "balance", owner)).startswith("9,960 simulated sats free")
        assert "quill" in await called(bot, "agents", ANN)
        with pytest.raises(NotAllowed, match="private chat"):
            await called(bot, "balance", owner._replace(private=False))
        with pytest.raises(NotAllowed, match="does not know you"):
            await called(bot, "tasks", Caller("telegram:9", Role.GUEST))
