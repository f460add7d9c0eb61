"""The daily report: what moved by kind, when there is something to tell, and from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from adapters.sqlite.writer import Database
from core.money import to_msat
from core.treasury.policy import turnover
from core.treasury.report import Moves, Posting, Report, Span, due, gather, moves, used_up
from core.wallet.ledger import TREASURY, BooksBroken, Proof, transfer
from core.wallet.limits import DAY, HOUR, Freeze, Standing
from core.wallet.reconcile import Comparison
from tests.blank import blank
from tests.fakes import EPOCH, FakeClock
from tests.unit.wallet.small_book import a_small_book

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UTC_ZONE = ZoneInfo("UTC")
EIGHT = 1_749_974_400_000
"""2025-06-15 at 8 o'clock UTC, Unix ms; a fake clock begins seven hours later."""

NODE = "node:simulated"
SAME = Comparison(EPOCH, 5, 0, 5)
QUIET = Report(
    Span("2025-06-15", EIGHT - DAY, EIGHT), Moves({}, {}, {}), turnover({}), 0, (0, 0), (0, 0), SAME, Proof(1, 2, 3, 0, "aa"), [],
    None,
)  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Database]:
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        yield store


def test_what_came_in_went_out_and_moved_inside_by_kind() -> None:
    entries = [
        ("opening", [(NODE, -1000), ("external", 1000)]), ("grant", [("external", -10), ("user:a", 10)]),
        ("invoice", [(NODE, -500), ("user:a", 500)]), ("invoice", [(NODE, -300), ("income:l402", 300)]),
        ("sale", [("income:l402", -300), ("treasury", 300)]), ("invoice", [(NODE, -7), ("suspense", 7)]),
        ("payment", [("user:a", -101), (NODE, 105), ("fees:routing", -4)]), ("reconcile", [(NODE, 3), ("suspense", -3)]),
        ("escrow", [("user:a", -40), ("escrow:1", 40)]), ("settle", [("escrow:1", -40), ("treasury", 40)]),
        ("transfer", [("user:a", -60), ("user:b", 60)]), ("transfer", [("user:a", -5), ("user:b", 5)]),
    ]  # fmt: skip
    postings = [
        Posting(number, kind, account, amount)
        for number, (kind, rows) in enumerate(entries)
        for account, amount in rows
    ]
    assert moves(postings) == Moves(
        {"invoice": 500, "sale": 300, "suspense": 7}, {"payment": 105, "suspense": 3}, {"settle": 40, "transfer": 65}
    )
    assert moves([]) == Moves({}, {}, {})


def test_what_the_node_holds_came_in_once_it_was_taken() -> None:
    at_node, kept = "node:held:simulated", "held:1:user"
    entries = [
        ("held", [(at_node, -200), (kept, 200)]), ("held", [(at_node, -90), ("held:2:user", 90)]),
        ("escrow", [(kept, -40), ("escrow:1", 40)]), ("settle", [("escrow:1", -40), ("treasury", 40)]),
        ("given back", [("held:2:user", -90), (at_node, 90)]), ("taken", [(NODE, -200), (at_node, 200)]),
        ("rest", [(kept, -160), ("user:a", 160)]), ("held", [(at_node, -50), ("held:3:user", 50)]),
        ("lost", [(at_node, 50), ("suspense", -40), ("held:3:user", -10)]),
    ]  # fmt: skip
    postings = [Posting(number, kind, *row) for number, (kind, rows) in enumerate(entries) for row in rows]
    assert moves(postings) == Moves({"taken": 200}, {}, {"settle": 40, "lost": 50})


@pytest.mark.parametrize(
    ("changes", "worth", "wrong"),
    [
        ({}, False, False),
        ({"moves": Moves({}, {}, {"transfer": 5})}, True, False),
        ({"node": "the node is down"}, True, True),
        ({"node": SAME._replace(node=6)}, True, True),
        ({"node": SAME._replace(node=6, booked=True)}, False, False),
        ({"books": "entry 5 is missing"}, True, True),
        ({"books": None, "holds": (3, 5000)}, False, False),
        ({"late": (1, 303_000)}, True, True),
        ({"used_up": [Standing("day", 100, DAY, {"task": 95})]}, True, True),
        ({"freeze": Freeze(0, "console:owner")}, True, True),
    ],
)
def test_a_report_is_told_where_something_moved_or_is_wrong(
    changes: dict[str, Any], *, worth: bool, wrong: bool
) -> None:
    found = QUIET._replace(**changes)
    assert (found.worth_telling, found.wrong) == (worth, wrong)


@pytest.mark.parametrize(
    ("one", "used"),
    [
        (Standing("day", 100, DAY, {"task": 90}), True), (Standing("day", 100, DAY, {"task": 89}), False),
        (Standing("hour", 100, HOUR, {"task": 100}), False), (Standing("day", None, DAY, {"task": 100}), False),
    ],
)  # fmt: skip
def test_a_limit_of_a_day_counts_as_used_from_nine_tenths_on(one: Standing, *, used: bool) -> None:
    assert used_up(one) is used


async def test_each_day_is_due_once_and_no_time_is_left_out(store: Database, clock: FakeClock) -> None:
    async def is_due() -> Span | None:
        return await store.read(lambda tx: due(tx, UTC_ZONE))

    clock.advance(DAY)
    assert await is_due() is None, "there are no books yet"
    opened = clock.now()
    await store.write(lambda tx: tx.books.found("simulated", "n", tx.now))
    assert await is_due() is None, "they are younger than 8 o'clock"
    clock.advance(3 * DAY)
    span = await is_due()
    assert span == Span("2025-06-19", opened, EIGHT + 4 * DAY)
    await store.write(lambda tx: tx.reports.done(span))
    assert await is_due() is None
    clock.advance(DAY)
    assert await is_due() == Span("2025-06-20", EIGHT + 4 * DAY, EIGHT + 5 * DAY)
    await store.write(lambda tx: tx.reports.done(Span("2025-06-21", 0, EIGHT + 6 * DAY)))
    assert await is_due() is None, "a clock that was put back reports nothing twice"
    await store.write(lambda tx: tx.reports.done(Span("2026-06-20", 0, EIGHT + 370 * DAY)))
    assert await is_due() == Span("2025-06-20", EIGHT + 4 * DAY, EIGHT + 5 * DAY), (
        "nor is one that ran ahead silent after it"
    )


async def test_each_entry_is_in_one_report_although_the_clock_was_put_back_and_ran_ahead(
    store: Database, clock: FakeClock
) -> None:
    booked: list[int] = []
    told: list[int] = []

    async def book() -> None:
        amount = 1000 + len(booked)
        booked.append(amount)
        entry = transfer(f"k{amount}", "transfer", "external", TREASURY, amount, task=None, actor="a", reason="r")
        await store.write(lambda tx: tx.ledger.append(entry))

    async def report() -> None:
        while (span := await store.read(lambda tx: due(tx, UTC_ZONE))) is not None:
            found = await store.read_apart(lambda tx, one=span: gather(tx, one, SAME))  # type: ignore[misc]
            assert found.treasury.earnings == sum(found.moves.came_in.values())
            told.append(found.treasury.earnings)
            await store.write(lambda tx, one=span: tx.reports.done(one))  # type: ignore[misc]

    await store.write(lambda tx: tx.books.found("simulated", "n", tx.now))
    for jump in (0, DAY, -HOUR, 20 * HOUR, -2 * DAY, HOUR, 3 * DAY, 40 * DAY, -40 * DAY, DAY, DAY, 0, DAY):
        clock.set_back(-jump) if jump < 0 else clock.advance(jump)
        await book()
        await report()
    clock.advance(DAY)
    await report()
    assert sum(told) == sum(booked)
    assert len(told) >= 4


async def test_it_is_gathered_from_the_books(
    store: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(a_small_book)
    count = await store.read(lambda tx: tx.reports.entries())
    span = Span("2025-06-16", EPOCH, EPOCH + DAY, 0, count)
    found = await store.read_apart(lambda tx: gather(tx, span, SAME))
    assert isinstance(found.books, Proof)
    assert found.moves.inside["settle"] == found.treasury.earned["agents"] == found.balance > 0
    assert found.holds[0] == found.books.open_holds > 0
    later = await store.read_apart(
        lambda tx: gather(tx, Span("later", EPOCH + DAY, EPOCH + 2 * DAY, count, count), SAME)
    )
    assert (later.moves, later.treasury) == (Moves({}, {}, {}), turnover({}))
    monkeypatch.setattr("core.treasury.report.MOST_ENTRIES", 1)
    assert (await store.read_apart(lambda tx: gather(tx, span, SAME))).books is None

    def prove(_: object) -> Proof:
        raise BooksBroken(why="entry 5 is missing")

    monkeypatch.undo()
    monkeypatch.setattr("adapters.sqlite.ledger_store.BookRows.prove", prove)
    broken = await store.read_apart(lambda tx: gather(tx, span, SAME))
    assert "entry 5 is missing" in str(broken.books)
    assert broken.wrong


async def test_what_the_treasury_moves_is_counted_by_quarters_and_in_all(store: Database, clock: FakeClock) -> None:
    await store.write(a_small_book)
    earned = (await store.read(lambda tx: tx.ledger.account("treasury"))).posted
    assert earned >= to_msat(1)

    def both(tx: Any) -> tuple[int, int]:
        return turnover(tx.flows.between(tx.now - DAY)).earnings, turnover(tx.flows.whole()).earnings

    assert await store.read(both) == (earned, earned)
    clock.advance(DAY + 900_000)
    assert await store.read(both) == (0, earned)
    assert await store.read(lambda tx: tx.reports.entries()) > 1
