"""Answers that are under way when the hub stops, or when whoever gave them is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from adapters.clockwork import Nursery
from core.store import DiskFull, StoreClosed
from core.swarm.tray import Sealed, Tray, Written

if TYPE_CHECKING:
    from collections.abc import Callable


class Stuck:
    """A store whose unit of work ends when it is told how."""

    def __init__(self) -> None:
        self.ends: asyncio.Future[list[Written]] = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()
        self.writes = 0

    async def write(self, _: Callable[[Any], Any], /) -> list[Written]:
        self.writes += 1
        self.begun.set()
        return await self.ends


def tray(store: Stuck, nursery: Nursery) -> Tray:
    """A tray with nothing behind it but a store."""
    nothing = cast("Any", None)
    return Tray(cast("Any", store), nothing, nothing, nothing, nursery)


async def test_at_a_stop_whoever_is_not_answered_is_told_so() -> None:
    store = Stuck()
    async with asyncio.timeout(5), Nursery() as nursery:
        into = tray(store, nursery)
        ends = asyncio.gather(into.put(bid("box")), late(into, store), return_exceptions=True)
        await store.begun.wait()
    assert [type(end) for end in await ends] == [StoreClosed, StoreClosed]


async def test_whoever_is_gone_is_not_answered_and_holds_up_nobody() -> None:
    store = Stuck()
    async with asyncio.timeout(5), Nursery() as nursery:
        into, gone = tray(store, nursery), bid("box")
        ends = asyncio.gather(into.put(gone), late(into, store), return_exceptions=True)
        await store.begun.wait()
        gone.done.cancel()
        store.ends.set_exception(DiskFull(why="no room"))
        assert [type(end) for end in await ends] == [asyncio.CancelledError, DiskFull]


async def test_whoever_is_gone_once_it_was_written_holds_up_nobody_either() -> None:
    store = Stuck()
    async with asyncio.timeout(5), Nursery() as nursery:
        into, gone, here = tray(store, nursery), bid("box"), bid("boy")
        ends = asyncio.gather(into.put(gone), into.put(here), return_exceptions=True)
        await store.begun.wait()
        gone.done.cancel()
        store.ends.set_result([Written(None, [(gone, ""), (here, "too late")])])
        assert [type(end) for end in await ends] == [asyncio.CancelledError, str]


async def test_answers_that_come_in_the_next_turns_of_the_loop_are_written_with_the_first() -> None:
    store = Stuck()
    store.ends.set_exception(DiskFull(why="no room"))
    async with asyncio.timeout(5), Nursery() as nursery:
        into = tray(store, nursery)

        async def put(*names: str) -> list[object]:
            """The first now, the others a turn later each."""
            return await asyncio.gather(
                into.put(bid(names[0])), *([put(*names[1:])] if names[1:] else []), return_exceptions=True
            )

        await put("box", "boy", "bot")
    assert store.writes == 1


def bid(name: str) -> Sealed:
    """A bid."""
    return Sealed(name, 1, 1000, None, "")


async def late(into: Tray, store: Stuck) -> str:
    """What comes while others are written."""
    await store.begun.wait()
    return await into.put(bid("boy"))
