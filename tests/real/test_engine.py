"""A real inference engine: llama.cpp's own server, whose stream, calls, window and errors nobody here wrote."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock
from adapters.llm.openai import ServerUnreachable
from adapters.llm.openai_wire import KeyRefused, WindowFull
from config.settings import Ollama, OpenAI
from core.agent.model import Card, ChatMessage, ModelBrokeOff, ModelFailed, ModelOverfull, ToolCall, ToolSpec
from core.agent.repeating import Repetition
from tests.real.engine import missing, running_engine
from tests.scenario.bot import hub, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.llm.openai import OpenAIModel
    from core.agent.model import Unsaid

pytestmark = missing

HELLO = [ChatMessage("system", "You are kind."), ChatMessage("user", "Hello?")]
ROUND = [ChatMessage("user", "Go round.")]
CALCULATE = ToolSpec(
    "calculate", "Work out a sum.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)  # fmt: skip


async def heard(
    model: OpenAIModel, messages: list[ChatMessage], *tools: ToolSpec, num_ctx: int = 8192
) -> list[str | ToolCall | Unsaid]:
    async with aclosing(model.chat(messages, model=None, num_ctx=num_ctx, tools=tools)) as pieces:
        return [piece async for piece in pieces]


async def hear(
    model: OpenAIModel, messages: list[ChatMessage], said: list[str | ToolCall | Unsaid], num_ctx: int
) -> None:
    async with aclosing(model.chat(messages, model=None, num_ctx=num_ctx)) as pieces:
        async for piece in pieces:
            said.append(piece)  # noqa: PERF401 - what came before an error stays


async def test_an_answer_streams_word_by_word_and_the_window_is_read(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, engine.model(SystemClock()) as model:
        assert await model.check() is None
        assert await model.models() == ["tiny"]
        assert await model.card(None) == Card(1024, tools=True)
        assert await heard(model, HELLO) == ["Hello", " from", " a", " real", " engine", "."]


async def test_a_call_comes_whole_and_its_result_goes_back(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, engine.model(SystemClock()) as model:
        (call,) = await heard(model, HELLO, CALCULATE)
        assert isinstance(call, ToolCall)
        assert (call.name, call.arguments) == ("calculate", {"expression": "6 * 7"})
        assert call.id
        told = [
            *HELLO, ChatMessage("assistant", "", (call,)), ChatMessage("tool", "42", name="calculate", id=call.id),
        ]  # fmt: skip
        assert "".join(map(str, await heard(model, told, CALCULATE))) == "That makes forty-two!"


async def test_no_answer_outgrows_the_window_and_none_is_cut_without_a_word(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, engine.model(SystemClock()) as model:
        for num_ctx in (8192, 256):
            said: list[str | ToolCall | Unsaid] = []
            with pytest.raises(WindowFull):
                await hear(model, ROUND, said, num_ctx)
            assert 100 < len(said) < min(num_ctx, 1024)
        with pytest.raises(ModelOverfull, match=r"exceeds the available context size"):
            await heard(model, [ChatMessage("user", "long " * 2000)])
        assert len(await heard(model, HELLO)) == 6


async def test_what_it_says_for_ever_is_heard(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, engine.model(SystemClock()) as model:
        repetition = Repetition()
        async with aclosing(model.chat(ROUND, model=None, num_ctx=8192)) as pieces:
            async for piece in pieces:
                if repetition.hears(str(piece)):
                    break
            else:
                pytest.fail("it went round to the end of its window unheard")


async def test_who_hangs_up_is_not_answered_any_more(tmp_path: Path) -> None:
    async with running_engine(tmp_path, window=65_536) as engine, engine.model(SystemClock()) as model:
        for _ in range(3):
            async with aclosing(model.chat(ROUND, model=None, num_ctx=65_536)) as pieces:
                assert await anext(pieces) == " and round"
        async with asyncio.timeout(5):  # it answers one at a time, and a whole round takes longer
            assert len(await heard(model, HELLO)) == 6


async def test_its_end_in_the_middle_of_an_answer_is_named_and_it_comes_back(tmp_path: Path) -> None:
    async with running_engine(tmp_path, window=65_536) as engine, engine.model(SystemClock()) as model:
        async with aclosing(model.chat(ROUND, model=None, num_ctx=65_536)) as pieces:
            await anext(pieces)
            await engine.stop()
            with pytest.raises(ModelBrokeOff):
                async for _ in pieces:
                    pass
        with pytest.raises((ServerUnreachable, ModelFailed)):
            await heard(model, HELLO)
        await engine.start()
        assert len(await heard(model, HELLO)) == 6


async def test_a_key_is_asked_for(tmp_path: Path) -> None:
    async with running_engine(tmp_path, key="canary") as engine:
        async with engine.model(SystemClock(), "canary") as model:
            assert len(await heard(model, HELLO)) == 6
        async with engine.model(SystemClock()) as model:
            with pytest.raises(KeyRefused):
                await heard(model, HELLO)


async def test_a_person_asks_the_hub_and_its_tool_is_called(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    async with running_engine(tmp_path / "engine", window=16_384) as engine:
        found = settings(tmp_path).model_copy(update={"openai": OpenAI(url=engine.url), "ollama": Ollama()})
        async with hub(tmp_path, found=found) as bot:
            shown = await bot.say("/model")
            assert shown["text"].startswith("This conversation uses tiny. Its window: 16,384 tokens.")
            answer = await bot.say("work out exactly what 6 * 7 is, please calculate the sum")
            assert answer["text"].startswith("That makes forty-two!")
            assert answer["data"]["called"] == ["calculate"]
