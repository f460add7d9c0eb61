"""Opening a file: what is ours is brought up to date, whole or not at all; what is not ours stays as it is, byte for byte."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.connection import (
    APPLICATION_ID,
    MIN_SQLITE,
    SCHEMA,
    BookGone,
    CannotOpen,
    DatabaseDamaged,
    Emptied,
    ForeignDatabase,
    NewerDatabase,
    UpgradeFailed,
    connect,
    connect_reader,
    schema_files,
)
from adapters.sqlite.offline import NoBook, look
from adapters.sqlite.writer import Database
from tests.depth import first
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.errors import HubError

KNOWN = schema_files()[-1][0]


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def ours(path: Path, schema: Path = SCHEMA) -> None:
    connect(path, schema).close()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


# What is not ours --------------------------------------------------------------------------------------------------


def another_program(path: Path) -> None:
    run(path, "CREATE TABLE moz_places (url TEXT)", "INSERT INTO moz_places VALUES ('about:blank')")


def another_in_wal(path: Path) -> None:
    run(path, "PRAGMA journal_mode = WAL", "CREATE TABLE moz_places (url TEXT)")


def another_still_empty(path: Path) -> None:
    run(path, "PRAGMA application_id = 77", "CREATE TABLE gone (x)", "DROP TABLE gone")


def another_with_a_version(path: Path) -> None:
    run(path, "PRAGMA user_version = 1")


def a_letter(path: Path) -> None:
    path.write_text("Dear Timmy,\n\n" + "this is a letter, and no database. " * 200)


def a_word(path: Path) -> None:
    path.write_text("hello")


def a_newer_one(path: Path) -> None:
    ours(path)
    run(path, f"PRAGMA user_version = {KNOWN + 1}", "PRAGMA journal_mode = DELETE")


def a_newer_one_in_wal(path: Path) -> None:
    ours(path)
    run(path, f"PRAGMA user_version = {KNOWN + 1}")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loose_link(path: Path) -> None:
    path.symlink_to(path.parent / "unplugged" / "hub.db")


def a_cut_one(path: Path) -> None:
    ours(path)
    path.write_bytes(path.read_bytes()[:5000])


def an_overwritten_one(path: Path) -> None:
    ours(path)
    head = path.read_bytes()[:100]
    path.write_bytes(head[:16] + b"\xff" * 40 + head[56:] + b"lost" * 5000)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    first(
        5,
        [
            (another_program, ForeignDatabase, "another program made it"),
            (another_in_wal, ForeignDatabase, "another program made it"),
            (another_still_empty, ForeignDatabase, "another program made it"),
            (another_with_a_version, ForeignDatabase, "another program made it"),
            (a_letter, ForeignDatabase, "file is not a database"),
            (a_word, ForeignDatabase, "file is not a database"),
            (a_newer_one, NewerDatabase, f"schema {KNOWN + 1}, this one knows {KNOWN}"),
            (a_newer_one_in_wal, NewerDatabase, f"schema {KNOWN + 1}, this one knows {KNOWN}"),
            (a_folder, CannotOpen, "it is a folder"),
            (a_loose_link, CannotOpen, "a link to something that is not there"),
            (a_cut_one, DatabaseDamaged, "keep a copy of the data folder"),
            (an_overwritten_one, DatabaseDamaged, "keep a copy of the data folder"),
        ],
    ),
)
async def test_what_is_not_ours_is_named_and_left_alone(
    path: Path, make: Callable[[Path], None], error: type[HubError], says: str
) -> None:
    make(path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(error, match=says) as caught:
        async with Database.open(path, FakeClock()):
            pytest.fail("it opened")
    assert error is DatabaseDamaged or str(path) in str(caught.value)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (another_program, ForeignDatabase), (a_letter, ForeignDatabase), (a_newer_one, NewerDatabase), (a_folder, CannotOpen),
        (a_loose_link, CannotOpen), (a_cut_one, DatabaseDamaged), (an_overwritten_one, DatabaseDamaged),
        (pathlib.Path.touch, NoBook),
    ],
)  # fmt: skip
def test_looking_without_the_hub_names_it_too(path: Path, make: Callable[[Path], None], error: type[HubError]) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(error):
        look(path, lambda tx: tx.books.prove())
    assert not path.is_file() or path.read_bytes() == before


@pytest.mark.parametrize(
    ("closed", "says"), [(os.R_OK, "no right to read it"), (os.W_OK, "no right to write to it")], ids=["read", "write"]
)
def test_a_file_without_the_rights_to_it_is_no_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, closed: int, says: str
) -> None:
    """As SQLite and the system answer whoever is not root: root may do everything."""
    ours(path)

    def refused(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr("adapters.sqlite.connection.os.access", lambda _, mode: not mode & closed)
    monkeypatch.setattr("adapters.sqlite.connection.sqlite3.connect", refused)
    for opening in (ours, lambda path: look(path, lambda tx: tx.books.prove())):
        with pytest.raises(CannotOpen, match=f"{path} cannot be opened: you have {says}"):
            opening(path)


@pytest.mark.parametrize("logged", [False, True])
def test_books_on_a_read_only_disk_are_read_with_their_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    """As SQLite and the system answer there; root may write everywhere."""
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO applied VALUES ('here', 'it is', 0)")
        kept = {file: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    for file in path.parent.iterdir():
        file.unlink()
    for file, content in kept.items():
        if logged or file == path:
            file.write_bytes(content)

    def reader(file: Path) -> sqlite3.Connection:
        if file == path:
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DIRECTORY
            raise error
        return connect_reader(file)

    monkeypatch.setattr("adapters.sqlite.offline.connect_reader", reader)
    monkeypatch.setattr("adapters.sqlite.offline.os.access", lambda _, mode: mode == os.R_OK)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert look(path, lambda tx: tx.applied("here")) == ("it is" if logged else None)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_an_empty_file_is_a_first_start_that_was_cut_short(path: Path) -> None:
    path.touch()
    ours(path)
    assert version(path) == KNOWN


@pytest.mark.parametrize("left", ["hub.lock", "hub.db-journal", "lost+found"])
def test_what_a_first_start_leaves_beside_it_is_no_reason_to_refuse(path: Path, left: str) -> None:
    path.touch()
    path.with_name(left).touch()
    ours(path)
    assert version(path) == KNOWN


@pytest.mark.parametrize("left", ["files", "scratch", "console_history", "hub.db-wal"])
def test_an_empty_file_where_a_hub_was_at_work_becomes_no_new_book(path: Path, left: str) -> None:
    path.touch()
    path.with_name("hub.lock").touch()
    path.with_name(left).write_bytes(b"a log, say, which SQLite would delete")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for opening in (ours, lambda path: look(path, lambda tx: tx.books.prove())):
        with pytest.raises(Emptied, match=f"{path} is empty, .*{left} is there.*Restore a backup"):
            opening(path)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("left", ["files", "node.db", "hub.db-wal", "hub.sock"])
def test_a_book_that_is_gone_where_a_hub_was_at_work_becomes_no_new_one(path: Path, left: str) -> None:
    for name in ("hub.lock", left):
        path.with_name(name).write_bytes(b"kept")
    for opening in (ours, lambda path: look(path, lambda tx: tx.books.prove())):
        with pytest.raises(
            BookGone, match=f"{path} is gone, .*{left} is there.*Put a backup back, or, to begin anew, move"
        ):
            opening(path)
    assert {file.name for file in path.parent.iterdir()} == {"hub.lock", left}


def test_a_link_to_where_a_book_was_makes_no_new_one_there(path: Path) -> None:
    """Its disk is not mounted, say, and the folder that it is mounted on is there."""
    (there := path.parent / "disk" / path.name).parent.mkdir()
    path.symlink_to(there)
    for opening in (ours, lambda path: look(path, lambda tx: tx.books.prove())):
        with pytest.raises(CannotOpen, match="it is a link to something that is not there"):
            opening(path)
        assert not there.exists()
        there.touch()
        with pytest.raises(Emptied):
            opening(path)
        assert not there.stat().st_size
        there.unlink()


@pytest.mark.long
@pytest.mark.parametrize("left", [(), ("hub.lock",), ("hub.lock", "lost+found"), ("hub.lock", ".DS_Store")])
def test_a_first_start_that_came_to_no_book_is_made_again(path: Path, left: tuple[str, ...]) -> None:
    for name in left:
        path.with_name(name).touch()
    with pytest.raises(NoBook):
        look(path, lambda tx: tx.books.prove())
    ours(path)
    assert version(path) == KNOWN


@pytest.mark.long
@pytest.mark.parametrize("size", [100, 4096, 10_000])
def test_a_file_that_lost_its_beginning_where_a_hub_was_at_work_is_damaged_and_not_foreign(
    path: Path, size: int
) -> None:
    ours(path)
    (path.parent / "files").mkdir()
    path.write_bytes(bytes(size) + path.read_bytes()[size:])
    for opening in (ours, lambda path: look(path, lambda tx: tx.books.prove())):
        with pytest.raises(DatabaseDamaged, match="restore a backup"):
            opening(path)


def test_a_new_file_is_marked_as_ours(path: Path) -> None:
    ours(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        loose = [
            name for name, strict in connection.execute("SELECT name, strict FROM pragma_table_list") if not strict
        ]
    own = {name for name in loose if not name.startswith("sqlite_")}
    assert {name for name in own if not name.startswith("fact_term")} == set(), "an index of words is as FTS5 makes it"


def test_this_sqlite_is_new_enough() -> None:
    assert sqlite3.sqlite_version_info >= MIN_SQLITE


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1 & ünïcode" / "hub.db"
    path.parent.mkdir()
    ours(path)
    with closing(connect_reader(path)) as reader:
        assert reader.execute("SELECT count(*) FROM task").fetchone() == (0,)


# Upgrades ----------------------------------------------------------------------------------------------------------

GOOD = """
-- A semicolon in a comment; and one in a trigger.
ALTER TABLE actor ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey; or gray';
CREATE TABLE shelf (one INTEGER PRIMARY KEY) STRICT;
CREATE TRIGGER shelf_is_kept BEFORE DELETE ON shelf BEGIN SELECT raise(ABORT, 'kept; for ever'); END;
INSERT INTO shelf SELECT count(*) FROM actor;
"""
BAD = "CREATE TABLE box (one INTEGER PRIMARY KEY) STRICT;\nINSERT INTO nowhere VALUES (1);\n"


@pytest.fixture
def old(path: Path) -> Path:
    """A database of the present schema, with a row in it."""
    ours(path)
    run(path, "INSERT INTO actor (id, role, since) VALUES ('telegram:1', 'member', 5)")
    return path


@pytest.fixture
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schema folder of a Timmy to come; the test adds to it."""
    folder = tmp_path_factory.mktemp("timmy") / "schema"
    shutil.copytree(SCHEMA, folder)
    return folder


def add(schema: Path, step: int, script: str) -> None:
    (schema / f"{KNOWN + step:04}_test.sql").write_text(script)


def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(old: Path, schema: Path) -> None:
    add(schema, 1, GOOD)
    with closing(connect(old, schema)) as connection:
        row = connection.execute("SELECT id, role, since, colour FROM actor").fetchone()
        assert row == ("telegram:1", "member", 5, "grey; or gray")
        assert connection.execute("SELECT one FROM shelf").fetchall() == [(1,)]
        with pytest.raises(sqlite3.IntegrityError, match="kept; for ever"):
            connection.execute("DELETE FROM shelf")
    assert version(old) == KNOWN + 1
    ours(old, schema)
    assert version(old) == KNOWN + 1


@pytest.mark.long
@pytest.mark.parametrize("good_first", [False, True])
def test_an_upgrade_that_fails_is_rolled_back_whole(old: Path, schema: Path, good_first: bool) -> None:
    if good_first:
        add(schema, 1, GOOD)
    add(schema, 2, BAD)
    with pytest.raises(UpgradeFailed, match=f"schema {KNOWN + 2} .no such table: nowhere"):
        ours(old, schema)
    assert version(old) == KNOWN
    assert not tables(old) & {"box", "shelf"}
    with closing(connect(old)) as connection:
        assert connection.execute("SELECT * FROM actor").fetchall() == [("telegram:1", "member", 5, "")]


def test_a_first_start_that_fails_can_be_started_again(path: Path, schema: Path) -> None:
    add(schema, 1, BAD)
    with pytest.raises(UpgradeFailed):
        ours(path, schema)
    assert (version(path), tables(path)) == (0, set())
    ours(path)
    assert version(path) == KNOWN


def test_the_schema_files_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in schema_files()] == list(range(1, KNOWN + 1))
