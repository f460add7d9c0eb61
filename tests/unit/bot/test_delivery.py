"""The order of what goes out, where somebody comes back in the middle of it: as it was written, whatever the moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import Nursery
from adapters.sqlite.writer import Database
from bot.delivery import Delivery
from core.chat import Reply
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from core.chat import Outgoing

HERE = "console:owner"


class Door:
    """A surface that somebody is behind, or not; a send may be held in the middle."""

    name = "console"
    heard_at = None
    advice = ()

    def __init__(self) -> None:
        self.open = False
        self.shown: list[str] = []
        self.gate: asyncio.Event | None = None
        self.tried = asyncio.Event()

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        there = self.open
        self.tried.set()
        if self.gate is not None:
            await self.gate.wait()
        if not there:
            return None
        self.shown.append(message.reply.text)
        return (str(message.id),)


class Slow(Database):
    """A database whose notes wait for the test."""

    gate: asyncio.Event | None = None

    async def write(self, work: Any, /) -> Any:
        """See `core.store.Store`."""
        if self.gate is not None and "_mark" in getattr(work, "func", work).__qualname__:
            await self.gate.wait()
        return await super().write(work)


@pytest.mark.parametrize("moment", ["while it is sent", "while it is noted", "after both"])
async def test_whoever_comes_back_is_shown_what_waited_in_its_order(tmp_path: Path, moment: str) -> None:
    clock, door = FakeClock(), Door()
    async with Slow.open(blank(tmp_path / "hub.db"), clock) as store, Nursery() as nursery:
        assert isinstance(store, Slow)
        delivery = Delivery(store, clock, nursery)
        await delivery.begin()
        delivery.attach(door)  # type: ignore[arg-type]

        async def say(text: str) -> None:
            delivery.send(await store.write(lambda tx: tx.messages.queue("console", HERE, Reply(text), None, tx.now)))

        async def come() -> None:
            door.open = True
            await delivery.again("console")

        if moment == "while it is sent":
            door.gate = asyncio.Event()
        elif moment == "while it is noted":
            store.gate = asyncio.Event()
        await say("first")
        await door.tried.wait()
        if moment == "after both":
            await delivery.drain(5)
        coming = asyncio.ensure_future(come())  # noqa: TID251 - it overlaps with what is said next
        await say("second")
        if door.gate is not None:
            door.gate.set()
        if store.gate is not None:
            await asyncio.sleep(0.01)  # noqa: TID251 - what goes wrong needs a moment
            store.gate.set()
        await coming
        await delivery.drain(5)
        await say("third")
        await delivery.drain(5)
        assert door.shown == ["first", "second", "third"]
