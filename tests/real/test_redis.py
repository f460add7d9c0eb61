"""Two gateways on Debian's Redis: gateways, hub and Redis are killed under load, and every task is paid for once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.console.client import request
from tests.gateway_process import gateway_process
from tests.kill.hub_process import hub_process
from tests.real.redis_server import missing, redis_server
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.gateway_process import GatewayProcess
    from tests.kill.hub_process import HubProcess
    from tests.real.redis_server import RedisServer

pytestmark = [missing, pytest.mark.timeout(240)]

WORKERS = 6
RULES = {
    "TIMMY_AUCTION_WINDOW": "20s",
    "TIMMY_AUCTION_REVIEW": "1s",
    "TIMMY_AUCTION_ATTEMPTS": "10",
    "TIMMY_LOG_LEVEL": "ERROR",
}


class Hand:
    """A worker that asks whichever gateway answers, says again what was lost, and does each task in a moment."""

    def __init__(self, session: aiohttp.ClientSession, name: str, token: str, addresses: list[str]) -> None:
        self._session = session
        self.name = name
        self._headers = {"Authorization": f"Bearer {token}"}
        self._addresses = addresses
        self.began: list[tuple[str, int]] = []
        self.said: Counter[int] = Counter()

    async def ask(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Until some gateway answers something but that it cannot reach the hub."""
        while True:
            self._addresses.append(self._addresses.pop(0))
            try:
                async with self._session.request(
                    method, f"{self._addresses[0]}/internal/{path}", json=body or None, headers=self._headers,
                    timeout=aiohttp.ClientTimeout(total=40),
                ) as answer:  # fmt: skip
                    said = await answer.json() if answer.status != 204 else None
                    self.said[answer.status] += 1
                    if answer.status != 503:
                        return answer.status, said
            except (aiohttp.ClientError, TimeoutError):
                self.said[0] += 1
            await asyncio.sleep(0.05)  # noqa: TID251 - real processes take real time

    async def enrol(self) -> None:
        status, said = await self.ask("POST", "agents", name=self.name, capabilities=["any"], concurrency=3)
        assert status == 200, said

    async def bids(self) -> None:
        """Bid on whatever is up."""
        while True:
            status, found = await self.ask("GET", "tasks?wait=5")
            if status == 409:
                await self.enrol()
            for task in found if status == 200 else ():
                status, said = await self.ask(
                    "POST", "bids", task_id=task["task_id"], agent_id=self.name, bid_sats=10 + hash(self.name) % 7
                )
                assert status in {200, 409}, said

    async def works(self) -> None:
        """Do whatever is won."""
        while True:
            status, given = await self.ask("GET", f"assignments?agent_id={self.name}&wait=5")
            if status == 409:
                await self.enrol()
            elif status == 200:
                await self._work(given)

    async def _work(self, given: dict[str, Any]) -> None:
        task, lease = given["task_id"], given["lease_token"]
        status, _ = await self.ask("POST", f"tasks/{task}/heartbeat", lease_token=lease)
        if status == 200:
            self.began.append((task, given["attempt"]))
            file = {"name": "a.txt", "content_base64": "eHg="}
            status, said = await self.ask(
                "POST", f"tasks/{task}/result", lease_token=lease, result=f"done {task}", files=[file]
            )
            assert status in {200, 409}, said


class Site:
    """Everything that runs."""

    def __init__(self, hub: HubProcess, redis: RedisServer, gateways: list[GatewayProcess], hands: list[Hand]) -> None:
        self.hub = hub
        self.redis = redis
        self.gateways = gateways
        self.hands = hands

    async def post(self, count: int) -> None:
        """Have so many things done."""
        for number in range(count):
            assert (await self.hub.data_of(f"/task frobnicate the {number}th gizmo max=50"))["ok"]

    async def statuses(self) -> Counter[str]:
        return Counter(task["status"] for task in (await self.hub.data_of("/tasks"))["tasks"])

    async def settle(self, count: int) -> None:
        """Wait until so many are settled, and see that they were paid for once."""
        async with asyncio.timeout(90):
            while (found := await self.statuses()) != {"settled": count}:
                whys = self.rows("SELECT id, status, attempt, why FROM task WHERE status IN ('failed', 'expired')")
                assert not whys, (found, [(one.name, one.said) for one in self.hands])
                await asyncio.sleep(0.1)  # noqa: TID251 - real processes take real time
        assert "The books balance" in await self.hub.timmy("ledger", "verify")
        tasks = (await self.hub.data_of("/tasks"))["tasks"]
        paid = sum(task["price_sats"] for task in tasks)
        assert (await self.hub.data_of("/balance"))["balance_sats"] == 10_000 - paid
        numbers = range(1, count + 1)
        for kind in ("TaskDelivered", "TaskSettled"):
            told = self.rows(f"SELECT task FROM event WHERE kind = '{kind}'")  # noqa: S608 - one of two words
            assert sorted(told) == [(number,) for number in numbers], f"each is {kind} once"
        results = self.rows("SELECT id, result FROM task ORDER BY id")
        assert results == [(number, f"done T-{number}") for number in numbers]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the hub's database holds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.hub.data}/hub.db?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()


@asynccontextmanager
async def site(folder: Path, *, gateways: int = 2, keeps: bool = False) -> AsyncIterator[Site]:
    """Redis, a hub, gateways, and workers at work."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(folder / "redis", keeps=keeps))
        hub = await stack.enter_async_context(
            hub_process(folder, NOBODY, executed=False, TIMMY_REDIS_URL=redis.url, **RULES)
        )
        ways = [await stack.enter_async_context(gateway_process(redis.url)) for _ in range(gateways)]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        hands = []
        for number in range(WORKERS):
            frame = {
                "op": "token.mint",
                "token_kind": "worker",
                "name": f"hand{number}",
                "for": None,
                "task_limit": None,
            }
            token = (await request(hub.data, frame))["text"]
            hands.append(Hand(session, f"hand{number}", token, [way.address for way in ways]))
            await hands[-1].enrol()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for hand in hands for work in (hand.bids, hand.works)]
            yield Site(hub, redis, ways, hands)
            for task in tasks:
                task.cancel()


async def _gateway_dies(some: Site) -> None:
    await some.gateways[0].again()


async def _hub_dies(some: Site) -> None:
    await some.hub.again()


async def _redis_dies(some: Site) -> None:
    """With all that it held."""
    await some.redis.stop()
    await asyncio.sleep(1)  # noqa: TID251 - so that it is noticed
    await some.redis.start()


async def _all_of_it(some: Site) -> None:
    for blow in (_gateway_dies, _redis_dies, _hub_dies, _gateway_dies):
        await blow(some)
        await some.post(5)


@pytest.mark.parametrize(
    "blow", [_gateway_dies, _hub_dies, _redis_dies, _all_of_it], ids=lambda one: one.__name__.strip("_")
)
async def test_whatever_dies_every_task_is_done_and_paid_for_once(
    tmp_path: Path, blow: Callable[[Site], Awaitable[None]]
) -> None:
    async with site(tmp_path) as some:
        await some.post(12)
        await blow(some)
        await some.post(12)
        await some.settle(44 if blow is _all_of_it else 24)
        hub = (await some.redis.say("smembers", "timmy:hubs")).strip()
        await wait_for(lambda: some.redis.say("xlen", f"timmy:{hub}:asks"), "0")
        assert await some.redis.say("keys", "timmy:*:file:*") == ""


async def wait_for(ask: Callable[[], Awaitable[str]], what: str) -> None:
    """Pulses come and go: now and then there is nothing."""
    async with asyncio.timeout(10):
        while await ask() != what:
            pass
