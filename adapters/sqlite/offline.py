"""Looking at the books of a data folder without its hub: read only, whether the hub runs or not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.sqlite.connection import (
    DatabaseDamaged,
    connect_reader,
    recognise,
    refusal,
    refuse_emptied,
    schema_files,
)
from adapters.sqlite.unit_of_work import UnitOfWork
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    R = TypeVar("R")


class NoBook(UserError):
    """There is no book in {folder} yet. Start the hub once: timmy run"""


def look(path: Path, work: Callable[[UnitOfWork], R]) -> R:
    """Run `work` on a snapshot of the database.

    Raises `NoBook`, `ForeignDatabase` for what is none of ours, `NewerDatabase`, `Emptied`, `CannotOpen`, `DatabaseDamaged`,
    `StoreBusy`.
    """
    if not path.exists() and not path.is_symlink():
        raise NoBook(folder=path.parent)
    refuse_emptied(path)
    try:
        with closing(connect_reader(path)) as connection:
            connection.execute("BEGIN")
            if not recognise(connection, path, known=schema_files()[-1][0]):
                raise NoBook(folder=path.parent)
            return work(UnitOfWork(connection))
    except sqlite3.Error as error:
        named = refusal(error, path)
        if isinstance(named, sqlite3.Error):
            raise DatabaseDamaged(why=str(error)) from error
        raise named from error
