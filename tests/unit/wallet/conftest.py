"""A database on a clock that stands still, empty or with a small book in it, or under a hub's payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.writer import Database
from tests.blank import blank
from tests.fakes import FakeClock
from tests.unit.wallet.payments_bench import bench
from tests.unit.wallet.small_book import a_small_book

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.wallet.payments_bench import Bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Database]:
    async with Database.open(blank(path), FakeClock()) as store:
        yield store


@pytest.fixture
async def book(store: Database) -> Database:
    await store.write(a_small_book)
    return store


@pytest.fixture
async def hub(path: Path) -> AsyncIterator[Bench]:
    async with bench(path) as made:
        yield made
