"""Messages on Telegram: the hub with all its durability, against a default python-telegram-bot echo, on the same fake wire.

Each side is a process of its own, and so is the wire. A message to the hub is `/show` of a task that is not there: parsed,
authorized, looked up and answered, its update and its answer committed before they count.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.kill.hub_process import HubProcess
from tests.ollama_server import OllamaServer
from tests.program import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Side = Callable[[dict[str, str]], contextlib.AbstractAsyncContextManager[int]]

CHATS = 20
BUSY = 50
"""Conversations in which the agent is speaking."""

WORD_SECONDS = 0.1
"""Between two words of each of them: together, 500 a second."""

FLOODED = 5001 + CHATS
NOBODY = "http://127.0.0.1:9"


@contextlib.asynccontextmanager
async def wire(
    chats: int = CHATS + 1,
) -> AsyncIterator[tuple[dict[str, str], Callable[..., Awaitable[dict[str, Any]]]]]:
    """The fake Telegram: where it is, and how it is driven."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.telegram_wire", str(chats), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("no pipes")

    async def ask(op: str, **how: Any) -> dict[str, Any]:
        stdin.write(json.dumps({"op": op, **how}).encode() + b"\n")
        found: dict[str, Any] = json.loads(await stdout.readline())
        return found

    try:
        yield json.loads(await stdout.readline()), ask
    finally:
        stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def hub(place: dict[str, str], model: str = NOBODY) -> AsyncIterator[int]:
    """A hub on this Telegram; its process id."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        owners = ",".join(f"telegram:{5001 + number}" for number in range(BUSY))
        process = HubProcess(
            Path(folder), model, executed=True,
            TIMMY_TELEGRAM_TOKEN=place["token"], TIMMY_TELEGRAM_BASE_URL=place["root"], TIMMY_OWNER=owners,
        )  # fmt: skip
        try:
            await process.start()
            yield process.pid
        finally:
            await process.stop()


@contextlib.asynccontextmanager
async def echo(place: dict[str, str]) -> AsyncIterator[int]:
    """The peer on this Telegram."""
    environment = os.environ | {"PTB_TIMEDELTA": "true"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.ptb_echo", place["root"], place["token"], cwd=ROOT, env=environment
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def rate(side: Side, each: int) -> tuple[float, bool]:
    """Messages a second when `CHATS` people say `each` things at once, and whether every chat was answered in order."""

    async def measure() -> tuple[float, bool]:
        async with wire() as (place, ask), side(place):
            await ask("polled")
            await ask("burst", chats=CHATS, each=3)
            found = await ask("burst", chats=CHATS, each=each)
            return CHATS * each / found["seconds"], found["ordered"]

    return asyncio.run(measure())


def paced(side: Side, seconds: float, *, flood: bool) -> list[float]:
    """Milliseconds from message to reply, sorted, at 100 messages a second; `flood`: while another chat waits one out."""

    async def measure() -> list[float]:
        async with wire() as (place, ask), side(place):
            await ask("polled")
            await ask("burst", chats=CHATS, each=3)
            if flood:
                await ask("flood", chat=FLOODED, seconds=1000)
            return sorted((await ask("pace", chats=CHATS, rate=100, seconds=seconds))["ms"])

    return asyncio.run(measure())


def control(seconds: float) -> dict[str, list[float]]:
    """Milliseconds from a command to its answer, sorted, ten a second, in conversations in all of which the agent is speaking."""

    async def measure() -> dict[str, list[float]]:
        async with (
            OllamaServer.running("llama3.2:latest", pause=WORD_SECONDS) as model,
            wire(BUSY) as (place, ask),
            hub(place, model.url),
        ):
            await ask("polled")
            words = round((seconds + 30) / WORD_SECONDS)
            await ask("busy", chats=BUSY, words=words)
            found = await ask("control", chats=BUSY, rate=10, seconds=seconds, words=words)
            return {command: sorted(took) for command, took in found["ms"].items()}

    return asyncio.run(measure())


def idle_kilobytes(people: int) -> float:
    """Resident memory that one more conversation costs once it is quiet, kB."""

    async def measure() -> float:
        async with wire() as (place, ask), hub(place) as pid:
            await ask("polled")
            await ask("each", first=100_000, count=200)
            before = psutil.Process(pid).memory_info().rss
            await ask("each", first=200_000, count=people)
            return (psutil.Process(pid).memory_info().rss - before) / people / 1000

    return asyncio.run(measure())
