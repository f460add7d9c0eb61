"""The worker of `docs/worker.mjs`, as it stands there, works for a hub; it is killed in the middle, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bot
from adapters.clockwork import SystemClock
from tests.scenario.bot import balances, hub, prove
from tests.scenario.crew import workers
from tests.scenario.test_outpost import status, wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.scenario.crew import Worker

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed (on Debian: apt install nodejs)")
SCRIPT = Path(bot.__file__).parents[1] / "docs" / "worker.mjs"


@asynccontextmanager
async def at_work(box: Worker, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    mine = {"TIMMY_HUB_URL": url, "TIMMY_WORKER_TOKEN": box.token, "WORKER_NAME": box.name}
    process = await asyncio.create_subprocess_exec("node", str(SCRIPT), env={**os.environ, **mine})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@NODE
async def test_the_worker_of_the_docs_is_paid(tmp_path: Path) -> None:
    async with (
        hub(tmp_path, clock=SystemClock(), personas=()) as some,  # type: ignore[arg-type]
        workers(some, "counter") as (box,),
        asyncio.timeout(60),
    ):
        async with at_work(box, some.app.address):
            await wait(lambda: some.rows("SELECT 1 FROM crew"))
            task = (await some.data("/task count the words of this"))["task"]
            await wait(lambda: status(some, task) == "delivered")
            assert "5 words" in (await some.say(f"/show {task}"))["text"]
            assert (await some.data(f"/accept {task}"))["status"] == "settled"
            refused = await some.ends((await some.data("/task sing a song"))["task"])
            assert "counter" in refused["text"]
        async with at_work(box, some.app.address):
            task = (await some.data("/task count the words again"))["task"]
            await wait(lambda: status(some, task) == "delivered")
        assert balances(some.app.settings)["agent:counter"] == (5, 0)
        prove(some.app.settings)


@NODE
async def test_it_ends_where_its_token_opens_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path, clock=SystemClock(), personas=()) as some, workers(some, "counter") as (box,):  # type: ignore[arg-type]
        box.token = "timmy_worker_x"
        async with at_work(box, some.app.address) as process, asyncio.timeout(20):
            assert await process.wait() == 1
