"""Model servers as people meet them: several, one that is away, and models that are got."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bot.doctor import ask
from config.settings import ModelGroup, Ollama, OpenAI
from tests.ollama_server import Fault, OllamaServer, Wire
from tests.openai_server import OpenAIServer
from tests.scenario.bot import NOBODY, PATIENCE, hub, let_in, settings
from tests.scenario.telegram import ANN, OLGA, on_telegram
from tests.scenario.test_doctor import wrong
from tests.unit.agent.test_pulling import WHOLE, line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from config.settings import Settings
    from tests.telegram_server import TelegramServer


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("tiny:latest") as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer.running("big") as server:
        yield server


def having(folder: Path, ollama: str | None, openai: str, **more: Any) -> Settings:
    """Settings with a second server."""
    first = Ollama() if ollama is None else Ollama(url=ollama)
    return settings(folder).model_copy(update={"ollama": first, "openai": OpenAI(url=openai), **more})


async def test_the_second_server_answers_for_the_first_and_that_is_said(
    tmp_path: Path, ollama: OllamaServer, openai: OpenAIServer
) -> None:
    async with hub(tmp_path, found=having(tmp_path, ollama.url, openai.url)) as bot:
        ollama.says(Fault(500, "model requires more system memory (9 GiB)"))
        openai.says("I am large.")
        answer = await bot.say("who are you?")
        assert answer["text"].splitlines()[0] == "I am large."
        assert "(Answered by openai/big. tiny:latest does not fit" in answer["text"]
        assert answer["data"]["stood_in"] == ["openai/big"]
        ollama.says("I am small.")
        assert (await bot.say("who are you?"))["text"] == "I am small."
        assert "Answered by" not in str(ollama.last["messages"]), "the model is not given what is said beside an answer"


async def test_every_server_is_shown_with_its_models_and_one_is_chosen(
    tmp_path: Path, ollama: OllamaServer, openai: OpenAIServer
) -> None:
    ollama.toolless = {"tiny:latest"}
    async with hub(tmp_path, found=having(tmp_path, ollama.url, openai.url)) as bot:
        shown = await bot.say("/model")
        assert shown["text"].splitlines() == [
            "This conversation uses tiny:latest. Its window: 131,072 tokens. It cannot call tools: with it the agent only talks.",
            f"ollama, {ollama.url}:",
            "  tiny:latest",
            f"openai, {openai.url}:",
            "  openai/big",
        ]
        assert shown["data"]["models"] == ["tiny:latest", "openai/big"]
        chosen = await bot.say("/model openai/big")
        assert chosen["text"].startswith("This conversation uses openai/big from now on.")
        assert "only talks" not in chosen["text"]
        assert (await bot.say("hello you"))["text"] == "You said: hello you"
        assert openai.last["model"] == "big"
        await ollama.stop()
        async with asyncio.timeout(PATIENCE):
            while (status := await bot.say("/status"))["data"]["model"]["servers"][0]["up"]:
                bot.pass_time(1)
        assert status["data"]["model"]["up"] is True
        assert status["data"]["model"]["servers"][1]["up"] is True
        assert "model of ollama  No model answers" in status["text"]
        assert "model of openai  up" in status["text"]
        shown = await bot.say("/model")
        assert f"ollama, {ollama.url}: No model answers at" in shown["text"]


@pytest.mark.long
async def test_where_only_another_server_is_set_nobody_looks_for_ollama(tmp_path: Path, openai: OpenAIServer) -> None:
    openai.key = "canary"
    found = having(tmp_path, None, openai.url)
    found = found.model_copy(update={"openai": OpenAI(url=f"{openai.url}/v1", key="canary")})
    async with hub(tmp_path, found=found) as bot:
        assert (await bot.say("hello you"))["text"] == "You said: hello you"
        assert [one["name"] for one in (await bot.data("/status"))["model"]["servers"]] == ["openai"]
        assert (await bot.data("/pull phi4"))["error"] == "not_here"
        openai.says(Fault(500, b"canary"))
        assert (await bot.data("/model"))["model"] == "big"


@pytest.mark.long
async def test_the_doctor_looks_at_each_server(tmp_path: Path, openai: OpenAIServer) -> None:
    openai.window, openai.tools = 4096, False
    found = having(tmp_path, NOBODY, openai.url)
    async with hub(tmp_path, found=found):
        pass
    seen = wrong(found, None, asked=await ask(found, runs=True))
    assert {"model.servers", "model.window", "model.tools"} <= set(seen)
    assert "model.ready" not in seen
    assert "ollama at http://127.0.0.1:9: No model answers" in seen["model.servers"].says
    assert "made for 4,096 tokens, and is asked with those, not with 8,192" in seen["model.window"].says
    elsewhere = found.model_copy(update={"openai": OpenAI(url="http://127.0.0.2.nip.example"), "model": ModelGroup()})
    assert "model.ready" in wrong(elsewhere, None, asked=await ask(elsewhere, runs=True))


# Getting models ----------------------------------------------------------------------------------------------------


async def test_a_model_that_is_not_there_is_got_in_the_chat(tmp_path: Path, ollama: OllamaServer) -> None:
    gate = asyncio.Event()
    ollama.pulls["phi4"] = [*WHOLE[:4], gate, *WHOLE[4:]]
    async with hub(tmp_path, ollama=ollama.url) as bot:
        missing = await bot.say("/model phi4")
        assert missing["data"]["error"] == "unknown_model"
        await bot.post("/pull phi4")
        await bot.until(kind="draft", text="50 % of 1.5 GB")
        assert (await bot.data("/balance"))["ok"], "nothing waits for it"
        assert (await bot.say("hello you"))["text"] == "You said: hello you", "not even the agent"
        gate.set()
        here = await bot.until(kind="reply")
        assert here["text"].startswith("phi4 is here.")
        assert (await bot.data("/model phi4"))["model"] == "phi4:latest"


@pytest.mark.long
async def test_a_button_gets_it_once_and_holds_nothing_up(
    tmp_path: Path, ollama: OllamaServer, server: TelegramServer
) -> None:
    gate = asyncio.Event()
    ollama.pulls["phi4"] = [line("pulling manifest"), gate, *WHOLE]
    async with on_telegram(tmp_path, server, ollama=ollama.url) as people:
        olga = people.olga
        offer = await people.says(olga, OLGA, "/model phi4")
        assert "There is no model phi4 here" in offer.text
        server.tap(offer, "Get phi4", OLGA)
        await asyncio.wait_for(ollama.begun.wait(), PATIENCE)
        query = server.tap(offer, "Get phi4", OLGA)
        await people.until(lambda: query in server.answers, "the second press being heard")
        await people.says(olga, OLGA, "/balance")
        gate.set()
        await people.told(olga, "phi4 is here.")
        refused = await people.says(people.ann, ANN, "/model phi5")
        assert not refused.buttons
    assert ollama.pulled == ["phi4"]


@pytest.mark.long
async def test_a_restart_goes_on_with_it_and_stop_ends_it(tmp_path: Path, ollama: OllamaServer) -> None:
    ollama.pulls["phi4"] = [line("pulling a", "sha256:a", 1, 2), Wire.SILENCE]
    async with hub(tmp_path, ollama=ollama.url) as bot:
        await bot.post("/pull phi4")
        await bot.until(kind="draft", text="50 %")
    async with hub(tmp_path, ollama=ollama.url) as bot:
        await bot.see(lambda: len(ollama.pulled) == 2, "it being taken up")
        await bot.see(lambda: bot.app.hub.pulls().stop("console:owner"), "it being stopped")
        assert "stopped at" in (await bot.until(kind="more", text="stopped at"))["text"]
    assert ollama.pulled == ["phi4", "phi4"]


async def test_only_owners_get_models(tmp_path: Path, ollama: OllamaServer) -> None:
    async with hub(tmp_path, ollama=ollama.url) as bot:
        await let_in(bot, "telegram:7", "operator")
        assert (await bot.data("/pull phi4", acting_for="telegram:7"))["error"] == "not_allowed"
    assert ollama.pulled == []
