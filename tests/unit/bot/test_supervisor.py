"""A part that fails is shown as down and started again, later and later, and takes no other part with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import Nursery
from bot.health import Figures, Health
from bot.supervisor import Supervisor
from core.errors import Unavailable
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Clock(FakeClock):
    """Says how long somebody wants to sleep, once they do."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await super().sleep(seconds)


class _Writer:
    busy_since: int | None = None


class _Part:
    """A part that fails as often as it is told to, then runs."""

    def __init__(self, *ends: Exception | None) -> None:
        self._ends = list(ends)
        self.started: asyncio.Queue[int] = asyncio.Queue()
        self.starts = 0
        self.stopped = False
        self.end = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        self.started.put_nowait(self.starts)
        if self._ends:
            end = self._ends.pop(0)
            if end is not None:
                raise end
            return
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise


async def _no_figures() -> Figures:
    return Figures({}, 0, 0, 0, 0, 0, 0, frozen=False, backlog=0, dead_letters=0)


async def _no_model() -> str | None:
    return None


@asynccontextmanager
async def _supervised(**parts: _Part) -> AsyncIterator[tuple[Supervisor, Health, _Clock]]:
    clock = _Clock()
    health = Health(clock, _Writer(), _no_figures, _no_model, clock.now())
    async with Nursery() as nursery:
        supervisor = Supervisor(nursery, clock, health)
        for name, part in parts.items():
            supervisor.start(name, part.run)
        async with asyncio.timeout(10):
            yield supervisor, health, clock


async def test_a_failing_part_is_started_again_later_and_later_up_to_a_minute() -> None:
    part = _Part(*[Unavailable(why="deaf")] * 10)
    async with _supervised(part=part) as (_, health, clock):
        pauses = []
        for number in range(1, 11):
            assert await part.started.get() == number
            pauses.append(await clock.asked.get())
            assert health.faults() == ["part is down: A part the hub needs does not answer: deaf"]
            assert (await health.data())["ok"] is False
            clock.advance(round(pauses[-1] * 1000))
        assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert await part.started.get() == 11
        assert (health.faults(), health.parts["part"].restarts) == ([], 10)


async def test_a_part_that_ran_for_long_is_started_again_at_once() -> None:
    part = _Part(ValueError("a bug"), ValueError("a bug"))
    async with _supervised(part=part) as (_, health, clock):
        for pause in (0.5, 1):
            assert await clock.asked.get() == pause
            clock.advance(round(pause * 1000))
        while part.starts < 3:
            await part.started.get()
        clock.advance(61_000)
        part.end.set()
        assert await clock.asked.get() == 0.5
        assert health.parts["part"].why == "it ended"


async def test_one_part_s_bug_is_its_own_and_its_words_stay_in_the_log() -> None:
    broken, sound = _Part(ValueError("password=hunter2")), _Part()
    async with _supervised(broken=broken, sound=sound) as (_, health, clock):
        await clock.asked.get()
        assert health.parts["sound"].up
        assert sound.starts == 1
        assert health.faults() == ["broken is down: it broke off (the log says more)"]


@pytest.mark.parametrize("state", ["running", "waiting to be started again"])
async def test_stop_ends_every_part_for_good(state: str) -> None:
    part = _Part(*([] if state == "running" else [Unavailable(why="deaf")]))
    async with _supervised(part=part) as (supervisor, _, clock):
        await part.started.get()
        if state != "running":
            await clock.asked.get()
        supervisor.stop()
    assert part.starts == 1
    assert part.stopped is (state == "running")


async def test_a_part_that_breaks_off_while_it_is_told_to_end_has_ended() -> None:
    class Torn(_Part):
        async def run(self) -> None:
            try:
                await super().run()
            except asyncio.CancelledError:
                raise RuntimeError("the line broke") from None

    part, clock = Torn(), _Clock()
    async with asyncio.timeout(5), Nursery() as nursery:
        supervisor = Supervisor(nursery, clock, Health(clock, _Writer(), _no_figures, _no_model, clock.now()))
        supervisor.start("telegram", part.run)
        await part.started.get()
        supervisor.stop()
    assert part.starts == 1
