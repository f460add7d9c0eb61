"""From a command on the owner's socket to its reply: a real hub process, twenty callers, ten commands a second each."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.console.link import SOCKET, dial
from tests.kill.hub_process import hub_process
from tests.ollama_server import OllamaServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.console.link import Link
    from tests.kill.hub_process import HubProcess

CALLERS = 20
THINK = 0.1
"""Seconds between a caller's answer and its next command: the figure is a latency, not a saturation."""

READ = "/balance"
WRITE = "/task proofread the letter max=1 pick=ask"


def latencies(seconds: float, *, busy: bool) -> dict[str, list[float]]:
    """Milliseconds from command to reply, sorted, by command; `busy`: with the agent and a skill at work."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_latencies(Path(folder), seconds, busy=busy))


async def _latencies(folder: Path, seconds: float, *, busy: bool) -> dict[str, list[float]]:
    async with OllamaServer.running("llama3.2:latest", pause=0.02) as model, hub_process(folder, model.url) as hub:
        await hub.say("hello")  # the model's library is loaded at its first use; that is start-up, measured elsewhere
        load = _busy(hub) if busy else contextlib.nullcontext()
        async with load:
            return {command: await _call(hub, command, seconds) for command in (READ, WRITE)}


async def _call(hub: HubProcess, command: str, seconds: float) -> list[float]:
    found: list[float] = []

    async def caller(place: int) -> None:
        async with dial(hub.data, SOCKET) as link:
            await asyncio.sleep(THINK * place / CALLERS)
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                begun = time.perf_counter()
                await _turn(link, command)
                found.append((time.perf_counter() - begun) * 1000)
                await asyncio.sleep(THINK)

    async with asyncio.TaskGroup() as group:
        for place in range(CALLERS):
            group.create_task(caller(place))
    return sorted(found)


async def _turn(link: Link, text: str, wait: str | None = None) -> None:
    await link.send({"op": "say", "text": text, "wait": wait})
    while (frame := await link.receive()) is not None:
        if frame["kind"] == "reply" and wait is None:
            assert frame["data"]["ok"], frame["text"]
        if frame["kind"] == "end":
            return
    message = "the hub went away"
    raise AssertionError(message)


@contextlib.asynccontextmanager
async def _busy(hub: HubProcess) -> AsyncIterator[None]:
    """An answer of the agent streams and a skill runs, for as long as the block lasts."""

    async def again(text: str, wait: str | None) -> None:
        async with dial(hub.data, SOCKET) as link:
            while True:
                await _turn(link, text, wait)

    async with asyncio.TaskGroup() as group:
        loads = [
            group.create_task(again("tell me " + "a long story " * 200, None)),
            group.create_task(again("/task describe sample.csv max=50", "over")),
        ]
        try:
            yield
        finally:
            for load in loads:
                load.cancel()


def at(sorted_values: list[float], share: float) -> float:
    """A percentile."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
