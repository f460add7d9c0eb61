"""The treasury's movements are counted with the books, and of books that are older than the counting."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from adapters.sqlite.connection import SCHEMA, connect, schema_files
from core.money import MAX_SATS, to_msat

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

BEFORE = 15
"""The last schema without it."""

MOST = to_msat(MAX_SATS)
ROWS = [
    ("sale", 0, 500),
    ("escrow", 0, -40),
    ("sale", 899_999, 7),
    ("sale", 900_000, 1),
    *[("sale", 1_800_000, MOST)] * 5,
]
COUNTED = [
    (-1, "escrow", 0, 40), (-1, "sale", 9 * 10**18, 0), (0, "escrow", 0, 40), (0, "sale", 507, 0), (1, "sale", 1, 0),
    (2, "sale", 9 * 10**18, 0),
]  # fmt: skip


def book(connection: sqlite3.Connection) -> None:
    """Book these rows, each against an account of the world."""
    for name, kind in (("treasury", "liability"), ("external", "asset")):
        connection.execute("INSERT INTO account (name, kind) VALUES (?, ?)", (name, kind))
    for number, (kind, at, amount) in enumerate(ROWS, 1):
        connection.execute(
            "INSERT INTO txn (id, key, request, kind, actor, reason, at, prev, hash)"
            " VALUES (?, ?, zeroblob(32), ?, 'a', 'r', ?, zeroblob(32), zeroblob(32))",
            (number, str(number), kind, at),
        )
        # The world's side is left out: its sum would be more than 63 bits hold, and nothing here reads it.
        connection.execute("UPDATE account SET posted = 0")
        connection.execute("INSERT INTO posting VALUES (?, 'treasury', ?)", (number, amount))


def counted(connection: sqlite3.Connection) -> list[tuple[int, str, int, int]]:
    return connection.execute("SELECT * FROM treasury_flow ORDER BY quarter, kind").fetchall()


def test_a_posting_is_counted_in_its_quarter_and_in_all_and_no_sum_overflows(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "hub.db")) as connection:
        book(connection)
        assert counted(connection) == COUNTED


def test_books_that_are_older_are_counted_when_they_are_opened(tmp_path: Path) -> None:
    old, path = tmp_path / "schema", tmp_path / "data" / "hub.db"
    old.mkdir()
    path.parent.mkdir()
    for number, file in schema_files(SCHEMA):
        if number <= BEFORE:
            shutil.copy(file, old)
    with closing(connect(path, old)) as connection:
        book(connection)
        connection.commit()
    with closing(connect(path)) as connection:
        assert counted(connection) == COUNTED
