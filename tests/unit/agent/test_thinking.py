"""The agent thinks aloud: in rounds that are the hub's own, told as they grow, ended as any answer is."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import Nursery
from core.agent.agent import STOPPED, Assistant
from core.agent.model import Bounds, ModelSaidNothing, ModelSlow, NoModelInstalled
from core.agent.thinking import ROUNDS
from core.agent.tool import Effect, Output, Use
from core.chat import Caller, Role
from tests.ollama_server import Calls, Fault, Wire
from tests.toolbox import Box, Made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.llm.ollama import OllamaModel
    from adapters.sqlite.writer import Database
    from core.agent.tool import Tool
    from tests.ollama_server import OllamaServer

CHAT = "console:owner"
USE = Use(Caller("console:owner", Role.OWNER, private=True), CHAT, "key")
HEADINGS = [f"## {one.heading}" for one in ROUNDS]


async def _read(path: str) -> Output:
    return Output(f"{path}: it rains")


def quiet(_: str) -> None:
    """Nobody listens."""


async def test_a_topic_is_gone_through_in_rounds(assistant: Assistant, server: OllamaServer) -> None:
    told: list[str] = []
    for number in range(4):
        server.says(f" Thought {number},", " and more.<|im_end|> ")
    answer = await assistant.think(CHAT, "rain", "key", told.append)
    assert answer.text.split("\n\n") == [
        part for number, heading in enumerate(HEADINGS) for part in (heading, f"Thought {number}, and more.")
    ]
    assert [later.startswith(earlier) for earlier, later in pairwise(told)] == [True] * 7
    last = server.last["messages"]
    assert [one["role"] for one in last] == ["system", *["user", "assistant"] * 3, "user"]
    assert all("Topic: rain" in one["content"] for one in last if one["role"] == "user")
    server.says("Again.")
    await assistant.answer(CHAT, "And now?", "next", quiet)
    assert [one["content"] for one in server.last["messages"][1:]] == [
        "Think aloud about: rain",
        "Thought 3, and more.",
        "And now?",
    ]


async def test_it_may_look_but_not_touch(store: Database, model: OllamaModel, server: OllamaServer) -> None:
    box = Box([Made("read_file", _read, takes=("path",)), Made("take_note", _read, Effect.WRITE, takes=("path",))])
    assistant = Assistant(store, model, toolbox=box)
    server.says("I look first.", Calls("read_file", {"path": "notes.md"}))
    server.says("It rains.")
    told: list[str] = []
    answer = await assistant.think(CHAT, "rain", "key", told.append, use=USE)
    assert [tool["function"]["name"] for tool in server.asked[0]["tools"]] == ["read_file"]
    assert answer.called == ("read_file",)
    assert answer.text.startswith("## Outline\n\nI look first.\n\nIt rains.\n\n## For and against\n\n")
    assert "## Outline\n\nI look first.\n\n… read_file notes.md" in told


async def test_stop_ends_it_where_it_is(assistant: Assistant, server: OllamaServer) -> None:
    server.says("Rain is wet.")
    server.says("But then", Wire.SILENCE)
    said: list[str] = []

    async def think() -> None:
        said.append((await assistant.think(CHAT, "rain", "key", quiet)).text)

    async with Nursery() as hub:
        hub.spawn(think(), "thinking")
        await server.begun.wait()
        assert assistant.stop(CHAT)
        await server.hung_up.wait()
    assert said == [f"## Outline\n\nRain is wet.\n\n## For and against\n\nBut then\n\n{STOPPED}"]


async def test_stopped_before_it_began_it_asks_nothing(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    class Hushing(Box):
        def offered(self, names: Sequence[str], caller: Caller) -> Sequence[Tool]:
            assistant.hush(["ann"])
            return super().offered(names, caller)

    assistant = Assistant(store, model, toolbox=Hushing([]))
    assert (await assistant.think(CHAT, "rain", "key", quiet, speakers=["ann"], use=USE)).text == STOPPED
    assert server.asked == []


async def test_it_ends_with_whoever_it_is_for_under_way_or_not_yet(assistant: Assistant, server: OllamaServer) -> None:
    server.says("Rain is wet.", Wire.SILENCE)
    said: list[str] = []

    async def think() -> None:
        said.append((await assistant.think(CHAT, "rain", "key", quiet)).text)

    async with Nursery() as hub:
        hub.spawn(think(), "thinking")
        await server.begun.wait()
        assistant.leave("another")
        assert not server.hung_up.is_set()
        assistant.leave("key")
        await server.hung_up.wait()
    assert said == [f"## Outline\n\nRain is wet.\n\n{STOPPED}"]
    asked = len(server.asked)
    assert (await assistant.think(CHAT, "rain", "another", quiet)).text == STOPPED
    assert len(server.asked) == asked


async def test_what_was_thought_before_the_model_broke_is_kept(assistant: Assistant, server: OllamaServer) -> None:
    server.says("Rain is wet.")
    server.says(Fault(500, "out of memory"))
    text = (await assistant.think(CHAT, "rain", "key", quiet)).text
    assert text.startswith("## Outline\n\nRain is wet.\n\n(")
    assert "out of memory" in text
    server.says("Rain", Wire.BREAK)
    assert "broke off" in (await assistant.think(CHAT, "rain", "key", quiet)).text


async def test_what_was_thought_before_it_did_not_fit_any_more_is_kept(
    assistant: Assistant, server: OllamaServer
) -> None:
    server.says("Rain is wet.")
    for _ in range(9):
        server.says(Fault(400, "longer than the context length"))
    answer = await assistant.think(CHAT, "rain", "key", quiet)
    assert answer.text.startswith("## Outline\n\nRain is wet.\n\n(This does not fit")
    assert "context length" in answer.ended


async def test_it_is_bounded(assistant: Assistant, store: Database, model: OllamaModel, server: OllamaServer) -> None:
    server.says("Rain", Wire.SILENCE)

    def tell(_: str) -> None:
        (speech,) = assistant._speeches
        assert speech.scope is not None
        speech.scope.reschedule(0)

    text = (await assistant.think(CHAT, "rain", "key", tell)).text
    assert text.startswith("## Outline\n\nRain\n\n(The model was not done after 300 s and was stopped.")
    server.says(Wire.SILENCE)
    with pytest.raises(ModelSlow):
        await Assistant(store, model, bounds=Bounds(seconds=0.1)).think(CHAT, "rain", "key", quiet)


async def test_a_model_that_says_nothing_has_thought_nothing(assistant: Assistant, server: OllamaServer) -> None:
    for _ in ROUNDS:
        server.says(" ")
    with pytest.raises(ModelSaidNothing):
        await assistant.think(CHAT, "rain", "key", quiet)


async def test_a_last_round_without_words_is_not_kept(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    assistant = Assistant(store, model, toolbox=Box([Made("read_file", _read, takes=("path",))]))
    for _ in ROUNDS[:-1]:
        server.says("Rain is wet.")
    server.says(Calls("read_file", {"path": "notes.md"}))
    server.says(" ")
    answer = await assistant.think(CHAT, "rain", "key", quiet, use=USE)
    assert answer.text.endswith("## Next steps")
    await assistant.answer(CHAT, "And now?", "next", quiet)
    assert len(server.last["messages"]) == 2


async def test_without_a_model_it_says_so(assistant: Assistant, server: OllamaServer) -> None:
    server.models.clear()
    with pytest.raises(NoModelInstalled):
        await assistant.think(CHAT, "rain", "key", quiet)
    assert not assistant.stop(CHAT)
