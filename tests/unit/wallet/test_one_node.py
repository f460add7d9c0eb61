"""A book belongs to one network and node: a hub that is set to another is refused, told what to do, and changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from adapters.lightning.simulated import SimulatedNode
from bot.app import build
from bot.parts.looks import DATABASE
from bot.parts.nodes import OtherBook
from config.settings import Lightning
from core.wallet.lightning import NodeDown, NodeInfo
from core.wallet.node import OtherNode
from tests.depth import first
from tests.fakes import FakeClock, FakeIds
from tests.scenario.bot import rows, settings
from tests.twin_node import START
from tests.unit.wallet.payments_bench import bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.app import App
    from core.errors import HubError

HOME = ("regtest", "02aa")


class Elsewhere(SimulatedNode):
    """A node that says it is another, or does not answer (None)."""

    who: tuple[str, str] | None = HOME

    async def info(self) -> NodeInfo:
        if self.who is None:
            raise NodeDown(backend="lnd", why="it sleeps")
        return NodeInfo(*self.who, height=1, synced=True)


@asynccontextmanager
async def hub_on(folder: Path, who: tuple[str, str] | None, backend: str) -> AsyncIterator[tuple[App, Elsewhere]]:
    lightning = Lightning.model_construct(backend=backend)  # type: ignore[arg-type]
    chosen = settings(folder).model_copy(update={"lightning": lightning})
    clock = FakeClock()
    node = Elsewhere(folder / "node.db", clock, FakeIds("node"))
    node.who = who
    try:
        async with build(chosen, clock=clock, ids=FakeIds(), roster=(), node=node) as app:
            yield app, node
    finally:
        await node.close()


async def starts(folder: Path, who: tuple[str, str] | None = HOME, backend: str = "lnd") -> tuple[str, str] | None:
    """Start a hub there; returns whose books it has."""
    async with hub_on(folder, who, backend) as (app, _):
        return await app.store.read(lambda tx: tx.books.identity())


def content(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "data" / DATABASE)) as connection:
        return list(connection.iterdump())


async def test_the_same_node_again_is_the_same_book_and_real_sats_are_not_granted(tmp_path: Path) -> None:
    assert await starts(tmp_path) == HOME
    assert await starts(tmp_path) == HOME
    assert rows(settings(tmp_path), "SELECT key FROM txn") == [("book:opening",)]


@pytest.mark.parametrize(
    ("first", "second", "error", "says"),
    first(2, [
        ((HOME, "lnd"), (("bitcoin", "02aa"), "lnd"), OtherNode, "the node that answers is bitcoin (02aa)"),
        ((HOME, "lnd"), (("regtest", "03bb"), "lnd"), OtherNode, "the node that answers is regtest (03bb)"),
        ((HOME, "lnd"), (None, "simulated"), OtherBook, "belongs to regtest (02aa), and the settings name simulated"),
        ((("simulated", "02cc"), "simulated"), (HOME, "lnd"), OtherBook, "or TIMMY_LIGHTNING_BACKEND=simulated"),
    ]),
)  # fmt: skip
async def test_another_network_or_node_is_refused_and_changes_nothing(
    tmp_path: Path,
    first: tuple[tuple[str, str], str],
    second: tuple[tuple[str, str] | None, str],
    error: type[HubError],
    says: str,
) -> None:
    assert await starts(tmp_path, *first) == first[0]
    before = content(tmp_path)
    with pytest.raises(error) as caught:
        await starts(tmp_path, *second)
    assert says in str(caught.value)
    assert "TIMMY_DATA_DIR to another folder" in str(caught.value)
    assert content(tmp_path) == before
    assert await starts(tmp_path, *first) == first[0]


async def test_a_node_that_does_not_answer_founds_no_book_and_does_once_it_answers(tmp_path: Path) -> None:
    async with hub_on(tmp_path, None, "lnd") as (app, node):
        assert await app.store.read(lambda tx: tx.books.identity()) is None
        clock = app.hub.clock
        assert isinstance(clock, FakeClock)
        while app.health.parts["lightning"].up:
            await app.store.write(lambda tx: None)
        assert "it sleeps" in app.health.parts["lightning"].why
        assert "lightning  down: The Lightning node (lnd) does not answer: it sleeps" in (await app.health.reply()).text
        assert app.health.faults() == [], "a restart would not help"
        node.who = HOME
        while await app.store.read(lambda tx: tx.books.identity()) is None:
            clock.advance(1000)
            await app.store.write(lambda tx: None)


async def test_a_node_that_changes_under_a_hub_is_sent_nothing(tmp_path: Path) -> None:
    async with hub_on(tmp_path, HOME, "lnd") as (app, node):
        node.who = ("regtest", "03bb")
        clock = app.hub.clock
        assert isinstance(clock, FakeClock)
        clock.advance(31_000)
        with pytest.raises(OtherNode, match="the node that answers is regtest"):
            await app.hub.reconciler.compare()


async def test_simulated_books_are_not_each_others(tmp_path: Path) -> None:
    """Each gets a node of its own, so that one is never taken for another."""
    nodes = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        chosen = settings(tmp_path / place)
        async with build(chosen, clock=FakeClock(), ids=FakeIds(place), roster=()) as app:
            nodes.add(await app.store.read(lambda tx: tx.books.identity()))
    assert {network for network, _ in filter(None, nodes)} == {"simulated"}
    assert len(nodes) == 2


async def test_a_simulated_book_of_before_nodes_had_keys_is_bound_to_its_node(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    async with build(chosen, clock=FakeClock(), ids=FakeIds(), roster=()) as app:
        node = await app.store.read(lambda tx: tx.books.identity())
        await app.store.write(lambda tx: tx.books.known_as("simulated-abc"))
    async with build(chosen, clock=FakeClock(), ids=FakeIds(), roster=()) as app:
        assert await app.store.read(lambda tx: tx.books.identity()) == node


async def test_two_who_meet_the_node_first_at_once_open_the_books_once(path: Path) -> None:
    async with bench(path) as hub:
        balance, both = hub.own.node.balance, asyncio.Barrier(2)

        async def moving() -> int:
            await both.wait()
            hub.twin.lie += 1
            return await balance()

        hub.own.node.balance = moving  # type: ignore[method-assign]
        await asyncio.gather(hub.own.verified(), hub.own.verified())
        assert -(await hub.has("node:simulated"))[0] - START in {1, 2}
