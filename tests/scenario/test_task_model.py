"""`/task … model=NAME`: the hub's own agents do it with that model or not at all, and whoever bids knows of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from config import personas
from config.settings import Ollama, OpenAI
from core.swarm.orders import Order
from tests.ollama_server import Fault, OllamaServer
from tests.openai_server import OpenAIServer
from tests.scenario.bot import PATIENCE, hub, let_in, settings
from tests.scenario.crew import workers
from tests.scenario.test_workers import posted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

POEM = "/task write a poem of two lines to=quill"
RAIN = "Rain,\n\nagain."


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("own:latest", "other:latest", "means:latest") as running:
        running.families = {"means:latest": "nomic-bert"}
        yield running


@pytest.fixture
async def bot(tmp_path: Path, server: OllamaServer) -> AsyncIterator[Bot]:
    async with hub(tmp_path, ollama=server.url, worker=None, personas=personas.load()) as running:
        yield running


async def test_it_is_done_with_that_model_and_not_by_a_skill(bot: Bot, server: OllamaServer) -> None:
    server.says("A hub greets you.")
    said = await bot.say("/task summarise welcome.md in one sentence model=other to=quill")
    assert "With the model other:latest." in said["text"]
    assert said["data"]["model"] == "other:latest"
    over = await bot.settled("T-1")
    assert "A hub greets you." in over["text"]
    assert {one["model"] for one in server.asked} == {"other:latest"}
    shown = await bot.say("/show T-1")
    assert "with the model other:latest" in shown["text"]
    assert shown["data"]["model"] == "other:latest"
    assert "forecast" not in shown["data"], "what a wished model takes says nothing of the field"
    assert bot.rows("SELECT note FROM bid WHERE price IS NOT NULL") == [("with the model other:latest",)]


@pytest.mark.long
async def test_without_it_a_task_is_as_it_was(bot: Bot, server: OllamaServer) -> None:
    said = await bot.say("/task summarise welcome.md in one sentence to=quill")
    assert "model" not in said["text"] + str(said["data"])
    assert "model" not in (await bot.settled("T-1"))["data"]
    assert server.asked == [], "the skill did it"


async def test_a_model_that_is_not_here_is_named_with_those_that_are_and_nothing_is_posted(bot: Bot) -> None:
    for name in ("phi4", "means", "openai/other"):
        said = await bot.say(f"{POEM} model={name}")
        assert said["data"]["error"] == "unknown_model"
        assert f"There is no model {name} here. Choose one of own:latest, other:latest, or get it" in said["text"]
    for line, error in (
        (f"{POEM} model=", "missing_argument"),
        (f"{POEM} model='a b'", "bad_model_name"),
        (f"{POEM} model=own model=other", "twice_given"),
        (f"{POEM} llm=other", "bad_option"),
        ("/task write a poem to=telegram:12345 model=other", "no_model_of_theirs"),
    ):
        assert (await bot.data(line))["error"] == error, line
    assert bot.rows("SELECT count(*) FROM task") == [(0,)]


async def test_what_the_model_cannot_do_is_said_at_once(bot: Bot, server: OllamaServer) -> None:
    server.toolless = {"other:latest"}
    (bot.app.settings.workspace / "plan.md").write_text("We meet at nine.")
    said = await bot.say("/task write a poem about plan.md model=other")
    assert said["data"]["error"] == "not_with_model"
    assert "No agent here can do this with other:latest" in said["text"]
    assert "quill needs a model that can call tools, to look at plan.md" in said["text"]
    server.says("At nine we meet.\nDo not be late.")
    await bot.say("/task write a poem about plan.md model=own to=quill")
    await bot.settled("T-1")


async def test_a_model_that_went_away_fails_with_the_reason_and_nobody_stands_in(tmp_path: Path) -> None:
    async with OllamaServer.running("own:latest", "other:latest") as ollama, OpenAIServer.running("big") as openai:
        found = settings(tmp_path).model_copy(
            update={"ollama": Ollama(url=ollama.url), "openai": OpenAI(url=openai.url)}
        )
        async with hub(tmp_path, found=found, worker=None, personas=personas.load()) as bot:
            openai.says(Fault(500, "out of memory"))
            await bot.say(f"{POEM} model=openai/big")
            over = await bot.ends("T-1")
            assert over["data"]["status"] == "failed"
            assert "out of memory" in over["text"]
            ollama.says(Fault(404, "model 'other:latest' not found"))
            await bot.say(f"{POEM} model=other")
            over = await bot.ends("T-2")
            assert over["data"]["status"] == "failed"
            assert "The model other:latest is not installed" in over["text"]
            assert (len(openai.asked), [one["model"] for one in ollama.asked]) == (1, ["other:latest"])
            assert bot.rows("SELECT agent, bad FROM reputation WHERE bad > 0") == [], "the model was not their choice"
            assert (await bot.data("/balance"))["held_sats"] == 0
            openai.says(RAIN)
            again = await bot.data("/retry T-1")
            assert again["model"] == "openai/big"
            await bot.settled("T-3")
            del ollama.models[1]
            assert (await bot.data("/retry T-2"))["error"] == "unknown_model"


@pytest.mark.long
async def test_another_server_that_hangs_holds_up_nothing(tmp_path: Path, server: OllamaServer) -> None:
    async with OpenAIServer.running("big") as openai:
        openai.gate = asyncio.Event()
        found = settings(tmp_path).model_copy(
            update={"ollama": Ollama(url=server.url), "openai": OpenAI(url=openai.url)}
        )
        async with hub(tmp_path, found=found, worker=None, personas=personas.load()) as bot:
            server.says(RAIN)
            await bot.say(f"{POEM} model=other")
            await bot.settled("T-1")
            openai.gate.set()


@pytest.mark.long
async def test_where_one_fails_the_next_does_it_with_that_model_too(bot: Bot, server: OllamaServer) -> None:
    await bot.say("/spawn quill")
    server.says(Fault(500, "it stumbled"))
    server.says(RAIN)
    await bot.say("/task write a poem of two lines model=other")
    await bot.settled("T-1")
    assert [one["model"] for one in server.asked] == ["other:latest", "other:latest"]
    assert bot.rows("SELECT count(DISTINCT agent), count(DISTINCT note) FROM bid WHERE price IS NOT NULL") == [(2, 1)]


async def test_only_who_may_choose_models_may_here_and_their_schedules_do(bot: Bot, server: OllamaServer) -> None:
    await let_in(bot, "telegram:7", "member")
    await let_in(bot, "telegram:8", "operator")
    refused = await bot.say(f"{POEM} model=other", acting_for="telegram:7")
    assert "You may not choose a task's model: members may not" in refused["text"]
    server.says(RAIN)
    assert (await bot.data(f"{POEM} model=other max=45", acting_for="telegram:8"))["ok"]
    await bot.settled("T-1")


async def test_a_worker_knows_of_it_before_it_bids(tmp_path: Path, server: OllamaServer) -> None:
    async with hub(tmp_path, personas=(), ollama=server.url) as bot, workers(bot, "box") as (box,):
        await box.enrol()
        task = await posted(bot, "/task find the answer max=100 model=other")
        (seen,) = await box.get("tasks")
        assert seen["model"] == "other:latest"
        await box.bid(task, 30)
        assert (await box.given())["model"] == "other:latest"


@pytest.mark.long
async def test_after_a_restart_it_is_still_that_model(tmp_path: Path, server: OllamaServer) -> None:
    server.says(asyncio.Event())
    async with hub(tmp_path, ollama=server.url, worker=None, personas=personas.load()) as bot:
        await bot.say(f"{POEM} model=other")
        await asyncio.wait_for(server.begun.wait(), PATIENCE)
    server.says(RAIN)
    async with hub(tmp_path, ollama=server.url, worker=None, personas=personas.load()) as bot:
        await bot.settled("T-1")
        assert [one["model"] for one in server.asked] == ["other:latest", "other:latest"]


async def test_posted_before_a_crash_it_is_known_again_though_no_model_answers(bot: Bot, server: OllamaServer) -> None:
    caller = await bot.app.hub.identities.caller("console:owner", private=True)
    order = Order(caller, "console:owner", "write a poem of two lines", "told once", model="other", pick="ask")
    task = await bot.app.hub.coordinator.post(order)
    await server.stop()
    assert (await bot.app.hub.coordinator.post(order)).id == task.id, "its sats are held: it was not refused"
    refused = await bot.say(f"{POEM} model=other")
    assert refused["data"]["error"] == "not_with_model"
    assert "No agent here can do this with other: No model answers at" in refused["text"]
    assert bot.rows("SELECT count(*) FROM task") == [(1,)]
