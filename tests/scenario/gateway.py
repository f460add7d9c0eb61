"""A hub whose workers come by way of a gateway: Redis between is the tests' own, all in this process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from adapters.clockwork import Nursery, SystemClock, SystemIds
from adapters.redis import branch as far
from adapters.redis.branch import Branch
from adapters.redis.wire import Link
from adapters.web.gateway import Gateway
from adapters.web.listening import Site
from adapters.web.worker_routes import WorkerRoutes
from config.settings import RedisGroup
from tests.redis_server import RedisServer
from tests.scenario import bot as near
from tests.scenario import crew
from tests.scenario.bot import PATIENCE, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from config.settings import Settings
    from tests.scenario.bot import Bot

QUICK = 0.02


class Way:
    """A gateway, and what lies between it and its hub."""

    def __init__(self, server: RedisServer, branch: Branch, gateway: Gateway) -> None:
        self.server = server
        self.branch = branch
        self.gateway = gateway

    @property
    def url(self) -> str:
        return self.gateway.address

    async def quiet(self) -> None:
        """Wait until the hub has heard of whoever is here: what is asked after that is heard later."""
        async with asyncio.timeout(PATIENCE):
            while self.branch._seen:  # noqa: ASYNC110 - it is a matter of turns
                await asyncio.sleep(0.001)  # noqa: TID251
        await self.level()

    async def level(self) -> None:
        """Wait until the gateway has heard of all that has happened in the hub: an answer comes after the news."""
        await self.branch._ask("check", "", digest="0" * 64)

    async def there(self) -> None:
        """Wait until it reaches the hub."""
        async with asyncio.timeout(PATIENCE):
            await self.branch._there.wait()


def told(found: Settings, url: str) -> Settings:
    """The same settings, with a Redis."""
    return found.model_copy(update={"redis": RedisGroup(url=SecretStr(url))})


@asynccontextmanager
async def gateway(server: RedisServer, *, url: str = "", hub: str | None = None) -> AsyncIterator[Way]:
    """A gateway that asks for the hub from now on."""
    branch = Branch(
        Link(url or server.url, "timmy-gateway"), hub, clock=SystemClock(), ids=SystemIds(), chance=lambda: 0.0
    )
    made = Gateway(Site("127.0.0.1", 0), branch, WorkerRoutes(branch, branch.check, branch.keep).routes())
    async with Nursery() as nursery:
        nursery.spawn(branch.run(), "the way to the hub")
        async with made.listening():
            yield Way(server, branch, made)
            made.ends = True
            branch.close()


WAYS: dict[int, Way] = {}


@asynccontextmanager
async def hub(folder: Path, **more: Any) -> AsyncIterator[Bot]:
    """As `tests.scenario.bot.hub`, with a gateway that is there."""
    auction = more.pop("auction", None) or {}
    found = more.pop("found", None) or settings(folder, grant=more.pop("grant", 10_000), **auction)
    async with (
        RedisServer.running() as server,
        near.hub(folder, found=told(found, server.url), **more) as bot,
        gateway(server) as way,
    ):
        await way.there()
        WAYS[id(bot)] = way
        try:
            yield bot
        finally:
            del WAYS[id(bot)]


class Worker(crew.Worker):
    """One who asks when the gateway knows what the hub does, and goes on when the hub has heard of it."""

    way: Way

    def process(self, instance: str) -> Worker:
        one = worker(self.way, self)
        one.instance = instance
        return one

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> int:
        await self.way.level()
        status = await super().ask(method, path, body, **query)
        said = self.said
        await self.way.quiet()
        self.said = said
        return status

    async def ready(self) -> tuple[int, str]:
        """What the gateway says of itself, and the code of what it says."""
        async with self._session.get(f"{self._url}/readyz") as answer:
            said = await answer.json()
            return answer.status, said["error"]["code"] if "error" in said else ""


def worker(way: Way, one: crew.Worker) -> Worker:
    """The same worker, at a gateway."""
    found = Worker(one._session, one.name, one.token, way.url)
    found.way = way
    return found


@asynccontextmanager
async def workers(bot: Bot, *names: str) -> AsyncIterator[list[crew.Worker]]:
    async with crew.workers(bot, *names) as them:
        yield [worker(WAYS[id(bot)], one) for one in them]


@asynccontextmanager
async def back(bot: Bot, *them: crew.Worker) -> AsyncIterator[list[crew.Worker]]:
    async with crew.back(bot, *them) as again:
        yield [worker(WAYS[id(bot)], one) for one in again]


async def waits(bot: Bot, *names: str) -> None:
    board = WAYS[id(bot)].branch._board
    await bot.see(lambda: board._waiting.keys() >= {*names}, "their polls", pace=0)


def instead(monkeypatch: pytest.MonkeyPatch, module: object) -> None:
    """Have the tests of a module ask a gateway."""
    for name, one in (("hub", hub), ("workers", workers), ("back", back), ("waits", waits)):
        monkeypatch.setattr(module, name, one)
    monkeypatch.setattr(far, "PULSE_SECONDS", QUICK)
