"""What every service may expect of a `core.store.Store`: asked of the real one, and of the one that tests kill."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.writer import Database
from core.errors import UserError
from core.events import Event, Kind
from core.store import StoreClosed
from tests.blank import blank
from tests.fakes import EPOCH, FakeClock
from tests.property.mortal import MortalDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from core.events import Json
    from core.store import Store, Tx

    Opens = Callable[[Path], AbstractAsyncContextManager[Database]]


class Refusal(UserError):
    """It will not."""


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Database]:
    async with Database.open(blank(folder / "hub.db"), FakeClock()) as store:
        yield store


@asynccontextmanager
async def paced(folder: Path) -> AsyncIterator[Database]:
    async with MortalDatabase.open(blank(folder / "hub.db"), FakeClock()) as store:
        assert isinstance(store, MortalDatabase)
        store.paced(itertools.cycle([1, 0, 2]))
        yield store


@pytest.fixture(params=[real, paced], ids=["real", "paced"])
def opens(request: pytest.FixtureRequest) -> Opens:
    made: Opens = request.param
    return made


@pytest.fixture
async def store(opens: Opens, tmp_path: Path) -> AsyncIterator[Store[Any]]:
    async with opens(tmp_path) as store:
        yield store


def mark(key: str, result: str = "") -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        tx.mark(key, result)
        return key

    return work


async def test_a_write_returns_what_its_function_returns(store: Store[Any]) -> None:
    assert await store.write(mark("a")) == "a"


async def test_what_was_written_is_read_by_everybody_afterwards(store: Store[Any]) -> None:
    await store.write(mark("a", "result"))
    for way in (store.write, store.read):
        assert await way(lambda tx: (tx.applied("a"), tx.applied("b"))) == ("result", None)


async def test_a_function_sees_what_it_wrote_itself(store: Store[Any]) -> None:
    def work(tx: Tx) -> str | None:
        tx.mark("a", "mine")
        return tx.applied("a")

    assert await store.write(work) == "mine"


async def test_an_error_is_raised_and_nothing_stays(store: Store[Any]) -> None:
    def work(tx: Tx) -> None:
        tx.mark("a", "")
        raise Refusal

    with pytest.raises(Refusal):
        await store.write(work)
    assert await store.read(lambda tx: tx.applied("a")) is None
    assert await store.write(mark("a")) == "a"


async def test_a_key_is_marked_once(store: Store[Any]) -> None:
    await store.write(mark("a", "first"))
    with pytest.raises(Exception, match=r"applied\.key"):
        await store.write(mark("a", "second"))
    assert await store.read(lambda tx: tx.applied("a")) == "first"


async def test_side_by_side_each_function_has_the_books_to_itself(store: Store[Any]) -> None:
    """A counter that everybody reads and writes: no step is lost."""

    def step(tx: Any) -> int:
        count = sum(tx.applied(f"step {n}") is not None for n in range(50))
        tx.mark(f"step {count}", "")
        return count

    counts = await asyncio.gather(*(store.write(step) for _ in range(50)))
    assert sorted(counts) == list(range(50))


async def test_a_refusal_among_others_is_its_own(store: Store[Any]) -> None:
    def refuse(tx: Tx) -> None:
        tx.mark("no", "")
        raise Refusal

    outcomes = await asyncio.gather(
        store.write(mark("a")), store.write(refuse), store.write(mark("b")), return_exceptions=True
    )
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == ["a", Refusal, "b"]
    assert await store.read(lambda tx: [tx.applied(key) for key in ("a", "no", "b")]) == ["", None, ""]


@pytest.mark.parametrize("way", ["write", "read"])
async def test_every_unit_of_work_has_the_time(store: Store[Any], way: str) -> None:
    assert await getattr(store, way)(lambda tx: tx.now) == EPOCH


async def test_events_are_told_in_order_and_with_their_state(store: Database) -> None:
    told: list[Json] = []
    store.listen(lambda events: told.extend(event.data["n"] for event in events))

    def work(number: int) -> Callable[[Tx], None]:
        def emit(tx: Tx) -> None:
            tx.emit(Event(Kind.BOOK_OPENED, data={"n": number}))
            if number % 3 == 0:
                raise Refusal

        return emit

    await asyncio.gather(*(store.write(work(number)) for number in range(10)), return_exceptions=True)
    assert told == [1, 2, 4, 5, 7, 8]


async def test_a_closed_store_takes_nothing_more(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as store:
        await store.write(mark("a"))
    with pytest.raises(StoreClosed, match="Send it again once it is back"):
        await store.write(mark("b"))
    async with opens(tmp_path) as again:
        assert await again.read(lambda tx: (tx.applied("a"), tx.applied("b"))) == ("", None)
