"""Looking at the books of a data folder without its hub: read only, whether the hub runs or not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.sqlite.connection import (
    DatabaseDamaged,
    connect_reader,
    recognise,
    refusal,
    refuse_lost,
    schema_files,
)
from adapters.sqlite.unit_of_work import UnitOfWork
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    R = TypeVar("R")


class NoBook(UserError):
    """There is no book in {folder} yet. Start the hub once: timmy run"""


def check(path: Path) -> None:
    """Read every page of the database. Raises what `look` does."""

    def work(connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DatabaseDamaged(why=" ".join(str(found).split()))

    _look(path, work)


def look(path: Path, work: Callable[[UnitOfWork], R]) -> R:
    """Run `work` on a snapshot of the database.

    Raises `NoBook`, `ForeignDatabase` for what is none of ours, `NewerDatabase`, `BookGone`, `Emptied`, `CannotOpen`,
    `DatabaseDamaged`, `StoreBusy`.
    """
    return _look(path, lambda connection: work(UnitOfWork(connection)))


def _look(path: Path, work: Callable[[sqlite3.Connection], R]) -> R:
    refuse_lost(path)
    if not path.exists() and not path.is_symlink():
        raise NoBook(folder=path.parent.absolute())
    try:
        try:
            return _read(path, path, work)
        except sqlite3.OperationalError:
            if os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK):
                raise
            with _copied(path) as copy:
                return _read(copy, path, work)
    except sqlite3.Error as error:
        named = refusal(error, path)
        if isinstance(named, sqlite3.Error):
            raise DatabaseDamaged(why=str(error)) from error
        raise named from error


def _read(file: Path, path: Path, work: Callable[[sqlite3.Connection], R]) -> R:
    """Run `work` on a file that is called `path`."""
    with closing(connect_reader(file)) as connection:
        connection.execute("BEGIN")
        if not recognise(connection, path, known=schema_files()[-1][0]):
            raise NoBook(folder=path.parent.absolute())
        return work(connection)


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A database, with its log, in a folder that can be written to: SQLite shares a log through a file that it makes beside it.

    Where a hub runs that file is there, and nothing needs a copy.
    """
    with tempfile.TemporaryDirectory(prefix="timmy-") as folder:
        for file in (path, path.with_name(f"{path.name}-wal")):
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name)
        yield Path(folder) / path.name
