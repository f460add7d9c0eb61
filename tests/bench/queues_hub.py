"""A hub whose jobs are done over the worker API. Usage: python -m tests.bench.queues_hub FOLDER WORKERS

It says where it listens and the tokens of so many workers. For each number on its standard input it has so many jobs done, one
under way for each worker, from the post to the durable result, and says how many seconds that took. It ends with that input.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app import build
from bot.cli import COLLECT
from bot.run import SWITCH_SECONDS
from config.settings import Http
from core.chat import Caller, Role
from core.events import Kind
from core.money import to_msat
from core.swarm.crew import ANYTHING
from core.swarm.orders import Order
from core.tokens import CONSOLE_OWNER
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.app import App
    from core.events import Event

OWNER = Caller(CONSOLE_OWNER, Role.OWNER)


class Jobs:
    """Posts jobs and sees them delivered."""

    def __init__(self, app: App, names: Sequence[str]) -> None:
        self._coordinator = app.hub.coordinator
        self._names = names
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._keys = itertools.count()
        app.store.listen(self._heard)

    def _heard(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind is Kind.TASK_DELIVERED and event.task is not None:
                self._end(event.task).set_result(None)

    def _end(self, number: int) -> asyncio.Future[None]:
        return self._ends.setdefault(number, asyncio.get_running_loop().create_future())

    async def seconds(self, count: int) -> float:
        """How long so many take."""
        numbers = iter(range(count))

        async def caller(name: str) -> None:
            for _ in numbers:
                key = f"bench/{next(self._keys)}"
                task = await self._coordinator.post(
                    Order(OWNER, CONSOLE_OWNER, "count the words", key, budget=to_msat(2), only=name)
                )
                await self._end(task.id)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for name in self._names:
                group.create_task(caller(name))
        return time.perf_counter() - begun


async def _serve(folder: Path, workers: int) -> None:
    found = settings(folder, grant=1_000_000, window=60).model_copy(update={"http": Http(port=0)})
    async with build(found, roster=()) as app:
        names = [f"w{number}" for number in range(workers)]
        tokens = [await app.hub.identities.mint(OWNER, "worker", name) for name in names]
        for name in names:
            await app.hub.coordinator.desk.enrol(name, [ANYTHING], 100)
        jobs = Jobs(app, names)
        gc.freeze()
        print(json.dumps({"hub": app.address, "tokens": dict(zip(names, tokens, strict=True))}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await jobs.seconds(int(line))), flush=True)


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)  # as `timmy run` does
    gc.set_threshold(*COLLECT)
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
