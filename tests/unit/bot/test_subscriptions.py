"""The pump: every event reaches its handler once and in order, however many there are, and whatever one of them does to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import Nursery
from adapters.sqlite.writer import Database
from bot.subscriptions import Pump
from core.events import Event, Kind
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from bot.subscriptions import HandlerTx
    from core.chat import Outgoing

PATIENCE = 10
TOGETHER = 3


class Ear:
    """Takes posts, and keeps those whose taking is durable; it cannot take those that are `poison`."""

    name = "ear"
    kinds = frozenset({Kind.TASK_POSTED})

    def __init__(self, *poison: int) -> None:
        self.heard: list[int] = []
        self._now: list[int] = []
        self._poison = {*poison}

    async def load(self) -> None:
        self._now = []

    def wants(self, event: Event) -> bool:
        return event.task != 0

    def __call__(self, tx: HandlerTx, events: Sequence[Event]) -> list[Outgoing]:
        self._now = [event.task or 0 for event in events]
        assert self._poison.isdisjoint(self._now)
        return []

    def durable(self) -> None:
        self.heard += self._now


def posts(numbers: Collection[int]) -> Callable[[UnitOfWork], None]:
    """A unit of work that posts these, each between things that nobody listens to."""

    def work(tx: UnitOfWork) -> None:
        for number in numbers:
            tx.emit(Event(Kind.TASK_POSTED, number))
            tx.emit(Event(Kind.TASK_STARTED, number))

    return work


@asynccontextmanager
async def pumping(folder: Path, ear: Ear, *before: int) -> AsyncIterator[tuple[Database, Pump]]:
    """A pump that is at it, where these were posted before it began."""
    clock = FakeClock()
    async with asyncio.timeout(PATIENCE), Database.open(blank(folder / "hub.db"), clock) as store, Nursery() as nursery:
        pump = Pump(store, clock, (ear,), lambda _: None)
        await pump.enroll()
        await store.write(posts(before))
        store.listen(pump.heard)
        nursery.spawn(pump.run(), "pump")
        nursery.spawn(_time(store, clock), "time")
        yield store, pump


async def _time(store: Database, clock: FakeClock) -> None:
    while True:
        await store.write(lambda tx: None)
        clock.advance(100)


async def taken(store: Database, pump: Pump) -> int:
    """How far the handler is once nothing is left before it."""
    while await pump.look():
        await store.write(lambda tx: None)
    return await store.read(lambda tx: tx.cursor("ear"))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.subscriptions.BATCH", TOGETHER)


async def test_more_than_are_taken_at_once_are_all_taken_and_after_a_start_none_again(tmp_path: Path) -> None:
    for ear, before in ((Ear(), range(8)), (Ear(), range(8, 10))):
        async with pumping(tmp_path, ear, *before) as (store, pump):
            assert await taken(store, pump) > 0
            await store.write(posts([100]))
            await taken(store, pump)
        assert ear.heard == [*filter(None, before), 100]


@pytest.mark.parametrize("poison", [1, 3, 5, 8])
async def test_what_cannot_be_taken_is_buried_alone(tmp_path: Path, poison: int) -> None:
    ear = Ear(poison)
    async with pumping(tmp_path, ear, *range(9)) as (store, pump):
        await taken(store, pump)
        assert await store.read(lambda tx: tx.dead_letters()) == pump.failed == 1
    assert ear.heard == [number for number in range(1, 9) if number != poison]
