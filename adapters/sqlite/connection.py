"""Opening the database: pragmas, recognition of foreign files, and the numbered schema upgrades.

A file is ours by its `application_id`; `user_version` is the number of the last schema file applied.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Broken, HubError, Unavailable
from core.store import DiskFull, StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x54494D59  # "TIMY"
SCHEMA = Path(__file__).parent / "schema"
_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CLOSED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR})
_MAGIC = b"SQLite format 3\0"
_FIRST_START = ("", "-journal")
"""What a first start that was cut short leaves of a database, as endings of its name: the file comes before all else of it."""

_BESIDE = frozenset({"hub.lock", "lost+found", ".DS_Store"})
"""What else may lie in a folder that no hub has worked in yet (adapters/folder)."""

_MARK = slice(68, 72)
"""Where a file begins with SQLite's magic, and where its `application_id` is (sqlite.org/fileformat2, 1.3)."""

MIN_SQLITE = (3, 37, 0)  # STRICT tables


class ForeignDatabase(Broken):
    """{path} is not a database of Timmy ({why}). Move it away, or set TIMMY_DATA_DIR to another folder."""


class NewerDatabase(Broken):
    """{path} was written by a newer Timmy (schema {found}, this one knows {known}). Update Timmy, or set TIMMY_DATA_DIR."""


class Emptied(Broken):
    """{path} is empty, and its folder was used before ({found} is there). Restore a backup, or move the folder away."""


class BookGone(Broken):
    """{path} is gone, and its folder was used before ({found} is there).

    Put a backup back, or, to begin anew, move the folder away.
    """


class UpgradeFailed(Broken):
    """{path} could not be brought to schema {number} ({why}). It is as it was: use the Timmy you had before, and report this."""


class CannotOpen(Unavailable):
    """{path} cannot be opened: {why}. Nothing was changed; mend that, or set TIMMY_DATA_DIR to another folder."""


class DatabaseDamaged(Broken):
    """The database is damaged ({why}). Stop the hub, keep a copy of the data folder, and restore a backup."""


class OldSqlite(Broken):
    """This Python carries SQLite {found}; Timmy needs 3.37 or newer. Use a newer Python."""


def schema_files(folder: Path = SCHEMA) -> list[tuple[int, Path]]:
    """The upgrades in order: (number, file)."""
    return sorted((int(path.name[:4]), path) for path in folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def connect(path: Path, schema: Path = SCHEMA) -> sqlite3.Connection:
    """Open for writing, bringing the schema up to date; a file that is refused stays as it is.

    Raises `ForeignDatabase`, `NewerDatabase`, `BookGone`, `Emptied`, `UpgradeFailed`, `OldSqlite`,
    and what `refusal` makes of the file.
    """
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        raise OldSqlite(found=sqlite3.sqlite_version)
    if path.exists() and (why := _obstacle(path)):  # SQLite would open some to read, and fail at the first write
        raise CannotOpen(path=path, why=why)
    refuse_lost(path)
    files = schema_files(schema)
    with contextlib.ExitStack() as undo:
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
            undo.callback(connection.close)
            connection.execute("PRAGMA busy_timeout = 2000")
            version = recognise(connection, path, known=files[-1][0])
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(
                "PRAGMA recursive_triggers = ON"
            )  # else INSERT OR REPLACE gets round the DELETE triggers
            connection.execute("PRAGMA secure_delete = ON")  # as in most builds: what is deleted is overwritten
            connection.execute("PRAGMA temp_store = MEMORY")  # savepoints keep pages they may restore; not in files
            _upgrade(connection, path, version, files)
        except sqlite3.Error as error:
            raise refusal(error, path) from error
        undo.pop_all()
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading only."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA busy_timeout = 2000")
    return connection


def translate(error: Exception) -> Exception:
    """SQLite's errors that mean something to a person, as ours; what no future can hold as one that it can; others as they are."""
    if isinstance(error, StopIteration):
        return RuntimeError("a unit of work raised StopIteration")
    if isinstance(error, sqlite3.Error):
        if _code(error) in _DISK:
            return DiskFull(why=str(error))
        if _code(error) in _BUSY:
            return StoreBusy(why=str(error))
        if _code(error) in _DAMAGE:
            return DatabaseDamaged(why=str(error))
    return error


def refusal(error: sqlite3.Error, path: Path) -> Exception:
    """Why a file cannot be opened, from the error and from what lies there: `CannotOpen`, `ForeignDatabase`, or as `translate`."""
    if _code(error) in _CLOSED and (why := _obstacle(path)):
        return CannotOpen(path=path, why=why)
    if _code(error) == sqlite3.SQLITE_NOTADB and not _was_ours(path) and not _traces(path):
        return ForeignDatabase(path=path, why=str(error))
    return translate(error)


def refuse_lost(path: Path) -> None:
    """Raise where no byte of a book is beside what only a hub at work leaves: it would be made anew, behind a link too.

    `BookGone`, `Emptied`, or `CannotOpen` for a link to nothing.
    """
    if path.exists() and (not path.is_file() or path.stat().st_size):
        return
    if found := _traces(path):
        if path.is_symlink() and not path.exists():
            raise CannotOpen(path=path, why=_obstacle(path))
        raise (Emptied if path.exists() else BookGone)(path=path.absolute(), found=min(found))


def _traces(path: Path) -> set[str]:
    """What lies beside a database that no first start leaves, not even one that was cut short."""
    found = {file.name for file in path.parent.iterdir()} if path.parent.is_dir() else set()
    return found - _BESIDE - {path.name + end for end in _FIRST_START}


def _obstacle(path: Path) -> str | None:
    """What is in the way of a file that SQLite could not open."""
    if path.is_symlink() and not path.exists():
        return "it is a link to something that is not there"
    if path.exists() and not path.is_file():
        return "it is a folder" if path.is_dir() else "it is no file"
    if path.exists() and not os.access(path, os.R_OK):
        return "you have no right to read it"
    if path.exists() and not os.access(path, os.W_OK):
        return "you have no right to write to it, or its disk is read-only"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return "you have no right to write to its folder, or its disk is read-only"
    return None


def _was_ours(path: Path) -> bool:
    """Whether what is left of a file's beginning is that of a database of Timmy."""
    with path.open("rb") as file:
        head = file.read(_MARK.stop)
    return head.startswith(_MAGIC) and head[_MARK] == APPLICATION_ID.to_bytes(4)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def recognise(connection: sqlite3.Connection, path: Path, known: int) -> int:
    """The schema's number; 0 for a new file, which may also be one whose first start was cut short.

    Raises `ForeignDatabase` and `NewerDatabase`.
    """
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != APPLICATION_ID and (tables or mark or version):
        raise ForeignDatabase(path=path, why="another program made it")
    if version > known:
        raise NewerDatabase(path=path, found=version, known=known)
    return int(version)


def _upgrade(connection: sqlite3.Connection, path: Path, version: int, files: list[tuple[int, Path]]) -> None:
    """Apply what is missing, all or nothing: a version that no released Timmy knows is never left behind."""
    missing = [(number, file) for number, file in files if number > version]
    if not missing:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, file in missing:
            _apply(connection, path, number, file.read_text(encoding="utf-8"))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _apply(connection: sqlite3.Connection, path: Path, number: int, script: str) -> None:
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
    except sqlite3.Error as error:
        if isinstance(named := translate(error), HubError):
            raise named from error
        raise UpgradeFailed(path=path, number=number, why=str(error)) from error


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            if re.sub(r"--.*", "", pending).strip():
                yield pending
            pending = ""
