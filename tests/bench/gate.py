"""The L402 gate over HTTP: what a request costs that comes with a settled token, and how many offers it makes again a second.

The load is a raw asyncio client of our own: 32 connections that are kept, on each one request after the other, the answer read to
its end and looked at. It stands behind a trusted proxy, so each buyer has an address and the gate's own limits hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adapters.console.link import SOCKET, dial
from tests.program import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONNECTIONS = 32
CALLERS = 40
"""Addresses that ask again for an offer that they did not pay."""

PRICE = 1
BUNDLE = 100
"""Calls of a token."""

LOAD = "raw asyncio client, 32 connections"
_OFFER = re.compile(rb'macaroon="([^"]+)", invoice="([^"]+)"')
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class Figures(NamedTuple):
    """Of each round: answers a second."""

    gated: list[float]
    bare: list[float]
    offers: list[float]


def rates(rounds: int, count: int) -> Figures:
    """In interleaved rounds of `count` requests each: with a settled token, with no gate, and without a token."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_rates(Path(folder), rounds, count))


async def _rates(folder: Path, rounds: int, count: int) -> Figures:
    async with _server(folder) as where:
        tokens = [await _bought(folder, where["gate"], number) for number in range(-(-(rounds + 1) * count // BUNDLE))]
        callers = [f"X-Forwarded-For: {_address(1000 + number)}\r\n" for number in range(CALLERS)]
        calls = (token for _ in range(BUNDLE) for token in tokens)
        asks = itertools.cycle(callers)
        found = Figures([], [], [])
        for number in range(rounds + 1):
            gated = await _rate(where["gate"], itertools.islice(calls, count), count, 202)
            bare = await _rate(where["bare"], itertools.repeat("", count), count, 202)
            offers = await _rate(where["gate"], itertools.islice(asks, count), count, 402)
            if number:  # the first is to warm up
                found.gated.append(gated)
                found.bare.append(bare)
                found.offers.append(offers)
        return found


@contextlib.asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.gate_server", str(folder), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def _bought(folder: Path, base: str, number: int) -> str:
    """The headers of somebody with a token for `BUNDLE` calls, paid from outside."""
    seen = f"X-Forwarded-For: {_address(number)}\r\n"
    async with _connected(base) as connection:
        _, head = await connection.ask(seen, f"?calls={BUNDLE}")
    offer = _OFFER.search(head)
    assert offer is not None, head
    token, invoice = (part.decode() for part in offer.groups())
    async with dial(folder / "data", SOCKET) as link:
        await link.send({"op": "simulate.pay", "bolt11": invoice})
        paid = await link.receive()
    assert paid is not None
    return f"{seen}Authorization: L402 {token}:{paid['data']['preimage']}\r\n"


def _address(number: int) -> str:
    return f"10.{number // 250}.{number % 250}.1"  # each in a network of its own, as strangers are


async def _rate(base: str, headers: Iterator[str], count: int, wanted: int) -> float:
    """Requests with these headers, by `CONNECTIONS` at once: how many a second."""
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connected(base)) for _ in range(CONNECTIONS)]

        async def caller(connection: Connection) -> None:
            for more in headers:
                status, head = await connection.ask(more)
                assert status == wanted, head

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(caller(connection))
        return count / (time.perf_counter() - begun)


class Connection:
    """One connection that is kept."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer

    async def ask(self, headers: str, query: str = "") -> tuple[int, bytes]:
        """Ask for a task; the status, and the head of the answer."""
        body = '{"description": "count the words of page 1"}'
        self._writer.write(
            f"POST /v1/tasks{query} HTTP/1.1\r\nHost: {self._host}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None, head
        await self._reader.readexactly(int(length[1]))
        return int(head[9:12]), head


@contextlib.asynccontextmanager
async def _connected(base: str) -> AsyncIterator[Connection]:
    host = base.removeprefix("http://")
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        yield Connection(host, reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
