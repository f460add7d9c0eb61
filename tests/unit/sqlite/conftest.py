"""A database on a clock that stands still, and eyes of its own: raw connections that see what is on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.writer import Database
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(path: Path, clock: FakeClock) -> AsyncIterator[Database]:
    async with Database.open(blank(path), clock) as store:
        yield store


@pytest.fixture
def look(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the file, on a connection of its own: what has been committed, and nothing else."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    return ask
