"""`timmy gateway` as whoever starts it sees it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from core.swarm.crew import SILENCE
from tests.gateway_process import gateway_process
from tests.program import ROOT, Program
from tests.redis_server import RedisServer
from tests.scenario import bot as near
from tests.scenario import crew
from tests.scenario.bot import PATIENCE, settings
from tests.scenario.gateway import told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
async def test_it_serves_until_it_is_told_to_stop_and_answers_who_waits_then(tmp_path: Path) -> None:
    async with RedisServer.running() as server:
        found = told(settings(tmp_path), server.url)
        async with (
            near.hub(tmp_path, found=found, personas=()) as bot, crew.workers(bot, "box") as (box,),
            gateway_process(server.url) as way, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group,
        ):  # fmt: skip
            far = crew.Worker(session, "box", box.token, way.address)
            await far.enrol()
            bot.pass_time(SILENCE / 1000)
            assert not bot.app.hub.coordinator.crew.here("box")
            assert await far.tasks() == []
            await bot.see(lambda: bot.app.hub.coordinator.crew.here("box"), "the hub has heard of that", pace=0)
            async with session.get(f"{way.address}/openapi.json") as answer:
                assert "/internal/tasks" in (await answer.json())["paths"]
            async with session.get(f"{way.address}/") as answer:
                assert answer.status == 404, "it has no page"
            bot.pass_time(SILENCE / 1000)
            assert not bot.app.hub.coordinator.crew.here("box")
            poll = group.create_task(far.ask("GET", "tasks", wait=25))
            await bot.see(lambda: bot.app.hub.coordinator.crew.here("box"), "it waits", pace=0)
            async with asyncio.timeout(PATIENCE):
                assert await way.end(signal.SIGTERM) == 0
                assert await poll in {200, 204}


@pytest.mark.parametrize(("words", "says"), [
    ((), "A gateway needs the Redis of its hub"),
    (("--redis", "redis://redis.example.org:6379/0"), "use rediss"),
    (("--redis", "http://10.0.0.7"), "it is no address such as redis://127.0.0.1:6379/0"),
    (("--redis", "redis://127.0.0.1:1/0", "--bind", "0.0.0.0"), "is reachable from outside; set TIMMY_HTTP_PUBLIC_URL too"),
])  # fmt: skip
async def test_what_it_cannot_be_started_with_is_said_in_one_line(words: tuple[str, ...], says: str) -> None:
    process = await Program.fork("gateway", *words, env={})
    out, complaint, code = await process.communicate()
    assert (out, code) == (b"", 1)
    assert says in complaint.decode()
    assert complaint.count(b"\n") == 1


@pytest.mark.long
def test_a_hub_without_redis_loads_nothing_of_it() -> None:
    code = (
        "import sys; from pathlib import Path; from bot import app, doctor; from bot.parts import far;"
        "from tests.scenario.bot import settings; assert far.link(settings(Path('.')), 'x') is None; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "bot.app" in loaded
    assert not [name for name in loaded if name.partition(".")[0] == "redis" or name.startswith("adapters.redis")]
