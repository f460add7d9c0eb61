"""A trained model: small, and nobody here wrote what it says. It talks, is too small for tools, and stands for all that are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from adapters.clockwork import SystemClock
from adapters.llm.openai import OpenAIModel
from config.settings import Ollama, OpenAI
from core.agent.loop import Loop, Scene, Turned
from core.agent.model import Bounds, ChatMessage
from core.agent.prompt import agent_prompt, tokens
from core.agent.session import Turn
from tests.eval.tasks import ROSTER
from tests.program import ROOT
from tests.real.engine import TRAINED, missing, running_engine
from tests.scenario.bot import hub, prove, settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from pathlib import Path

    from adapters.console.link import Frame
    from core.agent.model import ToolCall, Unsaid
    from core.agent.session import Step
    from tests.fakes import FakeClock
    from tests.real.engine import Engine
    from tests.scenario.bot import Bot

pytestmark = [missing, pytest.mark.timeout(300)]

WINDOW = 2048
PATIENCE = 150.0


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with running_engine(TRAINED, window=WINDOW) as engine:
        yield engine


async def test_it_knows_something_and_says_it_piece_by_piece(engine: Engine) -> None:
    question = [ChatMessage("user", "What is the capital of France?")]
    async with engine.model(SystemClock()) as model:
        assert await model.models() == [TRAINED.stem]
        async with aclosing(model.chat(question, model=None, num_ctx=WINDOW)) as pieces:
            said = [piece async for piece in pieces]
    assert "Paris" in "".join(map(str, said))
    assert len(said) > 3


async def test_its_tokens_are_counted_on_the_high_side(engine: Engine) -> None:
    """For what people write most. Its vocabulary is small: in other scripts it counts more, and is then given less."""
    texts = [
        ROOT.joinpath(name).read_text()[:20_000] for name in ("README.md", "core/agent/prompt.py", "pyproject.toml")
    ]
    texts += [
        "Heute ist schönes Wetter, lass uns in den Park gehen. " * 50,
        "1234567890, 31.12.2026 " * 100,
    ]
    async with httpx.AsyncClient() as client:
        for text in texts:
            answer = await client.post(f"{engine.url}/tokenize", json={"content": text})
            assert len(answer.json()["tokens"]) <= tokens(text), text[:40]


async def test_of_a_conversation_that_outgrows_its_window_by_its_own_count_less_is_given(engine: Engine) -> None:
    """Its vocabulary has few words for this script: it counts twice as many tokens as are counted here."""
    turns = [
        turn
        for number in range(4)
        for turn in (
            Turn("user", f"{number}: {'今天天气很好，我们去公园散步吧。' * 16}", f"k{number}"),
            Turn("assistant", "好。", f"k{number}"),
        )
    ]
    given: list[int] = []

    class Counts(OpenAIModel):
        def chat(self, messages: Sequence[ChatMessage], **more: Any) -> AsyncGenerator[str | ToolCall | Unsaid, None]:
            given.append(len(messages))
            return super().chat(messages, **more)

    async def keep(_: int, __: Step) -> None:
        pass

    def heard(_: str) -> None:
        raise Heard

    async with Counts(engine.url, clock=SystemClock()) as model:
        with pytest.raises(Heard):
            await Loop(model, Bounds(window=WINDOW)).run(
                Scene(lambda calls: agent_prompt(calls=calls), turns, "我们去吗？"), Turned(), None, heard, keep
            )
    assert len(given) >= 2
    assert given == sorted(set(given), reverse=True)


class Heard(Exception):
    pass


async def test_facts_have_what_it_takes_them_to_mean(tmp_path: Path) -> None:
    """Any model has vectors; this one is asked for them once its name says that it is for that."""
    model = tmp_path / "smollm2-embed.gguf"
    model.symlink_to(TRAINED)
    async with running_engine(model, window=WINDOW) as engine, talking(engine, tmp_path) as bot:
        for fact in ("my cat is called Miso", "the car is in the garage", "I pay rent on the first"):
            await heard(bot, f"/remember {fact}")
        await seen(lambda: len(bot.rows("SELECT 1 FROM fact_vector")) == 3)
        assert bot.rows("SELECT name FROM embedding") == [(model.stem,)]


async def test_what_it_delivers_is_paid_for_and_what_is_no_result_is_not(engine: Engine, tmp_path: Path) -> None:
    async with talking(engine, tmp_path) as bot:
        for what in ("write one sentence about rain", "draw a picture of a red circle"):
            await heard(bot, f"/task {what} max=100")
        await seen(lambda: not bot.rows("SELECT 1 FROM task WHERE ended_at IS NULL"))
        first, second = bot.rows("SELECT status, price, result, why FROM task ORDER BY id")
        assert first[0] == "settled", first
        assert (second[0], second[1]) == ("failed", None), second
        assert (await heard(bot, "/balance"))["data"]["balance_sats"] == 10_000 - first[1] // 1000
    prove(bot.app.settings)


@asynccontextmanager
async def talking(engine: Engine, folder: Path) -> AsyncIterator[Bot]:
    """A hub with its own agents, which have this model."""
    found = settings(folder).model_copy(update={"openai": OpenAI(url=engine.url), "ollama": Ollama()})
    clock = cast("FakeClock", SystemClock())
    async with hub(folder, clock=clock, worker=None, personas=tuple(ROSTER.values()), found=found) as bot:
        yield bot


async def heard(bot: Bot, text: str) -> Frame:
    """An answer, however long it takes a model."""
    await bot.post(text)
    async with asyncio.timeout(PATIENCE):
        while (frame := await bot.link.receive()) is not None:
            if frame["kind"] == "reply":
                return frame
    raise AssertionError(text)


async def seen(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # noqa: TID251 - a model takes real time
