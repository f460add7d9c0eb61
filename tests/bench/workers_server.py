"""A hub with a crew, in a process of its own, and bare handlers beside it that read the same JSON and check the same token.

Usage: python -m tests.bench.workers_server FOLDER WORKERS TASKS REDIS (where gateways reach it; or nothing). It says where the two
listen, the workers' tokens, and for each worker TASKS tasks that it alone may bid on; one more, that all may bid on, stays open.
For `all NUMBER` on its standard input it posts so many more of those, for `own NUMBER` as many for each worker alone, and names
them; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import json
import sys
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from bot.app import build
from bot.cli import COLLECT
from bot.run import SWITCH_SECONDS
from config.settings import Http, RedisGroup
from core.chat import Caller, Role
from core.money import to_msat
from core.swarm.crew import ANYTHING
from core.swarm.orders import Order
from core.tokens import CONSOLE_OWNER
from tests.scenario.bot import settings

SLOW = "slow"
"""A worker that is here and never answers, so that auctions for all stay open."""

OWNER = Caller(CONSOLE_OWNER, Role.OWNER)


class Bare:
    """What a worker asks, answered by handlers that do nothing but read and check."""

    def __init__(self, tokens: list[str], shown: str) -> None:
        self._known = {hashlib.sha256(token.encode()).hexdigest() for token in tokens}
        self._shown = shown

    async def get(self, request: web.Request) -> web.Response:
        """The auctions."""
        self._check(request)
        return web.Response(text=json.dumps(json.loads(self._shown)), content_type="application/json")

    async def post(self, request: web.Request) -> web.Response:
        """A bid, a heartbeat, a result."""
        self._check(request)
        body = json.loads(await request.read())
        return web.Response(text=json.dumps({"status": "done", "fields": len(body)}), content_type="application/json")

    def _check(self, request: web.Request) -> None:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if hashlib.sha256(token.encode()).hexdigest() not in self._known:
            raise web.HTTPUnauthorized


async def _serve(folder: Path, workers: int, tasks: int, redis: str) -> None:
    own_parts = {"http": Http(port=0), "redis": RedisGroup(url=SecretStr(redis) if redis else None)}
    found = settings(folder, grant=1_000_000, window=3600, lease=3600).model_copy(update=own_parts)
    async with build(found, roster=()) as app:
        coordinator = app.hub.coordinator
        names = [f"w{number}" for number in range(workers)]
        tokens = [await app.hub.identities.mint(OWNER, "worker", name) for name in names]
        for name in [*names, SLOW]:
            await coordinator.desk.enrol(name, [ANYTHING], 100)

        async def post(name: str | None, number: int) -> str:
            order = Order(
                OWNER, CONSOLE_OWNER, f"count the words of page {number}", f"bench/{name}/{number}", budget=to_msat(1), only=name,
            )  # fmt: skip
            return (await coordinator.post(order)).name

        numbers = itertools.count(1)

        async def posted(name: str | None, count: int) -> list[str]:
            return list(await asyncio.gather(*(post(name, number) for number in itertools.islice(numbers, count))))

        (seen,) = await posted(None, 1)
        own = {name: await posted(name, tasks) for name in names}
        shown = [
            {"task_id": seen, "description": "count the words of page 1", "status": "bidding", "budget_sats": 1,
             "closes_at": 1_750_000_000_000, "capabilities": []}
        ]  # fmt: skip
        bare = Bare(tokens, json.dumps(shown))
        application = web.Application()
        application.router.add_get("/internal/tasks", bare.get)
        application.router.add_post("/internal/{rest:.*}", bare.post)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (address,) = runner.addresses
        where = {
            "hub": app.address, "bare": f"http://127.0.0.1:{address[1]}", "tokens": dict(zip(names, tokens, strict=True)),
            "own": own,
        }  # fmt: skip
        gc.freeze()
        print(json.dumps(where), flush=True)
        while True:
            line = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
            while not line.done():
                coordinator.crew.seen(SLOW)
                await asyncio.wait([line], timeout=5)
            if not await line:
                break
            whose, count = (await line).split()
            more = {name: await posted(name, int(count)) for name in (names if whose == "own" else [None])}
            print(json.dumps(more if whose == "own" else more[None]), flush=True)
        await runner.cleanup()


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)  # as `timmy run` does
    gc.set_threshold(*COLLECT)
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
