"""Looking at the books of a data folder without its hub: read only, whether the hub runs or not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.sqlite.connection import ForeignDatabase, connect_reader, translate
from adapters.sqlite.unit_of_work import UnitOfWork
from core.store import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    R = TypeVar("R")


def look(path: Path, work: Callable[[UnitOfWork], R]) -> R:
    """Run `work` on a snapshot of the database. Raises `ForeignDatabase` for what is none of ours, `StoreBusy`."""
    try:
        with closing(connect_reader(path)) as connection:
            connection.execute("BEGIN")
            return work(UnitOfWork(connection))
    except sqlite3.DatabaseError as error:
        if isinstance(busy := translate(error), StoreBusy):
            raise busy from error
        raise ForeignDatabase(path=path, why=str(error)) from error
