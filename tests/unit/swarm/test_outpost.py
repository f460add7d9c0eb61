"""A worker of the hub's own kind beside a scripted hub: what it makes of answers that come late, and how it ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import HubError
from core.swarm.outpost import BEAT_SECONDS, Given, HubAway, Notice, Outpost, Rejected
from core.swarm.persona import Persona
from core.swarm.ports import Agent, Delivery, Offer
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from core.swarm.ports import Decline

BOX = Agent("box", Persona("box", "writing", ("writing",), 40, ()))
LOST, DENIED = Rejected(why="it is another's", status=409), Rejected(why="who are you?", status=401)


class Hub:
    """The hub as it is scripted: `answers` are by the name of what is asked, one after the other; of errors it raises them."""

    def __init__(self) -> None:
        self.auctions: asyncio.Queue[list[Notice]] = asyncio.Queue()
        self.awards: asyncio.Queue[Given] = asyncio.Queue()
        self.answers: dict[str, list[bool | HubError]] = {}
        self.heard: list[tuple[str, ...]] = []
        self.moved = asyncio.Condition()

    async def _hear(self, *words: str) -> bool:
        async with self.moved:
            self.heard.append(words)
            self.moved.notify_all()
        answer = answers.pop(0) if (answers := self.answers.get(words[0])) else False
        if isinstance(answer, HubError):
            raise answer
        return answer

    async def until(self, *words: str, times: int = 1) -> None:
        async with asyncio.timeout(5), self.moved:
            await self.moved.wait_for(lambda: self.heard.count(words) >= times)

    def told(self, *names: str) -> list[tuple[str, ...]]:
        return [one for one in self.heard if one[0] in names]

    def awarded(self, *tasks: str) -> None:
        for task in tasks:
            self.awards.put_nowait(Given(task, f"write {task}", 1, "lease", 60))

    async def enrol(self, _: Any, concurrency: int) -> None:
        await self._hear("enrol", str(concurrency))

    async def tasks(self, _: int) -> list[Notice]:
        return await self.auctions.get()

    async def bid(self, task: str, *_: Any) -> None:
        await self._hear("bid", task)

    async def refuse(self, task: str, _: str) -> None:
        await self._hear("refuse", task)

    async def given(self, _: int) -> Given | None:
        return await self.awards.get()

    async def beat(self, task: str, _: str) -> bool:
        return await self._hear("beat", task)

    async def deliver(self, task: str, *_: Any) -> None:
        await self._hear("deliver", task)

    async def fail(self, task: str, *_: Any) -> None:
        await self._hear("fail", task)

    async def hand_back(self, task: str, _: str) -> None:
        await self._hear("hand back", task)


class Hands:
    """Work that waits for its gate, where it has one. `ends`: what it takes to stop it."""

    def __init__(self) -> None:
        self.said: Offer | Decline | None = Offer(40_000)
        self.gates: dict[str, asyncio.Event] = {}
        self.ends: asyncio.Event | None = None
        self.stopping = asyncio.Event()
        self.began: list[str] = []

    def appraise(self, _: Agent, __: str) -> Offer | Decline | None:
        return self.said

    async def do(self, _: Agent, description: str) -> Delivery:
        task = description.removeprefix("write ")
        self.began.append(task)
        try:
            if task in self.gates:
                await self.gates[task].wait()
        finally:
            self.stopping.set()
            if self.ends is not None:
                await self.ends.wait()
        return Delivery("done")


class Box:
    """The worker, with what it works with. An error of anything that it began is the test's."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.hub, self.hands, self.clock = Hub(), Hands(), FakeClock()
        self.stop = asyncio.Event()
        self.begun: list[asyncio.Task[None]] = []
        self._group = group
        outpost = Outpost(
            self.hub, self.hands, [BOX], capabilities=["any"], capacity=2, clock=self.clock, spawner=self, chance=lambda: 1.0
        )  # fmt: skip
        self.life = group.create_task(outpost.run(self.stop))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> Callable[[], object]:
        self.begun.append(self._group.create_task(work, name=name))
        return self.begun[-1].cancel

    async def sleeps(self) -> None:
        """It waits for a time."""
        if not self.clock.sleepers:
            self.clock.slept.clear()
            async with asyncio.timeout(5):
                await self.clock.slept.wait()

    async def beats(self) -> None:
        """It is time for heartbeats."""
        await self.sleeps()
        heard = len(self.hub.told("beat"))
        self.clock.advance(round(BEAT_SECONDS * 1000))
        async with asyncio.timeout(5), self.hub.moved:
            await self.hub.moved.wait_for(lambda: len(self.hub.told("beat")) > heard)


@asynccontextmanager
async def at_work() -> AsyncIterator[Box]:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        box = Box(group)
        yield box
        for task in (box.life, *box.begun):
            task.cancel()


async def test_a_bid_that_came_too_late_is_no_refusal() -> None:
    async with at_work() as box:
        box.hub.answers["bid"] = [LOST]
        box.hub.auctions.put_nowait([Notice(task, "write", 50_000) for task in ("T-1", "T-2")])
        await box.hub.until("bid", "T-2")
        assert box.hub.told("bid", "refuse") == [("bid", "T-1"), ("bid", "T-2")]


async def test_what_is_called_off_or_anothers_by_then_is_not_begun() -> None:
    async with at_work() as box:
        box.hub.answers["beat"] = [True, LOST]
        box.hub.awarded("T-1", "T-2", "T-3")
        await box.hub.until("deliver", "T-3")
        assert box.hands.began == ["T-3"]
        assert box.hub.told("enrol", "fail", "hand back") == [("enrol", "2")] * 2, "for bids and for awards"


async def test_a_hub_that_does_not_know_it_at_an_award_is_told_again_who_it_is() -> None:
    async with at_work() as box:
        box.hub.answers["beat"] = [DENIED]
        box.hub.awarded("T-1")
        await box.hub.until("beat", "T-1")
        await box.sleeps()
        box.clock.advance(500)
        box.hub.awarded("T-1")
        await box.hub.until("deliver", "T-1")
        assert box.hub.told("enrol") == [("enrol", "2")] * 3, "for awards again"


async def test_a_result_of_what_is_anothers_by_then_is_left() -> None:
    async with at_work() as box:
        box.hub.answers["deliver"] = [LOST]
        box.hub.awarded("T-1", "T-2")
        await box.hub.until("deliver", "T-2")
        assert box.hub.told("fail", "hand back") == []


async def test_what_it_cannot_do_any_more_it_hands_back() -> None:
    async with at_work() as box:
        box.hands.said = None
        box.hub.awarded("T-1")
        await box.hub.until("hand back", "T-1")
        assert box.hands.began == []


async def test_work_whose_lease_is_lost_is_stopped_and_a_hub_that_is_away_stops_nothing() -> None:
    async with at_work() as box:
        box.hands.gates["T-1"] = asyncio.Event()
        box.hub.awarded("T-1")
        await box.hub.until("beat", "T-1")
        box.hub.answers["beat"] = [HubAway(why="cut"), False, LOST]
        await box.beats()
        await box.beats()
        assert not box.hands.stopping.is_set()
        await box.beats()
        async with asyncio.timeout(5):
            await box.hands.stopping.wait()
        box.hub.awarded("T-2")
        await box.hub.until("deliver", "T-2")
        assert box.hub.told("deliver", "fail", "hand back") == [("deliver", "T-2")]


async def test_at_a_stop_it_waits_for_each_that_is_under_way() -> None:
    async with at_work() as box:
        gates = box.hands.gates = {task: asyncio.Event() for task in ("T-1", "T-2")}
        box.hub.awarded(*gates)
        await box.hub.until("beat", "T-2")
        gates["T-1"].set()
        await box.hub.until("deliver", "T-1")
        box.stop.set()
        await box.hub.until("enrol", "0")
        gates["T-2"].set()
        await box.life
        assert box.hub.told("deliver", "hand back") == [("deliver", "T-1"), ("deliver", "T-2")]


@pytest.mark.parametrize("first", ["the stop", "the hub"])
async def test_what_is_slow_to_end_is_stopped_once(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    async with at_work() as box:
        monkeypatch.setattr("core.swarm.outpost.DRAIN_SECONDS", 0)
        box.hands.gates["T-1"], box.hands.ends = asyncio.Event(), asyncio.Event()
        box.hub.awarded("T-1")
        await box.hub.until("beat", "T-1")
        box.hub.answers["beat"] = [True]
        if first == "the hub":
            await box.beats()
            await box.hands.stopping.wait()
        box.stop.set()
        await box.hands.stopping.wait()
        if first == "the stop":
            await box.beats()
        await box.life
        box.hands.ends.set()
        await asyncio.gather(*(task for task in box.begun if task.get_name() == "T-1"))
        assert box.hub.told("deliver", "fail", "hand back") == [("hand back", "T-1")]
