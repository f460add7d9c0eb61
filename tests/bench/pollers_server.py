"""What the workers of `pollers` wait on. Usage: python -m tests.bench.pollers_server FOLDER COUNT HOW

HOW is `bare`, or the address of a Redis by which gateways reach it, or nothing. It says where it listens and the tokens, then does
what each line of its standard input says: `one NAME` posts a task for one worker, `all` one for all of them; both say when that
was begun, and call the task off at the next line. `weight` says how many kB it has resident.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OWNER = Caller(CONSOLE_OWNER, Role.OWNER)
SHOWN = [
    {"task_id": "T-1", "description": "count the words of page 1", "status": "bidding", "budget_sats": 1,
     "closes_at": 1_750_000_000_000, "capabilities": []}
]  # fmt: skip


def _kilobytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1000


async def _do(post: Callable[[str | None], Awaitable[object]], over: Callable[[], Awaitable[object]]) -> None:
    """Do what is said on standard input."""
    gc.freeze()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "weight":
            gc.collect()
            print(_kilobytes(), flush=True)
            continue
        print(time.monotonic(), flush=True)
        await post(line[1] if line[0] == "one" else None)
        await reader.readline()
        await over()
        print("over", flush=True)


async def _hub(folder: Path, count: int, redis: str) -> None:
    own = {"http": Http(port=0), "redis": RedisGroup(url=SecretStr(redis) if redis else None)}
    found = settings(folder, grant=1_000_000, window=3600).model_copy(update=own)
    async with build(found, roster=()) as app:
        coordinator, numbers, posted = app.hub.coordinator, itertools.count(), list[int]()
        names = [f"w{number}" for number in range(count)]
        tokens = list(await asyncio.gather(*(app.hub.identities.mint(OWNER, "worker", name) for name in names)))
        await asyncio.gather(*(coordinator.desk.enrol(name, [ANYTHING], 100) for name in names))

        async def post(name: str | None) -> None:
            order = Order(
                OWNER, CONSOLE_OWNER, "count the words", f"bench/{next(numbers)}", budget=to_msat(1), only=name
            )
            posted.append((await coordinator.post(order)).id)

        async def over() -> None:
            await coordinator.cancel(OWNER, posted.pop(), key=f"bench/{next(numbers)}")

        print(json.dumps({"where": app.address, "tokens": tokens}), flush=True)
        await _do(post, over)


async def _bare(count: int) -> None:
    tokens = [f"t{number}" for number in range(count)]
    known = {hashlib.sha256(token.encode()).hexdigest(): asyncio.Event() for token in tokens}

    async def tasks(request: web.Request) -> web.Response:
        event = known[hashlib.sha256(request.headers["Authorization"].removeprefix("Bearer ").encode()).hexdigest()]
        async with asyncio.timeout(float(request.query["wait"])):
            await event.wait()
        event.clear()
        return web.Response(text=json.dumps(SHOWN), content_type="application/json")

    async def post(name: str | None) -> None:
        for number, event in enumerate(known.values()):
            if name in {None, f"w{number}"}:
                event.set()

    application = web.Application()
    application.router.add_get("/internal/tasks", tasks)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(json.dumps({"where": f"http://127.0.0.1:{runner.addresses[0][1]}", "tokens": tokens}), flush=True)

    async def over() -> None:
        pass

    await _do(post, over)
    await runner.cleanup()


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)  # as `timmy run` does
    gc.set_threshold(*COLLECT)
    folder, count, how = sys.argv[1:]
    asyncio.run(_bare(int(count)) if how == "bare" else _hub(Path(folder), int(count), how))
