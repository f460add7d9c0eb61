"""The watchdog at work: what is heard leads to runs, and runs to words."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import Nursery, running
from core.automation.tdd import AGAIN_SECONDS, RunFailed, SelfTdd
from core.automation.verdict import Ran
from core.errors import Unavailable
from tests.fakes import FakeClock, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.automation.watchdog import Say

GREEN = Ran("pytest", 1, ok=True, tests=3)
RED = Ran("pytest", 1, tests=3, failed={"test_a": "no"})


class Clock(FakeClock):
    """One that wakes a sleeper without an exception: coverage of Python 3.11 loses sight of what one was thrown into."""

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        with self._alarm(self._now + round(seconds * 1000), over.set):
            await over.wait()


@dataclass
class Project:
    """A project whose runs end as the test says, and which changes when it says."""

    clock: Clock = field(default_factory=Clock)
    ends: asyncio.Queue[Ran | Exception] = field(default_factory=asyncio.Queue)
    hears: asyncio.Queue[dict[str, int | None] | Exception | None] = field(default_factory=asyncio.Queue)
    said: asyncio.Queue[Say] = field(default_factory=asyncio.Queue)
    began: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """One for each run that has begun, was broken off, or was over."""

    async def run(self) -> Ran:
        self.began.put_nowait("began")
        try:
            end = await self.ends.get()
        except asyncio.CancelledError:
            self.began.put_nowait("broken off")
            raise
        if isinstance(end, Exception):
            raise end
        return end

    async def news(self) -> AsyncIterator[dict[str, int | None]]:
        while (batch := await self.hears.get()) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def change(self, *files: str) -> None:
        self.hears.put_nowait(dict.fromkeys(files, 0))

    async def runs(self, end: Ran, *files: str) -> None:
        """A change begins a run, which ends so."""
        self.change(*files)
        assert await self.began.get() == "began"
        self.ends.put_nowait(end)

    @asynccontextmanager
    async def watched(self, interval: float = 60) -> AsyncIterator[asyncio.Task[None]]:
        async with asyncio.timeout(10), Nursery() as nursery:
            dog = SelfTdd(self, self.news, self.said.put_nowait, clock=self.clock, spawner=nursery, interval=interval)
            async with running(_ended(dog), "the watchdog") as task:
                try:
                    yield task
                finally:
                    task.cancel()

    async def sleeps(self) -> None:
        while not self.clock.sleepers:
            self.clock.slept.clear()
            await self.clock.slept.wait()


async def _ended(dog: SelfTdd) -> None:
    try:
        await dog.run()
    except asyncio.CancelledError:
        return


async def test_it_runs_once_changes_are_heard_and_speaks() -> None:
    project = Project()
    async with project.watched():
        assert project.began.empty()
        await project.runs(RED)
        assert (await project.said.get()).words == "red: 1 of 3 tests fails in 1.0 s\n  test_a: no"
        project.clock.advance(5000)
        await project.runs(GREEN, "a.py")
        assert (await project.said.get()).words == "green again: 3 tests in 1.0 s, after a change to a.py"


async def test_a_change_breaks_a_run_off_and_begins_anew() -> None:
    project = Project()
    async with project.watched():
        project.change()
        assert await project.began.get() == "began"
        project.change("a.py")
        assert [await project.began.get() for _ in range(2)] == ["broken off", "began"]


async def test_a_run_that_is_broken_off_before_its_first_step_is_begun_anew() -> None:
    project = Project()
    async with project.watched():
        project.change()
        await project.runs(RED, "a.py")
        assert (
            await project.said.get()
        ).words == "red: 1 of 3 tests fails in 1.0 s, after a change to a.py\n  test_a: no"


async def test_it_runs_again_so_long_after_a_run_and_not_before() -> None:
    project = Project()
    async with project.watched(60):
        project.change()
        await project.began.get()
        project.clock.advance(600_000)
        project.ends.put_nowait(GREEN)
        await project.sleeps()
        project.clock.advance(59_999)
        assert project.clock.sleepers == 1
        project.clock.advance(1)
        assert await project.began.get() == "began"
        assert project.clock.sleepers == 0


async def test_a_change_takes_the_place_of_the_run_that_was_due() -> None:
    project = Project()
    async with project.watched(60):
        await project.runs(GREEN)
        await project.sleeps()
        project.clock.advance(59_999)
        project.change("a.py")
        assert await project.began.get() == "began"
        await turn()
        assert project.clock.sleepers == 0


async def test_without_an_interval_it_runs_after_changes_alone() -> None:
    project = Project()
    async with project.watched(0):
        await project.runs(RED)
        await project.said.get()
        assert project.clock.sleepers == 0


async def test_a_folder_that_is_gone_is_looked_for_until_it_is_there() -> None:
    project = Project()
    async with project.watched(0):
        await project.runs(RED)
        await project.said.get()
        project.hears.put_nowait(None)
        await project.began.get()
        project.ends.put_nowait(Ran("pytest", 0, trouble="the folder is gone"))
        assert (await project.said.get()).words == "cannot be tested: the folder is gone"
        await project.sleeps()
        project.change()
        project.clock.advance(round(AGAIN_SECONDS * 1000))
        await project.began.get()


async def test_where_changes_are_not_seen_it_runs_by_the_clock_and_says_so() -> None:
    project = Project()
    async with project.watched(60):
        project.change()
        project.hears.put_nowait(Unavailable(why="too many"))
        said = await project.said.get()
        assert said.note
        assert "too many" in said.words
        project.ends.put_nowait(RED)
        await project.said.get()
        await project.sleeps()


async def _faulty(project: Project, interval: float, *heard: dict[str, int | None] | Exception) -> None:
    async with project.watched(interval) as task:
        for batch in heard:
            project.hears.put_nowait(batch)
        project.ends.put_nowait(ValueError())
        await asyncio.wait({task})


async def test_where_nothing_would_ever_start_a_run_it_ends() -> None:
    with pytest.raises(Unavailable, match="too many"):
        await _faulty(Project(), 0, Unavailable(why="too many"))


async def test_a_fault_of_its_own_ends_it() -> None:
    with pytest.raises(RunFailed):
        await _faulty(Project(), 60, {})
