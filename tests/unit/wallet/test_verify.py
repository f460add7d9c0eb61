"""`verify` finds it: one value changed anywhere in the books, one row gone, one row too many, sats left behind."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from adapters.sqlite.connection import connect
from adapters.sqlite.unit_of_work import UnitOfWork
from core.wallet.ledger import (
    GENESIS,
    TREASURY,
    AccountRow,
    Booked,
    BooksBroken,
    Entry,
    Kind,
    Proof,
    chain_hash,
    transfer,
    verify,
)
from tests.blank import blank
from tests.unit.wallet.small_book import a_small_book

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.sqlite.writer import Database

KEYS = {"txn": ("id",), "posting": ("txn", "account"), "account": ("name",), "hold": ("id",)}
COLUMNS = {
    "txn": {"id", "key", "request", "kind", "task", "payment_hash", "actor", "reason", "at", "prev", "hash"},
    "posting": {"txn", "account", "amount"},
    "account": {"name", "kind", "posted", "held", "floor"},
    "hold": {"id", "account", "target", "amount", "task", "state", "expires", "at", "hash"},
}
Value = int | str | bytes | None


@pytest.fixture
def damaged(path: Path) -> Iterator[sqlite3.Connection]:
    """The small book, opened by somebody who lets no rule of the database stop them; put back after each damage."""
    with closing(connect(blank(path))) as connection:
        tx = UnitOfWork(connection)
        tx.begin(1_750_000_000_000)
        a_small_book(tx)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        assert UnitOfWork(connection).books.prove().entries == 5
        yield connection
        assert UnitOfWork(connection).books.prove().entries == 5, "the damage was not put back"


def says_of(connection: sqlite3.Connection, sql: str, *values: Value) -> str:
    """What `verify` says when this has been done to the books."""
    connection.execute("BEGIN")
    try:
        assert connection.execute(sql, values).rowcount == 1, f"{sql} did no damage"
        with pytest.raises(BooksBroken) as caught:
            UnitOfWork(connection).books.prove()
    finally:
        connection.execute("ROLLBACK")
    return str(caught.value)


def flipped(value: Value) -> Value:
    """The value with one bit the other way; something where there was nothing."""
    match value:
        case None:
            return 1
        case int():
            return value ^ (1 << 20)
        case str():
            return chr(ord(value[0]) ^ 1) + value[1:]
        case bytes():
            return bytes([value[0], value[1] ^ 1]) + value[2:]


def rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - names from the tables above
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def at(table: str, row: dict[str, Any]) -> tuple[str, list[Any]]:
    keys = KEYS[table]
    return " AND ".join(f"{key} = ?" for key in keys), [row[key] for key in keys]


def places(table: str, row: dict[str, Any]) -> set[str]:
    """How a person would name this row."""
    match table:
        case "txn":
            return {f"entry {row['id']} "}
        case "posting":
            return {f"entry {row['txn']} "}
        case "hold":
            return {f"hold {row['id']} "}
        case _:
            return {row["name"]}


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in COLUMNS.items() for column in sorted(columns)]
)
def test_one_value_changed_in_any_row_is_found_and_named(damaged: sqlite3.Connection, table: str, column: str) -> None:
    every = rows(damaged, table)
    assert len(every) >= 4
    for row in every:
        new: Value = flipped(row[column])
        if column == "payment_hash":
            new = bytes(32)
        where, key = at(table, row)
        said = says_of(damaged, f"UPDATE {table} SET {column} = ? WHERE {where}", new, *key)  # noqa: S608
        named = places(table, row) | places(table, {**row, column: new})
        assert any(place in said for place in named), f"{said} does not name {named}"


def test_the_columns_above_are_all_there_are(damaged: sqlite3.Connection) -> None:
    for table, columns in COLUMNS.items():
        assert set(rows(damaged, table)[0]) == columns


@pytest.mark.parametrize("state", ["open", "posted", "void"])
def test_a_hold_in_another_state_is_found(damaged: sqlite3.Connection, state: str) -> None:
    for row in rows(damaged, "hold"):
        if row["state"] != state:
            assert f"hold {row['id']} " in says_of(damaged, "UPDATE hold SET state = ? WHERE id = ?", state, row["id"])


def test_two_entries_that_change_places_are_found(damaged: sqlite3.Connection) -> None:
    said = says_of(damaged, "UPDATE txn SET id = CASE id WHEN 3 THEN -3 ELSE id END WHERE id = 3")
    assert "entry 1 is missing (the next one is -3)" in said


@pytest.mark.parametrize("table", ["txn", "posting", "account"])
def test_any_row_that_is_gone_is_missed(damaged: sqlite3.Connection, table: str) -> None:
    for row in rows(damaged, table):
        where, key = at(table, row)
        said = says_of(damaged, f"DELETE FROM {table} WHERE {where}", *key)  # noqa: S608
        place = {"txn": f"entry {row.get('id')} ", "posting": f"entry {row.get('txn')} "}.get(
            table, str(row.get("name"))
        )
        assert place in said


def test_a_hold_that_is_gone_is_missed(damaged: sqlite3.Connection) -> None:
    """All but a closed one at the very end, which nothing in the books points to any more."""
    *before, last = rows(damaged, "hold")
    assert last["state"] != "open"
    for row in before:
        assert f"hold {row['id']} " in says_of(damaged, "DELETE FROM hold WHERE id = ?", row["id"])


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("INSERT INTO posting VALUES (99, 'treasury', 5)", "entry 99 "),
        ("INSERT INTO posting VALUES (0, 'treasury', 5)", "entry 0 "),
        ("INSERT INTO posting VALUES (1, 'treasury', 5)", "entry 1 "),
        ("INSERT INTO posting VALUES (2, 'user:nobody', 5)", "entry 2 "),
        ("INSERT INTO account VALUES ('user:nobody', 'liability', 5, 0, 0)", "user:nobody"),
        ("INSERT INTO account VALUES ('user:nobody', 'liability', 0, 0, 0)", "user:nobody"),
        ("INSERT INTO txn SELECT 6, 'k', request, kind, task, NULL, actor, reason, at, hash, hash FROM txn WHERE id = 5",
         "entry 6 "),
        ("INSERT INTO hold SELECT 5, account, target, amount, task, state, expires, at, hash FROM hold WHERE id = 2",
         "hold 5 "),
    ],
)  # fmt: skip
def test_a_row_too_many_is_found(damaged: sqlite3.Connection, sql: str, place: str) -> None:
    assert place in says_of(damaged, sql)


@pytest.mark.parametrize("status", ["settled", "failed", "cancelled", "expired"])
@pytest.mark.parametrize(("task", "left"), [(4, "in escrow"), (2, "held")])
def test_sats_left_behind_by_a_finished_task_are_found(
    damaged: sqlite3.Connection, status: str, task: int, left: str
) -> None:
    assert f"task T-{task} is over" in says_of(damaged, "UPDATE task SET status = ? WHERE id = ?", status, task), left


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_hold_left_open_is_found_though_its_task_forgot_it(damaged: sqlite3.Connection, forgotten: bool) -> None:
    said = says_of(
        damaged,
        "UPDATE task SET status = 'settled', hold = CASE ? WHEN 1 THEN NULL ELSE hold END WHERE id = 2",
        forgotten,
    )
    assert "task T-2 is over" in said


@pytest.mark.parametrize("task", [2, 4])
def test_sats_set_aside_for_no_task_at_all_are_found(damaged: sqlite3.Connection, task: int) -> None:
    assert f"task T-{task} is over or unknown" in says_of(damaged, "DELETE FROM task WHERE id = ?", task)


def booked(entry: Entry) -> Booked:
    """An entry as the first of a chain that somebody made anew, with every hash as it must be."""
    request = entry.request_hash()
    return Booked(1, 0, entry, request, GENESIS, chain_hash(GENESIS, 1, 0, request))


def test_a_whole_chain_is_no_proof_of_an_entry_that_makes_sats_out_of_nothing() -> None:
    entry = Entry("forged", "move", ((TREASURY, 5000),), None, "hub", "because")
    treasury = AccountRow(TREASURY, 5000, 0, 0, Kind.LIABILITY)
    with pytest.raises(BooksBroken, match="the postings of entry 1 do not sum to 0"):
        verify(iter([booked(entry)]), [treasury], [], [], [])


def test_a_whole_chain_is_no_proof_of_an_entry_that_spends_what_nobody_has() -> None:
    entry = transfer("forged", "move", "user:ann", TREASURY, 5000, task=None, actor="hub", reason="because")
    rows = [AccountRow(name, posted, 0, 0, Kind.LIABILITY) for name, posted in entry.postings]
    with pytest.raises(BooksBroken, match="user:ann is below its floor by 5 sats"):
        verify(iter([booked(entry)]), rows, [], [], [])


async def test_an_empty_book_is_in_order(store: Database) -> None:
    assert await store.read(lambda tx: tx.books.prove()) == Proof(0, 0, 0, 0, "00" * 32)


async def test_anybody_can_recompute_the_proof(book: Database) -> None:
    """The chain as it is described, computed with nothing of the hub's."""
    proof = await book.read(lambda tx: tx.books.prove())
    with closing(sqlite3.connect(book._path)) as connection:
        head = bytes(32)
        for number, key, kind, task, actor, reason, when in connection.execute(
            "SELECT id, key, kind, task, actor, reason, at FROM txn ORDER BY id"
        ).fetchall():
            postings = connection.execute(
                "SELECT account, amount FROM posting WHERE txn = ? ORDER BY account, amount", (number,)
            ).fetchall()
            asked = json.dumps([key, kind, task, actor, reason, postings, None], separators=(",", ":"))
            request = hashlib.sha256(asked.encode()).digest()
            head = hashlib.sha256(head + number.to_bytes(8, "big") + when.to_bytes(8, "big") + request).digest()
    assert proof == Proof(entries=5, postings=10, accounts=6, open_holds=1, head=head.hex())
