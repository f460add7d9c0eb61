"""The worker API by way of one gateway and of two, beside the hub's own in the same hub: what is done a second, and what limits it.

Redis is Debian's, on loopback, as is everything else: the hub, the gateways, Redis and the load share this machine's processors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.bench import workers
from tests.bench.workers import Crew
from tests.gateway_process import gateway_process
from tests.real.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS = ("in process", "one gateway", "two gateways")


class Rates(NamedTuple):
    """Turns a second in each round; seconds of a processor that each process had meanwhile, by name; its turns."""

    each: list[float]
    spent: Counter[str]
    turns: list[int]

    @property
    def limit(self) -> str:
        """What is at its end first, whatever else this machine does: the process that needs most of its one core, or all cores."""
        need = {name: 1e6 * seconds / sum(self.turns) for name, seconds in self.spent.items()}
        most, cores = max(need, key=need.__getitem__), os.cpu_count() or 1
        first = most if need[most] * cores >= sum(need.values()) else f"all {cores} cores"
        shown = ", ".join(
            f"{name} {need[name]:.0f}" for name in sorted(need, key=need.__getitem__, reverse=True) if need[name] >= 1
        )
        return f"{first} ({shown} us)"


def lacking() -> bool:
    """Whether there is no Redis on this machine."""
    return shutil.which("redis-server") is None


def rates(rounds: int, each: int) -> dict[str, dict[str, Rates]]:
    """Reads, bids and cycles, each by each way, in interleaved rounds, `each` of every worker."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(_rates(Path(folder), rounds, each))


async def _rates(folder: Path, rounds: int, each: int) -> dict[str, dict[str, Rates]]:
    found = {turn: {way: Rates([], Counter(), []) for way in WAYS} for turn in ("reads", "bids", "cycles")}
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(folder / "redis"))
        server = await stack.enter_async_context(workers.running(folder, 0, redis.url))
        where = await server.said()
        ways = [await stack.enter_async_context(gateway_process(redis.url, executed=True)) for _ in range(2)]
        one, two = (way.address for way in ways)
        sides = []
        for addresses in ((where["hub"],), (one,), (one, two)):
            side = {}
            for number, (name, token) in enumerate(where["tokens"].items()):
                there = workers.connected(addresses[number % len(addresses)], token)
                side[name] = await stack.enter_async_context(there)
            sides.append(side)
        crew = Crew(server, where, *sides, bare={})
        processes = {"hub": server.pid, "Redis": redis.pid, "load": os.getpid()}
        processes |= {
            f"gateway {number}": way.process.pid for number, way in enumerate(ways, 1) if way.process is not None
        }
        for number in range(rounds):
            for turn, does in (("reads", crew.read), ("bids", crew.bid), ("cycles", crew.cycle)):
                for way in (0, 1, 2) if number % 2 else (2, 1, 0):
                    if turn == "bids":
                        crew.open = await server.asked("all", each)
                    if turn == "cycles":
                        crew.where["own"] = await server.asked("own", each)
                        await crew.rate(0, each, crew.win)
                    rates = found[turn][WAYS[way]]
                    with _spent(processes, rates.spent):
                        rates.each.append((await crew.rate(way, each, does)).a_second)
                    rates.turns.append(each * workers.WORKERS)
    return found


@contextlib.contextmanager
def _spent(processes: dict[str, int], into: Counter[str]) -> Iterator[None]:
    """Add how many seconds of a processor each of them has meanwhile."""

    def now() -> Counter[str]:
        times = {name: psutil.Process(pid).cpu_times() for name, pid in processes.items()}
        return Counter({name: one.user + one.system for name, one in times.items()})

    before = now()
    yield
    into.update(now())
    into.subtract(before)
