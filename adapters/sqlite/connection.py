"""Opening the database: pragmas, recognition of foreign files, and the numbered schema upgrades.

A file is ours by its `application_id`; `user_version` is the number of the last schema file applied.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x54494D59  # "TIMY"
SCHEMA = Path(__file__).parent / "schema"
MIN_SQLITE = (3, 37, 0)  # STRICT tables


class ForeignDatabase(Broken):
    """{path} is not a database of Timmy ({why}). Move it away, or set TIMMY_DATA_DIR to another folder."""


class NewerDatabase(Broken):
    """{path} was written by a newer Timmy (schema {found}, this one knows {known}). Update Timmy, or set TIMMY_DATA_DIR."""


class OldSqlite(Broken):
    """This Python carries SQLite {found}; Timmy needs 3.37 or newer. Use a newer Python."""


def schema_files() -> list[tuple[int, Path]]:
    """The upgrades in order: (number, file)."""
    return sorted((int(path.name[:4]), path) for path in SCHEMA.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def connect(path: Path) -> sqlite3.Connection:
    """Open for writing, bringing the schema up to date. Raises `ForeignDatabase`, `NewerDatabase`, `OldSqlite`."""
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        raise OldSqlite(found=sqlite3.sqlite_version)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        _recognise(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 2000")
        connection.execute("PRAGMA temp_store = MEMORY")  # savepoints keep the pages they may restore; not in files
        _upgrade(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ForeignDatabase(path=path, why=str(error)) from error
    except Broken:
        connection.close()
        raise
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


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and mark != APPLICATION_ID:
        raise ForeignDatabase(path=path, why="another program made it")


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    files = schema_files()
    known = files[-1][0]
    if version > known:
        raise NewerDatabase(path=path, found=version, known=known)
    for number, file in files:
        if number > version:
            _apply(connection, number, file.read_text(encoding="utf-8"))


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            if re.sub(r"--.*", "", pending).strip():
                yield pending
            pending = ""
