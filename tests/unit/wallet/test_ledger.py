"""The rules of the books, and that SQLite keeps them: once, in balance, above the floor, never changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import MAX_SATS, to_msat
from core.wallet import wallet
from core.wallet.ledger import (
    EXTERNAL,
    GENESIS,
    TREASURY,
    AccountRow,
    Entry,
    HoldClosed,
    HoldRow,
    HoldState,
    KeyConflict,
    Kind,
    NotEnoughSats,
    Unbalanced,
    chain_hash,
    escrow_account,
    floor_of,
    kind_of,
    not_enough,
    transfer,
    user_account,
)
from core.wallet.limits import Row
from tests.depth import depth, first
from tests.unit.wallet.small_book import ACCOUNT, OWNER, awarded, found, granted, posted, wallet_of

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

OTHER = user_account("telegram:1")


def move(sats: int, key: str = "move", source: str = ACCOUNT, target: str = OTHER) -> Entry:
    return transfer(key, "move", source, target, to_msat(sats), task=None, actor=OWNER, reason="because")


# Pure --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "kind", "floor"),
    [
        (EXTERNAL, Kind.ASSET, None),
        ("node:lnd", Kind.ASSET, None),
        (OTHER, Kind.LIABILITY, 0),
        ("agent:echo", Kind.LIABILITY, 0),
        ("peer:hub", Kind.LIABILITY, 0),
        (escrow_account(7), Kind.LIABILITY, 0),
        (TREASURY, Kind.LIABILITY, 0),
        ("fees:routing", Kind.EXPENSE, None),
        ("income:l402", Kind.INCOME, None),
        ("suspense", Kind.LIABILITY, None),
    ],
)
def test_an_account_is_of_the_kind_that_its_name_says(account: str, kind: Kind, floor: int | None) -> None:
    assert (kind_of(account), floor_of(account)) == (kind, floor)


def test_what_is_held_cannot_be_spent() -> None:
    assert AccountRow(OTHER, 100, 30, 0, Kind.LIABILITY).available == 70


def test_a_request_is_the_same_whatever_the_order_of_its_postings() -> None:
    entry = move(5)
    assert entry._replace(postings=entry.postings[::-1]).request_hash() == entry.request_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"}, {"kind": "other"}, {"task": 1}, {"actor": "other"}, {"reason": "other"}, {"payment": bytes(32)},
        {"postings": ((ACCOUNT, -4000), (OTHER, 4000))}, {"postings": ((OTHER, -5000), (ACCOUNT, 5000))},
    ],
    ids=str,
)  # fmt: skip
def test_any_other_request_has_another_hash(change: dict[str, object]) -> None:
    assert move(5)._replace(**change).request_hash() != move(5).request_hash()  # type: ignore[arg-type]


TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=6)
AMOUNT = st.integers(-(2**63), 2**63 - 1)
PERHAPS = st.none() | AMOUNT


@pytest.mark.deep
@settings(max_examples=depth(40, 3_000), deadline=None)
@given(
    TEXT, TEXT, st.lists(st.tuples(TEXT, AMOUNT)), PERHAPS, TEXT, TEXT, st.none() | st.binary(min_size=32, max_size=32)
)
def test_a_request_hash_is_that_of_its_json(  # noqa: PLR0917 - an entry has this many facts
    key: str, kind: str, postings: list[tuple[str, int]], task: int | None, actor: str, reason: str, payment: bytes | None
) -> None:  # fmt: skip
    """Books that were written with `json.dumps` verify for ever."""
    entry = Entry(key, kind, tuple(postings), task, actor, reason, payment)
    asked = [key, kind, task, actor, reason, sorted(postings), payment and payment.hex()]
    assert entry.request_hash() == hashlib.sha256(json.dumps(asked, separators=(",", ":")).encode()).digest()


@pytest.mark.deep
@settings(max_examples=depth(40, 3_000), deadline=None)
@given(st.tuples(AMOUNT, TEXT, TEXT, AMOUNT, PERHAPS, st.sampled_from(list(HoldState)), PERHAPS, AMOUNT))
def test_the_seal_of_a_hold_is_that_of_its_json(facts: Any) -> None:
    sealed = hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).digest()
    assert HoldRow(*facts).sealed() == sealed


def test_each_link_of_the_chain_depends_on_all_of_it() -> None:
    links = {
        chain_hash(GENESIS, 1, 5, bytes(32)),
        chain_hash(bytes([1, *bytes(31)]), 1, 5, bytes(32)),
        chain_hash(GENESIS, 2, 5, bytes(32)),
        chain_hash(GENESIS, 1, 6, bytes(32)),
        chain_hash(GENESIS, 1, -6, bytes(32)),
        chain_hash(GENESIS, 1, 5, bytes([*bytes(31), 1])),
    }
    assert len(links) == 6


# Booking -----------------------------------------------------------------------------------------------------------


async def test_the_same_request_again_is_the_same_entry(store: Database) -> None:
    def work(tx: UnitOfWork) -> tuple[int, int]:
        granted(tx, 100)
        return tx.ledger.append(move(5)), tx.ledger.append(move(5))

    assert await store.write(work) == (2, 2)
    assert await store.write(lambda tx: tx.ledger.append(move(5))) == 2
    assert await store.read(lambda tx: tx.ledger.account(OTHER).posted) == 5000


async def test_another_request_under_the_key_is_a_conflict(store: Database) -> None:
    await store.write(lambda tx: granted(tx, 100))
    await store.write(lambda tx: tx.ledger.append(move(5)))
    with pytest.raises(KeyConflict, match="another entry under the key move"):
        await store.write(lambda tx: tx.ledger.append(move(6)))
    assert await store.read(lambda tx: tx.ledger.account(OTHER).posted) == 5000
    assert (await store.read(lambda tx: tx.books.prove())).entries == 2


@pytest.mark.parametrize("postings", [(), ((ACCOUNT, -1000),), ((ACCOUNT, -1000), (OTHER, 999))])
async def test_what_does_not_sum_to_zero_is_not_booked(store: Database, postings: tuple[tuple[str, int], ...]) -> None:
    await store.write(lambda tx: granted(tx, 100))
    with pytest.raises(Unbalanced):
        await store.write(lambda tx: tx.ledger.append(move(1)._replace(postings=postings)))
    assert (await store.read(lambda tx: tx.books.prove())).entries == 1


async def test_nobody_spends_more_than_they_have(store: Database) -> None:
    await store.write(lambda tx: granted(tx, 100))
    with pytest.raises(NotEnoughSats, match=r"You have 100 sats free, and this needs 101 sats\. Spend less\.$"):
        await store.write(lambda tx: tx.ledger.append(move(101)))
    await store.write(lambda tx: tx.ledger.append(move(100)))
    assert await store.read(lambda tx: tx.ledger.account(ACCOUNT).available) == 0
    assert (await store.read(lambda tx: tx.books.prove())).entries == 2


async def test_who_has_no_account_has_nothing(store: Database) -> None:
    with pytest.raises(NotEnoughSats, match="You have 0 sats free, and this needs 1 sat"):
        await store.write(lambda tx: tx.ledger.append(move(1)))
    with pytest.raises(NotEnoughSats, match="You have 0 sats free, and this needs 1 sat"):
        await store.write(lambda tx: posted(tx, 1))
    assert await store.read(lambda tx: tx.ledger.account(ACCOUNT)) == AccountRow(ACCOUNT, 0, 0, 0, Kind.LIABILITY)
    assert await store.read(lambda tx: tx.books.accounts()) == []


@pytest.mark.parametrize(
    ("account", "tasks", "said"),
    [
        (ACCOUNT, False, "You have 1 sat free, and this needs 3 sats. Spend less."),
        (ACCOUNT, True, "You have 1 sat free, and this needs 3 sats. Spend less, or cancel a task that holds some."),
        ("agent:far", True, "The agent far has 1 sat free, and this needs 3 sats. Spend less."),
        (TREASURY, True, "The treasury has 1 sat free, and this needs 3 sats. Spend less."),
    ],
)
def test_a_refusal_says_who_has_too_little_and_what_can_be_done(account: str, said: str, *, tasks: bool) -> None:
    found = not_enough(account, 1_000, 3_000, tasks=tasks)
    assert str(found) == said
    assert found.with_routing(0) is found
    assert "needs 3 sats (2 sats of it for routing). " in str(found.with_routing(1_500))


async def test_what_is_held_is_neither_spent_nor_held_twice(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        granted(tx, 100)
        posted(tx, 60)

    await store.write(work)
    with pytest.raises(NotEnoughSats, match=r"You have 40 sats free, and this needs 41 sats.*, or cancel a task"):
        await store.write(lambda tx: tx.ledger.append(move(41)))
    with pytest.raises(NotEnoughSats, match="You have 40 sats free, and this needs 41 sats"):
        await store.write(lambda tx: posted(tx, 41))
    await store.write(lambda tx: posted(tx, 40))
    assert await wallet_of(store).balance(ACCOUNT) == wallet.Balance(100_000, 100_000, 0, simulated=True)


async def test_a_balance_tells_apart_what_is_held_for_payments(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        granted(tx, 100)
        posted(tx, 60)
        kept = tx.ledger.hold(ACCOUNT, "node:simulated", to_msat(7), None)
        tx.ledger.hold(ACCOUNT, "node:simulated", to_msat(5), None)
        tx.ledger.close_hold(kept, HoldState.VOID)

    await store.write(work)
    found = await wallet_of(store).balance(ACCOUNT)
    assert (found.held, found.payments) == (to_msat(65), to_msat(5))


async def test_all_the_sats_there_will_ever_be_fit(store: Database) -> None:
    def work(tx: UnitOfWork) -> None:
        granted(tx, MAX_SATS)
        number = posted(tx, MAX_SATS)
        awarded(tx, number, MAX_SATS)

    await store.write(work)
    assert await store.read(lambda tx: tx.ledger.account(escrow_account(1)).posted) == 2_100_000_000_000_000_000
    assert await store.read(lambda tx: tx.ledger.account(ACCOUNT)) == AccountRow(ACCOUNT, 0, 0, 0, Kind.LIABILITY)
    assert (await store.read(lambda tx: tx.books.prove())).entries == 2


@pytest.mark.parametrize("first", [HoldState.POSTED, HoldState.VOID])
@pytest.mark.parametrize("second", [HoldState.POSTED, HoldState.VOID])
async def test_a_hold_closes_once(store: Database, first: HoldState, second: HoldState) -> None:
    def work(tx: UnitOfWork) -> int:
        granted(tx, 100)
        return found(tx, posted(tx, 60)).hold or 0

    hold = await store.write(work)
    assert await store.write(lambda tx: tx.ledger.close_hold(hold, first)) == 60_000
    with pytest.raises(HoldClosed, match=f"The hold {hold} was closed before"):
        await store.write(lambda tx: tx.ledger.close_hold(hold, second))
    assert await store.read(lambda tx: tx.ledger.account(ACCOUNT)) == AccountRow(ACCOUNT, 100_000, 0, 0, Kind.LIABILITY)


async def test_a_budget_is_held_again_as_far_as_it_is_left(store: Database) -> None:
    def work(tx: UnitOfWork) -> tuple[int, int]:
        granted(tx, 100)
        awarded(tx, posted(tx, 100), 30)
        tx.ledger.append(move(50))
        wallet.refund(tx, account=ACCOUNT, task=1, attempt=1, price=30_000, actor="hub", why="it failed")
        return wallet.hold_again(tx, account=ACCOUNT, task=1, attempt=2, budget=100_000)

    assert await store.write(work) == (2, 50_000)


async def test_what_comes_back_of_a_task_counts_towards_no_limit_any_more(store: Database) -> None:
    def counted(tx: UnitOfWork) -> int:
        return tx.limits.total(Row(ACCOUNT, ""), 0)

    def work(tx: UnitOfWork) -> list[int]:
        granted(tx, 200)
        seen = [counted(tx)]
        number = posted(tx, 100)
        seen.append(counted(tx))
        awarded(tx, number, 30)
        seen.append(counted(tx))
        wallet.refund(tx, account=ACCOUNT, task=number, attempt=1, price=30_000, actor="hub", why="it failed")
        seen.append(counted(tx))
        hold, _ = wallet.hold_again(tx, account=ACCOUNT, task=number, attempt=2, budget=100_000)
        seen.append(counted(tx))
        wallet.release(tx, task=number, attempt=2, hold=hold)
        return [*seen, counted(tx)]

    assert await store.write(work) == [0, 100_000, 30_000, 0, 100_000, 0]


# What SQLite itself refuses, whoever asks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "says"),
    first(
        10,
        [
            ("UPDATE txn SET reason = 'other' WHERE id = 1", "a booked entry never changes"),
            ("UPDATE txn SET id = id + 100", "a booked entry never changes"),
            ("DELETE FROM txn WHERE id = 1", "a booked entry is never deleted"),
            ("INSERT OR REPLACE INTO txn SELECT * FROM txn WHERE id = 1", "a booked entry is never deleted"),
            ("UPDATE posting SET amount = amount + 1", "a posting never changes"),
            ("DELETE FROM posting", "a posting is never deleted"),
            ("INSERT OR REPLACE INTO posting SELECT * FROM posting WHERE txn = 1", "a posting is never deleted"),
            ("UPDATE hold SET state = 'void' WHERE state = 'posted'", "a hold closes once"),
            ("UPDATE hold SET state = 'posted' WHERE state = 'void'", "a hold closes once"),
            ("UPDATE hold SET state = 'open' WHERE state = 'void'", "a hold closes once"),
            ("UPDATE hold SET state = 'void', amount = 1 WHERE state = 'open'", "changes in nothing else"),
            ("UPDATE hold SET state = 'void', target = 'treasury' WHERE state = 'open'", "changes in nothing else"),
            ("UPDATE hold SET state = 'void', task = NULL WHERE state = 'open'", "changes in nothing else"),
            ("UPDATE hold SET amount = 1 WHERE state = 'open'", "a hold closes once"),
            ("DELETE FROM hold", "a hold is never deleted"),
            ("INSERT OR REPLACE INTO hold SELECT * FROM hold WHERE id = 1", "a hold is never deleted"),
            ("INSERT INTO posting VALUES (1, 'treasury', 0)", "CHECK constraint failed: amount <> 0"),
            ("INSERT INTO posting VALUES (99, 'treasury', 1)", "FOREIGN KEY"),
            ("INSERT INTO posting VALUES (1, 'treasury', -60001)", "account_floor"),
            ("UPDATE account SET held = posted + 1 WHERE name = 'treasury'", "account_floor"),
            ("DELETE FROM account WHERE name = 'treasury'", "FOREIGN KEY"),
            ("INSERT INTO book VALUES (2, 'regtest', '02aa', 0)", "CHECK constraint failed: one = 1"),
        ],
    ),
)
async def test_the_database_refuses(book: Database, statement: str, says: str) -> None:
    before = await book.read(lambda tx: tx.books.prove())
    with pytest.raises(sqlite3.IntegrityError, match=says):
        await book.write(lambda tx: tx._connection.execute(statement))
    assert await book.read(lambda tx: tx.books.prove()) == before


async def test_the_triggers_hold_against_any_program(book: Database, path: Path) -> None:
    with closing(sqlite3.connect(path)) as stranger, pytest.raises(sqlite3.IntegrityError, match="never changes"):
        stranger.execute("UPDATE txn SET reason = 'other'")


# Reading -----------------------------------------------------------------------------------------------------------


async def test_history_is_newest_first_and_names_the_other_side(book: Database) -> None:
    lines = await wallet_of(book).history(ACCOUNT, 2)
    assert [(line.kind, line.amount, line.task, line.other) for line in lines] == [
        ("escrow", -390_000, 4, escrow_account(4)),
        ("escrow", -60_000, 1, escrow_account(1)),
    ]
    assert len(await wallet_of(book).history(ACCOUNT, 100)) == 3


async def test_accounts_leave_out_finished_escrows(book: Database) -> None:
    rows = {row.name: (row.posted, row.held) for row in await book.read(lambda tx: tx.books.accounts())}
    assert rows == {
        EXTERNAL: (-10_050_000, 0), ACCOUNT: (9_550_000, 200_000), OTHER: (50_000, 0), TREASURY: (60_000, 0),
        escrow_account(4): (390_000, 0),
    }  # fmt: skip


# Grants ------------------------------------------------------------------------------------------------------------


async def test_a_simulated_book_grants_once(store: Database) -> None:
    book = wallet_of(store)
    assert await book.grant(OWNER, 5000)
    assert not await book.grant(OWNER, 5000)
    assert not await book.grant(OWNER, 7000)
    assert (await book.balance(ACCOUNT)).posted == 5000


async def test_a_grant_of_nothing_is_a_grant_too(store: Database) -> None:
    book = wallet_of(store)
    assert await book.grant(OWNER, 0)
    assert not await book.grant(OWNER, 5000)
    assert (await book.balance(ACCOUNT)).posted == 0


async def test_a_real_book_grants_nothing(store: Database) -> None:
    book = wallet_of(store, simulated=False)
    assert not await book.grant(OWNER, 5000)
    assert (await store.read(lambda tx: tx.books.prove())).entries == 0
