"""Two gateways on Debian's Redis: gateways, hub and Redis are killed under load, and every task is paid for once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.console.client import request
from adapters.redis.wire import KEPT_SECONDS
from tests.gateway_process import gateway_process
from tests.kill.hub_process import hub_process
from tests.program import ROOT
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
GONE = -2
"""What Redis says of how long it will keep what is not there."""

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
        self.posted = 0

    async def post(self, count: int) -> None:
        """Have so many things done."""
        self.posted += count
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

    async def files(self) -> dict[str, int]:
        """The files that lie in Redis, and how long it will keep each (seconds; less than none: for ever)."""
        keys = (await self.redis.say("keys", "timmy:*:file:*")).split()
        return {key: seconds for key in keys if (seconds := int(await self.redis.say("ttl", key))) != GONE}

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
            token = await _minted(hub, f"hand{number}")
            hands.append(Hand(session, f"hand{number}", token, [way.address for way in ways]))
            await hands[-1].enrol()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for hand in hands for work in (hand.bids, hand.works)]
            yield Site(hub, redis, ways, hands)
            for task in tasks:
                task.cancel()


async def _minted(hub: HubProcess, name: str) -> str:
    frame = {"op": "token.mint", "token_kind": "worker", "name": name, "for": None, "task_limit": None}
    return str((await request(hub.data, frame))["text"])


async def _gateway_dies(some: Site) -> None:
    await some.gateways[0].again()


async def _hub_dies(some: Site) -> None:
    await some.hub.again()


async def _redis_dies(some: Site) -> None:
    """With all that it held."""
    await some.redis.stop()
    await asyncio.sleep(1)  # noqa: TID251 - so that it is noticed
    await some.redis.start()


async def _things_freeze(some: Site) -> None:
    """For longer than they are believed to be there; then they go on as if nothing had been."""
    process = some.gateways[0].process
    assert process is not None
    for send in (process.send_signal, some.redis.send):
        send(signal.SIGSTOP)
        await asyncio.sleep(7)  # noqa: TID251 - it takes real time to be missed
        send(signal.SIGCONT)
        await some.post(3)


async def _redis_ails(some: Site) -> None:
    """With one thing after the other."""
    say, dump = some.redis.say, some.redis.folder / "dump.rdb"
    dump.mkdir()  # so that it cannot save
    for begin, means, end in (
        ("config set maxmemory 1", "is full and takes nothing more", "config set maxmemory 0"),
        ("replicaof 127.0.0.1 1", "is a replica and takes no writes", "replicaof no one"),
        ("config set save 1,1", "takes no writes, as it cannot save to its disk", "config set save "),
        ("acl setuser default -xadd", "forbids its user what is needed", "acl setuser default +xadd"),
    ):
        assert await say(*(word.replace(",", " ") for word in begin.split(" "))) == "OK"
        await wait_for(lambda means=means: _why(some, means), "told")  # type: ignore[misc]
        assert await say(*end.split(" ")) == "OK"
        await some.post(2)
        await wait_for(lambda: _why(some, ""), "told")
    assert await say("flushall") == "OK"


async def _why(some: Site, means: str) -> str:
    """Whether the hub says so of Redis; empty: that it is up."""
    parts = json.loads(await some.hub.timmy("status", "--json"))["parts"]
    assert all(part["up"] for name, part in parts.items() if name != "redis")
    return "told" if means in str(parts["redis"]["why"]) and parts["redis"]["up"] == (not means) else str(parts)


async def _all_of_it(some: Site) -> None:
    for blow in (_gateway_dies, _redis_dies, _hub_dies, _gateway_dies):
        await blow(some)
        await some.post(5)


@pytest.mark.parametrize(
    "blow",
    [_gateway_dies, _hub_dies, _redis_dies, _all_of_it, _things_freeze, _redis_ails],
    ids=lambda one: one.__name__.strip("_"),
)
async def test_whatever_dies_every_task_is_done_and_paid_for_once(
    tmp_path: Path, blow: Callable[[Site], Awaitable[None]]
) -> None:
    async with site(tmp_path) as some:
        await some.post(12)
        await blow(some)
        await some.post(12)
        await some.settle(some.posted)
        over = await some.files()  # sent by way of what died or froze, and then again by way of another gateway
        assert all(0 < seconds <= KEPT_SECONDS for seconds in over.values())
        await some.post(3)
        await some.settle(some.posted)
        hub = (await some.redis.say("smembers", "timmy:hubs")).strip()
        await wait_for(lambda: some.redis.say("xlen", f"timmy:{hub}:asks"), "0")
        assert (await some.files()).keys() <= over.keys(), "a file that the hub fetched is gone at once"


async def wait_for(ask: Callable[[], Awaitable[str]], what: str) -> None:
    """Pulses come and go: now and then there is nothing."""
    async with asyncio.timeout(10):
        while await ask() != what:
            pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (on Debian: apt install openssl)")
async def test_the_user_of_the_docs_is_enough_over_tls(tmp_path: Path) -> None:
    key, certificate, users = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "users.acl"
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    (line,) = re.findall(r"^ *(user timmy on .*)$", (ROOT / "docs/gateway.md").read_text(), re.MULTILINE)
    users.write_text(f"user default off\n{line.replace('PASSWORD', 'op:en/sesame')}\n")
    tls = (
        "--tls-cert-file",
        str(certificate),
        "--tls-key-file",
        str(key),
        "--tls-auth-clients",
        "no",
        "--aclfile",
        str(users),
    )
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path / "redis", *tls, tls=True))
        url = f"rediss://timmy:op%3Aen%2Fsesame@127.0.0.1:{redis.port}/0"
        trusting = {"SSL_CERT_FILE": str(certificate)}
        hub = await stack.enter_async_context(
            hub_process(tmp_path, NOBODY, executed=False, TIMMY_REDIS_URL=url, **trusting, **RULES)
        )
        way = await stack.enter_async_context(gateway_process(url, executed=False, **trusting))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        hand = Hand(session, "hand", await _minted(hub, "hand"), [way.address])
        await hand.enrol()
        some = Site(hub, redis, [way], [hand])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for work in (hand.bids, hand.works)]
            await some.post(3)
            await some.settle(3)
            for task in tasks:
                task.cancel()
        checks = json.loads(await hub.timmy("doctor", "--json"))["checks"]
        found = {one["id"]: one for one in checks if "redis" in one["id"]}
        assert found.keys() == {"redis.answers", "redis.keeps", "redis.private", "part.redis"}
        assert all(one["ok"] for one in found.values()), found
        assert "sesame" not in str(checks)
        strangers = await stack.enter_async_context(gateway_process(url))

        async def ready() -> str:
            async with session.get(f"{strangers.address}/readyz") as answer:
                return "strange" if answer.status == 503 and "certificate verify failed" in await answer.text() else "?"

        await wait_for(ready, "strange")  # it trusts nobody it does not know
