"""A database on a clock that stands still, empty or with a small book in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.writer import Database
from tests.blank import blank
from tests.fakes import FakeClock
from tests.unit.wallet.small_book import a_small_book

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
