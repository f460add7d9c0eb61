"""From a command on the owner's socket to its reply: a real hub process, and twenty callers that know nothing of each other.

A caller thinks for a random time after each answer, a tenth of a second on average: the figure is a latency, not a
saturation. Beside each round the disk is asked what one `fdatasync` takes: a reply waits for two commits or three.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, field
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
"""Seconds between an answer and the caller's next command, on average: uniform from nothing to twice that."""

READ = "/balance"
WRITE = "/task proofread the letter max=1 pick=ask"
WARM_UP = 0.5
SYNCS = 60


@dataclass
class Rounds:
    """The rounds of a command, each sorted: milliseconds to the reply, and milliseconds of an `fdatasync` meanwhile."""

    replies: list[list[float]] = field(default_factory=list)
    syncs: list[list[float]] = field(default_factory=list)

    def milliseconds(self, percentile: int) -> tuple[float, float]:
        """The median over the rounds of a percentile: of the replies, and of the disk."""
        replies = statistics.median(at(values, percentile / 100) for values in self.replies)
        return replies, statistics.median(at(values, percentile / 100) for values in self.syncs)


def latencies(rounds: int, seconds: float, *, busy: bool) -> dict[str, Rounds]:
    """What each command takes, in interleaved rounds; `busy`: with an answer streaming and a skill at work."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_latencies(Path(folder), rounds, seconds, busy=busy))


async def _latencies(folder: Path, rounds: int, seconds: float, *, busy: bool) -> dict[str, Rounds]:
    found = {READ: Rounds(), WRITE: Rounds()}
    async with (
        OllamaServer.running("llama3.2:latest", pause=0.02) as model,
        hub_process(folder, model.url, executed=True) as hub,
    ):
        await hub.say("hello")  # the model's library is loaded at its first use; that is start-up, measured elsewhere
        load = _busy(hub) if busy else contextlib.nullcontext()
        async with load:
            for command in found:
                await _call(hub, command, WARM_UP)
            for _ in range(rounds):
                for command, taken in found.items():
                    taken.syncs.append(sorted(_syncs(folder)))
                    taken.replies.append(sorted(await _call(hub, command, seconds)))
    return found


async def _call(hub: HubProcess, command: str, seconds: float) -> list[float]:
    found: list[float] = []

    async def caller(place: int) -> None:
        dice = random.Random(place)  # noqa: S311 - the same thinking at every run
        async with dial(hub.data, SOCKET) as link:
            end = time.perf_counter() + seconds
            while True:
                await asyncio.sleep(dice.uniform(0, 2 * THINK))
                begun = time.perf_counter()
                if begun >= end:
                    return
                await _turn(link, command)
                found.append((time.perf_counter() - begun) * 1000)

    async with asyncio.TaskGroup() as group:
        for place in range(CALLERS):
            group.create_task(caller(place))
    return found


def syncs() -> list[float]:
    """What the disk takes now, sorted."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return sorted(_syncs(Path(folder)))


def _syncs(folder: Path) -> list[float]:
    """Milliseconds that the disk takes to make a few written pages durable, some times over."""
    found = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(descriptor, bytes(16384))
            begun = time.perf_counter()
            os.fdatasync(descriptor)
            found.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
    return found


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
