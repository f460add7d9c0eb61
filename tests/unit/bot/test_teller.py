"""A chat is told by way of a hub that may be away: the newest state waits, and is told once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import Nursery
from bot.teller import PAUSE_SECONDS, NotTold, Teller
from core.errors import Refused, Unavailable
from tests.fakes import FakeClock, FakeIds, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AWAY = Unavailable(why="no hub")
TOLD = {"kind": "result", "text": "told"}


@dataclass
class Hub:
    """A hub that answers as the test says; a hub that hangs answers once `lets_go` is set."""

    says: dict[str, Any] | Exception = field(default_factory=lambda: dict(TOLD))
    heard: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    notes: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    lets_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        self.heard.put_nowait(frame)
        await self.lets_go.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def teller(self) -> Teller:
        return Teller("telegram:5", self.ask, self.notes.append, clock=self.clock, ids=FakeIds())

    @asynccontextmanager
    async def told(self) -> AsyncIterator[Teller]:
        self.lets_go.set()
        teller = self.teller()
        async with asyncio.timeout(10), Nursery() as nursery:
            nursery.spawn(teller.run(), "the chat")
            yield teller

    async def later(self) -> None:
        while not self.clock.sleepers:
            await turn()
        self.clock.advance(round(PAUSE_SECONDS * 1000))


async def test_what_is_told_arrives_once() -> None:
    hub = Hub()
    async with hub.told() as teller:
        teller.tell("red")
        first = await hub.heard.get()
        assert (first["op"], first["chat"], first["text"]) == ("notify", "telegram:5", "red")
        teller.tell("green")
        second = await hub.heard.get()
        assert second["text"] == "green"
        assert first["key"] != second["key"]
    assert hub.heard.empty()
    assert hub.notes == []


async def test_while_the_hub_is_away_the_newest_waits_and_is_asked_under_one_key() -> None:
    hub = Hub(says=AWAY)
    async with hub.told() as teller:
        teller.tell("red")
        assert (await hub.heard.get())["text"] == "red"
        teller.tell("green")
        await hub.later()
        first = await hub.heard.get()
        hub.says = TOLD
        await hub.later()
        assert await hub.heard.get() == first
        assert first["text"] == "green"
        await turn()
        assert hub.clock.sleepers == 0
    assert hub.notes == [f"telegram:5 is told once the hub is there. {AWAY}"]


async def test_what_is_newer_than_what_was_on_its_way_follows() -> None:
    hub = Hub()
    async with hub.told() as teller:
        hub.lets_go.clear()
        teller.tell("red")
        await hub.heard.get()
        teller.tell("green")
        hub.lets_go.set()
        assert (await hub.heard.get())["text"] == "green"


async def test_a_hub_that_refuses_is_not_asked_again_and_that_is_said_once() -> None:
    hub = Hub(says={"kind": "error", "text": "No such chat."})
    async with hub.told() as teller:
        for text in ("red", "green"):
            teller.tell(text)
            assert (await hub.heard.get())["text"] == text
            await turn()
    assert hub.notes == ["telegram:5 is not told: No such chat."]


async def test_whether_it_would_be_told_is_asked_first() -> None:
    hub = Hub()
    hub.lets_go.set()
    await hub.teller().check()
    assert await hub.heard.get() == {"op": "notify", "chat": "telegram:5"}
    hub.says = AWAY
    await hub.teller().check()
    assert hub.notes == [f"telegram:5 is told once the hub is there. {AWAY}"]
    hub.says = {"kind": "error", "text": "No such chat."}
    with pytest.raises(NotTold, match="No such chat"):
        await hub.teller().check()
    hub.says = Refused()
    with pytest.raises(Refused):
        await hub.teller().check()
