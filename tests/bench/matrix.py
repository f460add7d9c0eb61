"""Messages on Matrix: the hub with all its durability, against a bare matrix-nio echo, on the same Synapse.

Both run all the time and are measured in turn; each, the people, and Synapse are processes of their own. A message to the hub
is `!show` of a task that is not there: stored, parsed, authorized, looked up and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nio import EnableEncryptionBuilder

from tests.kill.hub_process import hub_process
from tests.program import ROOT
from tests.real.synapse import LIBRARIES, PASSWORD, synapse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.real.synapse import Person, Synapse

logging.getLogger("nio").setLevel(logging.ERROR)  # it warns of keys that a new session has not got yet

NOBODY = "http://127.0.0.1:9"
PEOPLE = 10
EACH = 10
PATIENCE = 120.0
SKIPPED = "SKIPPED: Synapse is not installed; `make .venv/.installed-synapse` does it"


def is_installed() -> bool:
    """Whether there is a homeserver to measure on."""
    return (LIBRARIES / "synapse").is_dir()


@dataclass
class Talk:
    """Somebody's room with one of the bots, and how many messages were said there."""

    person: Person
    room: str
    said: int = 0
    wanted: set[str] = field(default_factory=set)

    async def say(self) -> str:
        """Say something that nobody said before; returns what the answer will hold."""
        self.said += 1
        name = f"T-{self.said + 1000}"
        self.wanted.add(name)
        await self.person.say(self.room, f"!show {name}")
        return name

    async def hear(self) -> None:
        """Look until everything was answered."""
        async with asyncio.timeout(PATIENCE):
            while self.wanted:
                await self.person._look()
                for event in self.person.seen:
                    self.wanted -= {name for name in self.wanted if name in event.body}
                self.person.seen.clear()


Sides = dict[str, list[list[float]]]
"""By `hub` and `echo`: the figures of each round, sorted."""


@contextlib.asynccontextmanager
async def _both(folder: Path, *, encrypted: bool, people: int) -> AsyncIterator[dict[str, list[Talk]]]:
    """The hub and the echo on one Synapse, and everybody's rooms with each."""
    names = [f"ann{number}" for number in range(people)]
    async with synapse(folder / "synapse") as server, contextlib.AsyncExitStack() as stack:
        for bot in ("timmy", "echo"):
            await (await server.user(bot)).client.close()
        found = [await server.user(name, folder / name if encrypted else None) for name in names]
        for person in found:
            stack.push_async_callback(person.client.close)
            await person.sign_in()
        await stack.enter_async_context(
            hub_process(
                folder, NOBODY, executed=True, TIMMY_MATRIX_HOMESERVER=server.url, TIMMY_MATRIX_USER="@timmy:localhost",
                TIMMY_MATRIX_PASSWORD=PASSWORD, TIMMY_OWNER=",".join(f"matrix:@{name}:localhost" for name in names),
            )
        )  # fmt: skip
        await stack.enter_async_context(_echo(server, folder / "echo" if encrypted else None))
        state = [EnableEncryptionBuilder().as_dict()] if encrypted else []
        talks: dict[str, list[Talk]] = {}
        for side, bot in (("hub", "@timmy:localhost"), ("echo", "@echo:localhost")):
            for person in found:
                room = await person.room(bot, is_direct=True, initial_state=state)
                await person.meets(room, bot)
                talks.setdefault(side, []).append(Talk(person, room))
        yield talks


@contextlib.asynccontextmanager
async def _echo(server: Synapse, folder: Path | None) -> AsyncIterator[None]:
    """The peer."""
    if folder is not None:
        await asyncio.to_thread(folder.mkdir)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.nio_echo", server.url, "@echo:localhost", PASSWORD, str(folder or ""),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def latencies(rounds: int, each: int, *, encrypted: bool) -> Sides:
    """Milliseconds from a message to its answer, one at a time and by turns, sorted."""

    async def one(talk: Talk) -> float:
        begun = time.perf_counter()
        await talk.say()
        await talk.hear()
        return (time.perf_counter() - begun) * 1000

    async def measure(folder: Path) -> Sides:
        found: Sides = {}
        async with _both(folder, encrypted=encrypted, people=1) as talks:
            for side, (talk,) in talks.items():
                found[side] = []
                for _ in range(5):
                    await one(talk)
            for _ in range(rounds):
                pairs = [[await one(talk) for (talk,) in talks.values()] for _ in range(each)]
                for side, column in zip(found, zip(*pairs, strict=True), strict=True):
                    found[side].append(sorted(column))
        return found

    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(measure(Path(folder)))


def rates(rounds: int) -> dict[str, list[float]]:
    """Messages a second when `PEOPLE` say `EACH` things at once, in a room each, until all are answered; round by round."""

    async def burst(talks: list[Talk]) -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(talk.say() for talk in talks for _ in range(EACH)))
        await asyncio.gather(*(talk.hear() for talk in talks))
        return PEOPLE * EACH / (time.perf_counter() - begun)

    async def measure(folder: Path) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {"hub": [], "echo": []}
        async with _both(folder, encrypted=False, people=PEOPLE) as talks:
            for some in talks.values():
                await asyncio.gather(*(talk.say() for talk in some))
                await asyncio.gather(*(talk.hear() for talk in some))
            for _ in range(rounds):
                for side, some in talks.items():
                    found[side].append(await burst(some))
        return found

    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        return asyncio.run(measure(Path(folder)))
