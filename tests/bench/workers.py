"""The worker API: reads, bids and durable claim and result cycles, against bare aiohttp handlers in the same process.

The load is a raw asyncio client of our own: a kept connection for each worker, on it one request after the other, each answer read
to its end and looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.program import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

WORKERS = 32
LOAD = f"raw asyncio client, {WORKERS} connections"
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class Rate(NamedTuple):
    """Turns a second, and ms of processor time of the server that one takes, whatever else the machine does meanwhile."""

    a_second: float
    cpu: float


class Pair(NamedTuple):
    """Reads, bids or cycles in each round: ours, and the bare handlers'."""

    ours: list[Rate]
    bare: list[Rate]


class Connection:
    """A worker's connection."""

    def __init__(self, host: str, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._head = f"HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> bytes:
        """The body of a good answer."""
        return await self._ask(f"GET /internal/{path} {self._head}\r\n".encode())

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The same of a POST."""
        text = json.dumps(body)
        return await self._ask(f"POST /internal/{path} {self._head}Content-Length: {len(text)}\r\n\r\n{text}".encode())

    async def _ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        assert head[9:12] == b"200", head + body
        return body


class Server:
    """The process with the hub and the bare handlers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self.pid = process.pid

    async def said(self) -> Any:
        """What it says next."""
        return json.loads(await self._stdout.readline())

    def cpu(self) -> float:
        """Milliseconds of processor time that all of its threads have had."""
        threads = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((one / "schedstat").read_text(encoding="ascii").split()[0]) for one in threads) / 1e6

    async def asked(self, *words: str | int) -> Any:
        """What it says to a line."""
        self._stdin.write(f"{' '.join(map(str, words))}\n".encode())
        return await self.said()

    async def end(self) -> None:
        """Have it end."""
        self._stdin.close()
        await self._process.wait()


class Crew:
    """The workers, each with its connections: to the hub, by whichever ways, and to the bare handlers."""

    def __init__(
        self, server: Server, where: dict[str, Any], *sides: dict[str, Connection], bare: dict[str, Connection]
    ) -> None:
        self._server = server
        self.where = where
        self._sides = (*sides, bare)
        self._bare = bare
        self._leases: dict[str, list[tuple[str, str]]] = {name: [] for name in sides[0]}
        self.open: list[str] = []

    async def rate(self, side: int, each: int, turn: Callable[[str, Connection, int], Awaitable[object]]) -> Rate:
        """`each` turns of every worker."""

        async def caller(name: str, connection: Connection) -> None:
            for number in range(each):
                await turn(name, connection, number)

        begun, spent = time.perf_counter(), self._server.cpu()
        async with asyncio.TaskGroup() as group:
            for name, connection in self._sides[side].items():
                group.create_task(caller(name, connection))
        turns = each * WORKERS
        return Rate(turns / (time.perf_counter() - begun), (self._server.cpu() - spent) / turns)

    async def read(self, _: str, connection: Connection, __: int) -> None:
        """Look for auctions."""
        assert await connection.get("tasks")

    async def bid(self, name: str, connection: Connection, number: int) -> None:
        """Bid on a task that all may bid on."""
        body = {"task_id": self.open[number], "agent_id": name, "bid_sats": 1, "eta_s": number % 60}
        await connection.post("bids", body)

    async def win(self, name: str, connection: Connection, _: int) -> None:
        """Bid on a task of one's own, and be given it."""
        task = self.where["own"][name].pop()
        await connection.post("bids", {"task_id": task, "agent_id": name, "bid_sats": 1})
        given: dict[str, Any] = {}
        while given.get("task_id") != task:
            given = json.loads(await connection.get(f"assignments?agent_id={name}"))
            await connection.post(f"tasks/{given['task_id']}/heartbeat", {"lease_token": given["lease_token"]})
            self._leases[name].append((given["task_id"], given["lease_token"]))

    async def cycle(self, name: str, connection: Connection, number: int) -> None:
        """Be at a task, and deliver it: two commits."""
        task, lease = ("T-1", "x" * 16) if connection is self._bare.get(name) else self._leases[name].pop()
        await connection.post(f"tasks/{task}/heartbeat", {"lease_token": lease})
        await connection.post(f"tasks/{task}/result", {"lease_token": lease, "result": f"{number} words"})


def rates(rounds: int, each: int) -> dict[str, Pair]:
    """In interleaved rounds, `each` of every worker: reads, bids, cycles."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_rates(Path(folder), rounds, each))


async def _rates(folder: Path, rounds: int, each: int) -> dict[str, Pair]:
    found = {"reads": Pair([], []), "bids": Pair([], []), "cycles": Pair([], [])}
    async with running(folder, rounds * each) as server, contextlib.AsyncExitStack() as stack:
        where = await server.said()
        hub, bare = [
            {
                name: await stack.enter_async_context(connected(where[side], token))
                for name, token in where["tokens"].items()
            }
            for side in ("hub", "bare")
        ]
        crew = Crew(server, where, hub, bare=bare)
        await crew.rate(0, rounds * each, crew.win)  # so that there is one auction left to look at
        for number in range(rounds):
            turns = {"reads": crew.read, "bids": crew.bid, "cycles": crew.cycle}
            for name, turn in turns.items():
                if name == "bids":
                    crew.open = await server.asked("all", each)
                for side in (0, 1) if number % 2 else (1, 0):
                    found[name][side].append(await crew.rate(side, each, turn))
    return found


@contextlib.asynccontextmanager
async def running(folder: Path, tasks: int, redis: str = "") -> AsyncIterator[Server]:
    """It, with so many tasks for each worker. `redis`: where gateways reach it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.workers_server", str(folder), str(WORKERS), str(tasks), redis, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    server = Server(process)
    try:
        yield server
    finally:
        await server.end()


@contextlib.asynccontextmanager
async def connected(base: str, token: str) -> AsyncIterator[Connection]:
    """A worker's connection."""
    host = base.removeprefix("http://")
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        yield Connection(host, token, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
