"""A balance is explained to its postings: each movement with the balance after it, what is held and for what, and their sums."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.statement import exact, facts, words
from core.money import MAX_SATS, to_msat
from core.wallet.ledger import TREASURY, AccountRow, Entry, Kind
from core.wallet.payment import Payment, State
from core.wallet.statement import OpenHold, explain
from tests.fakes import EPOCH
from tests.unit.wallet.small_book import ACCOUNT, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from core.wallet.statement import Movement, Statement

HASH = bytes(range(32))
PAYEE = "02" * 33


def a_payment(tx: UnitOfWork) -> None:
    """One that took a quarter of a sat more than it was allowed, and one on its way."""
    postings = ((ACCOUNT, -300_250), ("node:lnd", 300_500), ("fees:routing", -250))
    tx.ledger.append(Entry("payment:1", "payment", postings, None, OWNER, "a book\nabout books", HASH))
    hold = tx.ledger.hold(ACCOUNT, "node:lnd", 103_000, None)
    tx.payments.put(
        Payment(
            HASH[::-1], "lnbc1", ACCOUNT, PAYEE, 100_000, True, 3_000, OWNER, "console:1", "", tx.now, tx.now, 1,
            State.UNKNOWN, hold,
        )
    )  # fmt: skip
    tx.ledger.hold(ACCOUNT, "agent:eve", 1_000, None)


def of(tx: UnitOfWork, account: str, limit: int = 100, start: int | None = None) -> Statement:
    return explain(tx.statements, tx.ledger.account(account), limit, start)


async def test_every_movement_shows_the_balance_after_it_down_to_nothing(book: Database) -> None:
    await book.write(a_payment)
    found = await book.read(lambda tx: of(tx, ACCOUNT))
    assert [(one.id, one.kind, one.amount, balance) for one, balance in found.movements] == [
        (6, "payment", -300_250, 9_249_750), (5, "escrow", -390_000, 9_550_000), (3, "escrow", -60_000, 9_940_000),
        (1, "grant", 10_000_000, 10_000_000),
    ]  # fmt: skip
    assert (found.before, found.older, found.count, found.total, found.agrees) == (0, None, 4, 9_249_750, True)
    newest = found.movements[0][0]
    assert newest.others == (("fees:routing", -250), ("node:lnd", 300_500))
    assert (newest.payment, newest.key, newest.actor, newest.task) == (HASH, "payment:1", OWNER, None)
    assert [(part.kind, part.count, part.amount) for part in found.parts] == [
        ("grant", 1, 10_000_000), ("payment", 1, -300_250), ("escrow", 2, -450_000),
    ]  # fmt: skip


async def test_a_page_begins_where_the_one_before_it_ended(book: Database) -> None:
    whole = await book.read(lambda tx: of(tx, ACCOUNT))
    pages: list[tuple[Movement, int]] = []
    start: int | None = None
    for _ in range(3):
        page = await book.read(lambda tx, start=start: of(tx, ACCOUNT, 1, start))  # type: ignore[misc]
        pages += page.movements
        start = page.older
        assert page.before == pages[-1][1] - pages[-1][0].amount
        assert (page.total, page.parts, page.agrees) == (whole.total, whole.parts, True)
    assert (tuple(pages), start) == (whole.movements, None)


async def test_a_hold_says_what_it_is_for(book: Database) -> None:
    await book.write(a_payment)
    found = await book.read(lambda tx: of(tx, ACCOUNT))
    assert found.holds == (
        OpenHold(2, EPOCH, 200_000, "escrow:2", 2, None, None, "open"),
        OpenHold(5, EPOCH, 103_000, "node:lnd", None, HASH[::-1], PAYEE, "unknown"),
        OpenHold(6, EPOCH, 1_000, "agent:eve", None, None, None, None),
    )


async def test_every_account_of_a_book_agrees_with_its_postings(book: Database) -> None:
    await book.write(a_payment)
    found = await book.read(lambda tx: [of(tx, row.name) for row in tx.books.accounts()])
    assert len(found) >= 6
    assert all(one.agrees for one in found)
    assert sum(one.total for one in found) == 0


def test_what_a_kind_comes_to_has_no_bound() -> None:
    """What went through an account may be more than SQLite can add up, though what is in it never is."""

    class Busy:
        def postings(self, account: str) -> Iterable[tuple[int, str, int]]:
            assert account == ACCOUNT
            most = to_msat(MAX_SATS)
            return [(entry, "transfer", most if entry % 2 else -most) for entry in range(1, 22)]

        def movements(self, account: str, limit: int, start: int | None) -> Sequence[Movement]:
            assert (account, limit, start) == (ACCOUNT, 2, 1)
            return []

        def holds(self, account: str) -> Sequence[OpenHold]:
            assert account == ACCOUNT
            return []

    row = AccountRow(ACCOUNT, to_msat(MAX_SATS), 0, 0, Kind.LIABILITY)
    found = explain(Busy(), row, 1, 1)
    assert [part.amount for part in found.parts] == [11 * to_msat(MAX_SATS), -10 * to_msat(MAX_SATS)]
    assert (found.before, found.total, found.agrees) == (to_msat(MAX_SATS), to_msat(MAX_SATS), True)
    assert not replace(found, account=row._replace(held=1)).agrees


@pytest.mark.parametrize(
    ("msat", "said", "signed"),
    [
        (0, "0", "+0"), (1, "0.001", "+0.001"), (-1, "-0.001", "-0.001"), (1_234_000, "1,234", "+1,234"),
        (-1_999_050, "-1,999.050", "-1,999.050"),
    ],
)  # fmt: skip
def test_amounts_are_exact(msat: int, said: str, signed: str) -> None:
    assert (exact(msat), exact(msat, sign="+")) == (said, signed)


async def test_a_person_reads_why_and_where_it_goes_on(book: Database) -> None:
    await book.write(a_payment)
    found = await book.read(lambda tx: of(tx, ACCOUNT, 2))
    text = "\n".join(words(found, 2, None, simulated=True))
    for line in (
        f"{ACCOUNT} has 9,249.750 simulated sats: 8,945.750 free, 304 held",
        "payment: a book about books (by console:owner)",
        " fees:routing -0.250, node:lnd +300.500",
        f" payment {HASH.hex()}",
        "      -390      9,550  escrow T-4: price of the winning bid (by hub)",
        f"Before that it had 9,940; older movements: timmy ledger history {ACCOUNT} --limit 2 --from 3",
        "hold 2: T-2, open",
        f"hold 5: payment {HASH[::-1].hex()} to {PAYEE}, unknown",
        "hold 6: for agent:eve",
        "  -450  escrow, 2 movements",
        "  9,249.750  is the balance",
    ):
        assert line in text
    broken = replace(found, account=found.account._replace(posted=1_000))
    *_, last = words(broken, 2, None, simulated=False)
    assert "is NOT what the account shows" in last
    assert next(words(broken, 2, None, simulated=False)).startswith(f"{ACCOUNT} has 1 sat: ")


async def test_a_program_reads_whole_msat(book: Database) -> None:
    found = facts(await book.read(lambda tx: of(tx, TREASURY)), simulated=False)
    (line,) = found["history"]
    assert (line["amount_msat"], line["balance_msat"], line["task"], line["other"]) == (60_000, 60_000, 1, "escrow:1")
    assert line["others"] == [{"account": "escrow:1", "amount_msat": -60_000}]
    assert (found["sum_msat"], found["balance_msat"], found["agrees"], found["older"]) == (60_000, 60_000, True, None)


async def test_an_account_without_movements_has_nothing_to_explain(store: Database) -> None:
    found = await store.read(lambda tx: of(tx, TREASURY))
    assert list(words(found, 5, None, simulated=True)) == ["treasury has 0 simulated sats", "No movements yet"]
