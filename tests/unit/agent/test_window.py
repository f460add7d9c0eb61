"""A model that was made for a narrow window is given no more than fits it: its server would cut the rest without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.agent.agent import Assistant
from core.agent.model import Bounds
from core.agent.prompt import TooLongForModel
from core.agent.tool import Use
from core.chat import Caller, Role
from tests.toolbox import Box, Made

if TYPE_CHECKING:
    from adapters.llm.ollama import OllamaModel
    from adapters.sqlite.writer import Database
    from tests.ollama_server import OllamaServer


async def test_turns_that_do_not_fit_the_models_own_window_are_left_out_whole(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.window = 2048
    assistant = Assistant(store, model, bounds=Bounds(window=8192))
    for number in range(4):
        server.says("Yes.")
        await assistant.answer("here", f"{number} " + "word " * 300, f"k{number}", lambda _: None)
    sent = server.last["messages"]
    assert server.last["options"]["num_ctx"] == 2048
    assert sum(len(one["content"]) for one in sent) / 3 < 2048 * 3 / 4 + 100
    assert [one["role"] for one in sent][-3:] == ["user", "assistant", "user"], "the newest whole exchange is kept"
    assert not any(one["content"].startswith("1 ") for one in sent)


async def test_who_writes_so_much_that_tools_do_not_fit_is_answered_without(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    assistant = Assistant(store, model, bounds=Bounds(window=2048), toolbox=Box([Made("a_tool", _nothing)]))
    use = Use(Caller("here", Role.MEMBER), "here", "k")
    await assistant.turn("here", "short", "k1", lambda _: None, use=use)
    assert server.last["tools"]
    await assistant.turn("there", "word " * 700, "k2", lambda _: None, use=use)
    assert not server.last.get("tools")


async def test_a_question_that_fits_only_a_wider_window_is_refused_by_name(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.window = 1024
    with pytest.raises(TooLongForModel):
        await Assistant(store, model, bounds=Bounds(window=8192)).answer("here", "word " * 800, "k", lambda _: None)
    assert server.asked == []


async def _nothing() -> str:
    return ""
