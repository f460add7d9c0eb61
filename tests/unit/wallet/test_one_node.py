"""A book belongs to one network and node: a hub that is set to another is refused, told what to do, and changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bot.app import DATABASE, NoBackend, OtherBook, build
from config.settings import Lightning
from tests.fakes import FakeClock, FakeIds
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from pathlib import Path

    from core.errors import HubError

HOME = ("regtest", "02aa")


async def starts(folder: Path, book: tuple[str, str] | None = None, backend: str = "simulated") -> int:
    """Start a hub there; returns what its owner has, msat."""
    chosen = settings(folder).model_copy(update={"lightning": Lightning.model_validate({"backend": backend})})
    async with build(chosen, clock=FakeClock(), ids=FakeIds(), roster=(), book=book) as app:
        return (await app.hub.wallet.balance("user:console:owner")).posted


def within(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def content(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "data" / DATABASE)) as connection:
        return list(connection.iterdump())


async def test_the_same_node_again_is_the_same_book(tmp_path: Path) -> None:
    assert await starts(tmp_path, HOME) == 10_000_000
    assert await starts(tmp_path, HOME) == 10_000_000


@pytest.mark.parametrize(
    ("first", "second", "backend", "error", "says"),
    [
        (HOME, ("mainnet", "02aa"), "simulated", OtherBook, "belongs to regtest (02aa), and the settings name mainnet (02aa)"),
        (HOME, ("regtest", "03bb"), "simulated", OtherBook, "belongs to regtest (02aa), and the settings name regtest (03bb)"),
        (HOME, None, "simulated", OtherBook, "belongs to regtest (02aa), and the settings name simulated"),
        (None, ("mainnet", "02aa"), "simulated", OtherBook, "or TIMMY_LIGHTNING_BACKEND=simulated"),
        (None, None, "lnd", OtherBook, "or TIMMY_LIGHTNING_BACKEND=simulated"),
    ],
)  # fmt: skip
async def test_another_network_or_node_is_refused_and_changes_nothing(
    tmp_path: Path,
    first: tuple[str, str] | None,
    second: tuple[str, str] | None,
    backend: str,
    error: type[HubError],
    says: str,
) -> None:
    await starts(tmp_path, first)
    before = content(tmp_path)
    with pytest.raises(error) as caught:
        await starts(tmp_path, second, backend)
    assert says in str(caught.value)
    assert f"The book in {tmp_path / 'data'} " in str(caught.value)
    assert "Set TIMMY_DATA_DIR to another folder" in str(caught.value)
    assert content(tmp_path) == before
    assert await starts(tmp_path, first) == 10_000_000


async def test_a_backend_that_is_not_there_founds_no_book(tmp_path: Path) -> None:
    with pytest.raises(NoBackend, match="TIMMY_LIGHTNING_BACKEND=simulated"):
        await starts(tmp_path, backend="lnd")
    assert within(tmp_path) == [], "nor anything else"
    (tmp_path / "data").mkdir()
    with pytest.raises(NoBackend):
        await starts(tmp_path, backend="lnd")
    assert not [line for line in content(tmp_path) if line.startswith("INSERT")]
    assert not (tmp_path / "workspace").exists()
    assert await starts(tmp_path) == 10_000_000


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
