"""Workers that wait for work: how soon one task reaches the one it is for, how soon all are woken, what one of them weighs.

They wait on a hub in a process of its own, and on bare aiohttp handlers in another, each on a connection of its own; the load is a
raw asyncio client. Times are from before the task is posted (its budget held, its auction opened, durable) to the head of the
answer that the client reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.gateway_process import gateway_process
from tests.program import ROOT
from tests.real.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FEW, MANY = 500, 5000


@dataclass
class Waking:
    """Milliseconds in each round: until one task reached its worker; until the first of all, and the last, was woken."""

    one: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    kilobytes: float = 0.0


def waking(count: int, rounds: int, singles: int, *, bare: bool, gateways: int = 0) -> Waking:
    """With so many that wait, at so many gateways or at the hub: `singles` tasks for one of them, and in each round one for all."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_waking(Path(folder), count, rounds, singles, bare=bare, gateways=gateways))


async def _waking(folder: Path, count: int, rounds: int, singles: int, *, bare: bool, gateways: int) -> Waking:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = Waking()
    try:
        async with contextlib.AsyncExitStack() as stack:
            redis = await stack.enter_async_context(redis_server(folder / "redis")) if gateways else None
            url = redis.url if redis else ""
            server = await stack.enter_async_context(_server(folder, count, url, bare=bare))
            ways = [await stack.enter_async_context(gateway_process(url, executed=True)) for _ in range(gateways)]
            wheres = [way.address for way in ways] or [server.where]
            before = await server.ask("weight")
            pollers = [
                await Poller.connected(wheres[number % len(wheres)], token)
                for number, token in enumerate(server.tokens)
            ]
            for number in range(singles):
                place = number * 37 % count
                await _all_wait(pollers)
                begun = float(await server.ask("one", f"w{place}"))
                found.one.append((await pollers[place].woken() - begun) * 1000)
                await server.ask("over")
            for number in range(rounds):
                await _all_wait(pollers)
                if not number:
                    found.kilobytes = (float(await server.ask("weight")) - float(before)) / count
                reading = [asyncio.ensure_future(one.woken()) for one in pollers]
                await asyncio.sleep(0.1)  # until all of them read
                begun = float(await server.ask("all"))
                ends = await asyncio.gather(*reading)
                found.first.append((min(ends) - begun) * 1000)
                found.last.append((max(ends) - begun) * 1000)
                await server.ask("over")
            for one in pollers:
                one.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found


async def _all_wait(pollers: list[Poller]) -> None:
    new = sum(one.wait() for one in pollers)
    await asyncio.sleep(0.05 + new / 2500)


class Poller:
    """One worker that waits."""

    def __init__(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._request = request
        self._reader = reader
        self._writer = writer
        self._waits = False

    @classmethod
    async def connected(cls, base: str, token: str) -> Poller:
        """Its connection."""
        host = base.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = f"GET /internal/tasks?wait=25 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        return cls(head.encode(), reader, writer)

    def wait(self) -> bool:
        """Begin to wait, unless it does already; returns whether it did."""
        if begins := not self._waits:
            self._waits = True
            self._writer.write(self._request)
        return begins

    async def woken(self) -> float:
        """When it was woken."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        when = time.monotonic()
        assert head[9:12] == b"200", head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length.partition(b":")[2]))
        self._waits = False
        return when

    def close(self) -> None:
        """It goes."""
        self._writer.close()


class Server:
    """The process that they wait on."""

    def __init__(self, process: asyncio.subprocess.Process, where: str, tokens: list[str]) -> None:
        self._process = process
        self.where = where
        self.tokens = tokens

    async def ask(self, what: str, name: str = "") -> str:
        """Have it do something; what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {name}\n".encode())
        return (await self._process.stdout.readline()).decode()


@contextlib.asynccontextmanager
async def _server(folder: Path, count: int, redis: str, *, bare: bool) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.pollers_server", str(folder), str(count), "bare" if bare else redis, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said: dict[str, Any] = json.loads(await process.stdout.readline())
        yield Server(process, said["where"], said["tokens"])
    finally:
        process.stdin.close()
        await process.wait()
