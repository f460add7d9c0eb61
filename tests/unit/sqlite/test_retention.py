"""What is forgotten, and when; and what never is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import Nursery
from adapters.sqlite.retention import DAY, LIVES, UNPAID, Retention
from adapters.sqlite.surface_store import STRETCHES
from adapters.sqlite.unit_of_work import UnitOfWork
from core.agent.session import Turn
from core.chat import Inbound
from tests.depth import first
from tests.fakes import turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from adapters.sqlite.writer import Database
    from tests.fakes import FakeClock

    Look = Callable[[str], list[tuple[Any, ...]]]

HOUR = 3_600_000
KEPT = {
    "book", "account", "txn", "posting", "hold", "task", "bid", "agent", "crew", "reputation", "sync", "file", "cursor", "actor",
    "conversation", "moved", "latch", "pin", "opened_before", "link", "payment", "payment_before", "settlement", "limit_rule",
    "freeze", "treasury_flow", "daily_report", "container", "container_mark", "forecast", "spark_field", "spark_advice",
    "memory", "fact_term", "fact_term_data", "fact_term_idx", "fact_term_config", "embedding", "fact_code", "fact_vector",
    "mcp_tool",
    "held_notice", "absent",
}  # fmt: skip
"""The books, the work, and who is who: for ever."""

INBOUND = "INSERT INTO inbound (surface, account, update_id, conversation, actor, private, text, at, done) VALUES "
OUTGOING = "INSERT INTO outgoing (surface, conversation, body, state, at) VALUES "
APPROVAL = (
    "INSERT INTO approval (kind, action, digest, words, asked_by, conversation, approvers, needs, created_at, expires_at, state,"
    " decided_at, outcome) VALUES ('k', 'a', 'd', 'w', 'a:1', 'c', '[]', 'owner', :at, :at, "
)
INVOICE = (
    "INSERT INTO invoice (payment_hash, bolt11, account, amount, memo, actor, conversation, expires_at, at, state, received)"
    " VALUES (randomblob(32), 'ln', 'user:a', 1000, '', 'a', 'c', :at, :at, "
)
HOLD = (
    "INSERT INTO hold_invoice (payment_hash, preimage, backend, requester, payer, conversation, facts, amount, expires_at, at,"
    " bolt11, received, held_until, why, task, state, ended_at)"
    " VALUES (randomblob(32), zeroblob(32), 'b', 'a', 'a', 'c', '{}', 1, 0, :at, 'ln', "
)
RECON = "INSERT INTO recon (at, node, in_flight, books) VALUES (:at, 1, 0, 1)"
PURCHASE = (
    "INSERT INTO purchase (key, account, url, site, origin, scope, scheme, token, invoice, payment_hash, amount, expires_at, at,"
    " state, preimage) VALUES ('k', 'a', 'u', 'u', 'o', 's', 'L402', 't', 'ln', zeroblob(32), 1, 0, :at, "
)
NEWEST = {
    "outgoing": OUTGOING + "('s', 'c', '{}', 'queued', 9e15)",
    "approval": APPROVAL + "'done', 9e15, '')",
    "recon": RECON.replace(":at", "9000000000000000"),
}
"""A row that is younger than any test, where the newest stays."""

EVENT = "INSERT INTO event (kind, at, data) VALUES ('BookOpened', :at, '{}')"

TASK = (
    "INSERT INTO task VALUES (1, 'a', 'user:a', 'c', 'd', 'settled', 1, NULL, 'auto', NULL, 1, 1, :at, :at, NULL, 'echo',"
    " 1, NULL, NULL, NULL, 'r', NULL, '', NULL, :at, NULL, '', NULL, 0, NULL)"
)

BUNDLE = "INSERT INTO l402_bundle VALUES (zeroblob(32), zeroblob(32), 's', 1, 1, :at, '/', 'c', 'lnbcrt1', :at, "

FACT = (
    "INSERT INTO fact (memory, text, terms, said_by, at, conversation, cause, how, forgotten_at, batch)"
    " VALUES (1, 't', 't', 'a:1', :at, 'c', 'k', 'written', "
)
SCHEDULE = (
    "INSERT INTO schedule (actor, conversation, private, called, said, what, words, rule, zone, state, why, made_at, due, ended_at)"
    " VALUES ('a:1', 'c', 1, '', 'every day', 'command', '/status', '[]', 'UTC', "
)

# what it is, how it is written at the time :at, and for how many days it is kept (None: for ever)
ROWS: list[tuple[str, str, str, int | None]] = [
    ("inbound", "dealt with", INBOUND + "('s', 'a', :at, 'c', 'a:1', 1, 't', :at, 1)", 30),
    ("inbound", "not yet dealt with", INBOUND + "('s', 'a', :at, 'c', 'a:1', 1, 't', :at, 0)", None),
    ("outgoing", "sent", OUTGOING + "('s', 'c', '{}', 'sent', :at)", 30),
    ("outgoing", "given up", OUTGOING + "('s', 'c', '{}', 'dead', :at)", 30),
    ("outgoing", "never sent", OUTGOING + "('s', 'c', '{}', 'queued', :at)", 90),
    ("applied", "a command's key", "INSERT INTO applied VALUES ('k' || :at, '', :at)", 30),
    ("dead_letter", "", "INSERT INTO dead_letter (handler, event, error, at) VALUES ('notify', 1, 'e', :at)", 90),
    ("step", "", "INSERT INTO step VALUES ('k' || :at, 0, '', '[]', :at)", 365),
    ("turn", "", "INSERT INTO turn (conversation, role, text, cause, at) VALUES ('c', 'user', 't', :at, :at)", 365),
    ("pairing", "over", "INSERT INTO pairing VALUES (:at, 'telegram:1', 'Ann', 'telegram:1', :at)", 1),
    ("link_code", "over", "INSERT INTO link_code VALUES (:at, 'telegram:1', :at)", 1),
    ("pairing_failure", "", "INSERT INTO pairing_failure VALUES ('telegram:1', :at, 'pair')", 1),
    ("link_wish", "over", "INSERT INTO link_wish VALUES (:at, 'telegram:1', 'telegram:2', :at)", 1),
    ("shortcut_job", "", "INSERT INTO shortcut_job VALUES (:at, 't', :at, 'r', 'console:owner', 'w', :at)", 30),
    ("purchase", "never paid for", PURCHASE + "'challenged', NULL)", 365),
    ("purchase", "used up", PURCHASE + "'spent', zeroblob(32))", 365),
    ("purchase", "good for more", PURCHASE + "'used', zeroblob(32))", None),
    ("purchase", "paid in vain", PURCHASE + "'unserved', zeroblob(32))", 365),
    ("purchase", "not known to be paid", PURCHASE + "'paying', NULL)", None),
    ("l402_bundle", "not paid", BUNDLE + "NULL)", 1),
    ("l402_bundle", "over", BUNDLE + ":at)", 365),
    ("page_session", "over", "INSERT INTO page_session VALUES (:at, :at)", 1),
    ("spark_read", "", "INSERT INTO spark_read VALUES ('c' || :at, 1, :at, '[]')", 365),
    ("summary", "", "INSERT INTO summary VALUES ('c', 't', 1, '', 0, :at)", 365),
    ("fact", "forgotten", FACT + ":at, 'k')", 1),
    ("fact", "known", FACT + "NULL, NULL)", None),
    ("schedule", "ended", SCHEDULE + "'ended', '', 0, NULL, :at)", 90),
    ("schedule", "active", SCHEDULE + "'active', '', 0, :at, NULL)", None),
    ("briefing", "", "INSERT INTO briefing VALUES ('c' || :at, :at, 1, 1)", 365),
    ("token", "revoked", "INSERT INTO token VALUES (:at, 'read', 'r' || :at, NULL, NULL, 0, :at)", 365),
    ("token", "in use", "INSERT INTO token VALUES (:at, 'read', 'r' || :at, NULL, NULL, :at, NULL)", None),
    ("invoice", "never paid", INVOICE + "'open', 0)", 30),
    ("invoice", "offered to a stranger", INVOICE.replace("user:a", "income:l402") + "'open', 0)", 1),
    ("invoice", "paid", INVOICE + "'settled', 1000)", None),
    ("hold_invoice", "lapsed", HOLD + "0, 0, '', NULL, 'given', :at)", 30),
    ("hold_invoice", "waiting", HOLD + "0, 0, '', NULL, 'open', NULL)", None),
    ("hold_invoice", "its task was paid", HOLD + "1, 9, '', :at, 'taken', :at)", None),
    ("recon", "", RECON, 365),
    ("task", "over", TASK, None),
    ("approval", "settled", APPROVAL + "'denied', :at, '')", 365),
    ("approval", "open", APPROVAL + "'open', NULL, '')", None),
]  # fmt: skip


@pytest.fixture
def put(path: Path) -> Callable[[str, int], None]:
    def put(sql: str, at: int) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(sql, {"at": at})

    return put


@pytest.mark.parametrize("row", first(8, ((row,) for row in ROWS)), ids=[f"{row[0]} {row[1]}".strip() for row in ROWS])
async def test_a_row_lives_as_long_as_the_table_says(
    store: Database,
    clock: FakeClock,
    look: Look,
    put: Callable[[str, int], None],
    row: tuple[str, str, str, int | None],
) -> None:
    table, _, sql, days = row
    put(sql, clock.now())
    if newest := NEWEST.get(table):
        put(newest, 0)
    retention = Retention(store, clock)
    clock.advance((days or 10_000) * DAY)
    assert await retention.sweep() == 0
    clock.advance(1)
    assert await retention.sweep() == (days is not None)
    assert look(f"SELECT count(*) FROM {table}") == [(int(days is None) + bool(newest),)]  # noqa: S608 - a name from the list above


async def test_no_invoice_is_forgotten_while_the_node_may_still_have_to_tell_that_it_was_paid(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    for account in ("user:a", "income:l402"):
        put(INVOICE.replace("user:a", account) + "'open', 0)", clock.now())
    told = False
    retention = Retention(store, clock, lambda: told)
    clock.advance(400 * DAY)
    assert await retention.sweep() == 0, "the node was away since"
    told = True
    assert await retention.sweep() == 2
    assert look("SELECT count(*) FROM invoice") == [(0,)]


async def test_a_thread_lives_as_long_as_its_task_and_a_while_longer(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    put(TASK, clock.now())
    put("INSERT INTO thread VALUES (1, 'c/$root' || :at), (2, 'of no end')", 0)
    retention = Retention(store, clock)
    clock.advance(90 * DAY)
    assert await retention.sweep() == 0
    clock.advance(1)
    assert await retention.sweep() == 1
    assert look("SELECT task FROM thread") == [(2,)]


async def test_the_calls_of_a_bundle_live_as_long_as_it(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    put(BUNDLE + ":at)", clock.now())
    put("INSERT INTO l402_call VALUES (zeroblob(32), 'k', 'r', 'used', 1, NULL, 0)", 0)
    clock.advance(365 * DAY)
    assert await Retention(store, clock).sweep() == 0
    clock.advance(1)
    assert await Retention(store, clock).sweep() == 2
    assert look("SELECT count(*) FROM l402_call") == [(0,)]


@pytest.mark.parametrize("table", ["outgoing", "approval"])
async def test_no_number_is_given_twice(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None], table: str
) -> None:
    sql = OUTGOING + "('s', 'c', '{}', 'sent', :at)" if table == "outgoing" else APPROVAL + "'done', :at, '')"
    for _ in range(3):
        put(sql, clock.now())
    clock.advance(1_000 * DAY)
    assert await Retention(store, clock).sweep() == 2
    put(sql, clock.now())
    assert look(f"SELECT id FROM {table}") == [(3,), (4,)]  # noqa: S608 - a name from the list above


async def test_the_questions_of_an_approval_live_as_long_as_it(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    put(APPROVAL + "'done', :at, '')", clock.now())
    put(NEWEST["approval"], 0)
    put("INSERT INTO approval_question VALUES (1, 7 + 0 * :at), (2, 8)", 0)
    clock.advance(366 * DAY)
    assert await Retention(store, clock).sweep() == 2
    assert look("SELECT approval, outgoing FROM approval_question") == [(2, 8)]


async def test_the_runs_of_a_schedule_live_for_90_days_or_as_long_as_it(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    for number, state in enumerate(("done", "running"), 1):
        put(SCHEDULE + "'active', '', 0, :at, NULL)", clock.now())
        put(f"INSERT INTO schedule_run VALUES ({number}, 1, '{state}', :at, 0, 0)", clock.now())  # noqa: S608 - numbers
    clock.advance(90 * DAY)
    await Retention(store, clock).sweep()
    assert look("SELECT count(*) FROM schedule_run") == [(2,)]
    clock.advance(1)
    await Retention(store, clock).sweep()
    assert look("SELECT state FROM schedule_run") == [("running",)]
    put("UPDATE schedule SET state = 'ended', ended_at = :at", clock.now() - 91 * DAY)
    await Retention(store, clock).sweep()
    assert look("SELECT state FROM schedule_run") == []


async def test_what_somebody_set_up_lives_as_long_as_their_role_and_90_days(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    for sql in (
        "INSERT INTO notice_wish VALUES ('tasks', 'a:1', 'a:1', 1, :at)",
        "INSERT INTO quiet_hours VALUES ('a:1', 1, 2, '' || substr(:at, 1, 0))",
        SCHEDULE + "'active', '', 0, :at, NULL)", SCHEDULE + "'paused', '', 0, :at, NULL)",
    ):  # fmt: skip
        put(sql, clock.now())
    here = {"a:1"}
    wishes: list[int] = []

    async def forgot() -> None:
        wishes.append(len(await store.read(lambda tx: [*tx.notices.wishes(), *tx.notices.hours()])))

    retention = Retention(store, clock, knows=lambda _, actor: actor in here, forgot=forgot)
    assert await retention.sweep() == 0
    for _ in range(2):
        here ^= {"a:1"}
        clock.advance(89 * DAY)
        assert await retention.sweep() == 0
        assert look("SELECT count(*) FROM absent") == [(len({"a:1"} - here),)]
    here.clear()
    assert await retention.sweep() == 0
    clock.advance(90 * DAY)
    assert await retention.sweep() == 0
    assert wishes == []
    clock.advance(1)
    assert await retention.sweep() == 4
    assert await retention.sweep() == 0
    assert wishes == [0], "whoever holds them in memory reads them once all are gone"
    assert look("SELECT actor FROM absent") == []


async def test_many_rows_are_forgotten_part_by_part_and_what_has_changed_since_it_was_looked_at_stays(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(INVOICE + f"'open', 0 * {number})", clock.now())
    monkeypatch.setattr("adapters.sqlite.retention.PART", 2)
    parts: list[int] = []
    forget = UnitOfWork.forget

    def forgetting(tx: UnitOfWork, table: str, where: str, before: int, keys: list[tuple[object, ...]]) -> int:
        if not parts:  # it was late, but it was paid
            tx._connection.execute(
                "UPDATE invoice SET state = 'settled', received = 1000 WHERE payment_hash = ?", keys[0]
            )
        parts.append(forget(tx, table, where, before, keys))
        return parts[-1]

    monkeypatch.setattr(UnitOfWork, "forget", forgetting)
    clock.advance(31 * DAY)
    assert await Retention(store, clock).sweep() == 4
    assert parts == [1, 2, 1]
    assert look("SELECT state FROM invoice") == [("settled",)]


async def test_what_was_spent_is_kept_for_longer_than_the_longest_window(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    put("INSERT INTO spend VALUES ('k', '', 'user:a', 'task', 5, 5, :at)", clock.now())
    clock.advance(2 * DAY)
    assert await Retention(store, clock).sweep() == 0
    clock.advance(1)
    assert await Retention(store, clock).sweep() == 1
    assert look("SELECT amount FROM spent") == [(0,)]
    clock.advance(60_000)
    assert await Retention(store, clock).sweep() == 1
    assert look("SELECT count(*) FROM spent") == [(0,)]


async def test_an_encrypted_message_is_known_by_its_event_for_a_month_and_as_read_for_ever(
    store: Database, clock: FakeClock, look: Look
) -> None:
    async def first(place: int, event: str, session: str = "s") -> str:
        return await store.write(lambda tx: tx.surfaces.first("matrix", session, place, event, tx.now))

    for place in (0, 1, 2, 5):
        assert await first(place, f"$e{place}") == f"$e{place}"
    clock.advance(30 * DAY)
    await Retention(store, clock).sweep()
    assert await first(1, "$e1") == "$e1", "what a crash left is taken again"
    assert await first(1, "$replayed") == "$e1"
    clock.advance(1)
    assert await first(3, "$e3") == "$e3"
    assert await Retention(store, clock).sweep() == 4
    assert look("SELECT stretches FROM opened_before") == [("[[0,2],[5,5]]",)]
    assert [await first(place, f"$e{place}") for place in (0, 2, 5)] == ["", "", ""]
    assert await first(4, "$e4") == "$e4"
    assert await first(1, "$other", "another session") == "$other"
    clock.advance(31 * DAY)
    await Retention(store, clock).sweep()
    assert look("SELECT stretches FROM opened_before WHERE session = 's'") == [("[[0,5]]",)]
    assert look("SELECT count(*) FROM opened") == [(0,)]


async def test_an_event_lives_until_every_handler_has_had_it(
    store: Database, clock: FakeClock, look: Look, put: Callable[[str, int], None]
) -> None:
    for _ in range(4):
        put(EVENT, clock.now())
    retention = Retention(store, clock)
    clock.advance(91 * DAY)
    assert await retention.sweep() == 0, "nobody has read them"
    put("INSERT INTO cursor VALUES ('quick', 4 + 0 * :at)", 0)
    put("INSERT INTO cursor VALUES ('slow', 2 + 0 * :at)", 0)
    assert await retention.sweep() == 1
    assert look("SELECT id FROM event") == [(2,), (3,), (4,)]


async def test_the_grant_is_remembered_for_ever(store: Database, clock: FakeClock) -> None:
    await store.write(lambda tx: tx.mark("book:grant", "1"))
    clock.advance(10_000 * DAY)
    await Retention(store, clock).sweep()
    assert await store.read(lambda tx: tx.applied("book:grant")) == "1"


async def test_a_conversation_goes_on_after_all_of_it_was_forgotten(store: Database, clock: FakeClock) -> None:
    def say(text: str) -> None:
        turns.append(Turn("user", text, text))

    turns: list[Turn] = []
    for text in ("one", "two", "three"):
        say(text)
        await store.write(lambda tx: tx.conversations.add("c", turns[-1], tx.now))
    await store.write(lambda tx: tx.conversations.renew("c"))
    clock.advance(366 * DAY)
    assert await Retention(store, clock).sweep() == 3
    say("are you there?")
    await store.write(lambda tx: tx.conversations.add("c", turns[-1], tx.now))
    assert await store.read(lambda tx: tx.conversations.recent("c", 10)) == [turns[-1]]


async def test_every_table_has_a_stated_life_or_is_kept(look: Look, store: Database) -> None:
    names = {
        name for (name,) in look("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    }
    mortal = {table for table, _, _ in (*LIVES, *UNPAID)} | {"fact"}
    told_apart = {
        "event", "thread", "approval_question", "spend", "spent", "l402_call", "schedule_run", "notice_wish", "quiet_hours",
    }  # fmt: skip
    assert mortal == {table for table, _, _, days in ROWS if days} | told_apart
    assert mortal & KEPT == set()
    assert names == mortal | KEPT | {"opened"}


async def test_it_sweeps_every_hour(store: Database, clock: FakeClock, put: Callable[[str, int], None]) -> None:
    swept: asyncio.Queue[int] = asyncio.Queue()

    class Watched(Retention):
        async def sweep(self) -> int:
            gone = await super().sweep()
            swept.put_nowait(gone)
            return gone

    put(ROWS[0][2], clock.now() - 31 * DAY)
    async with Nursery() as nursery, asyncio.timeout(10):
        nursery.spawn(Watched(store, clock).run(), "retention")
        for gone in (1, 0):
            while not clock.sleepers:
                await turn()
            clock.advance(HOUR - 1)
            await turn()
            assert swept.empty()
            clock.advance(1)
            assert await swept.get() == gone


async def test_a_message_received_is_forgotten_only_once_its_encrypted_one_counts_as_read(
    store: Database, clock: FakeClock, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sqlite.retention.CONDENSED", 2)
    message = Inbound("matrix", "@bot", "$e5", "matrix:@ann", "matrix:@ann", "/task spend", private=True)

    def receive(tx: Any) -> int | None:
        is_first = tx.surfaces.first("@bot", "s5", 0, "$e5", tx.now) == "$e5"
        number: int | None = tx.messages.receive(message, tx.now) if is_first else None
        return number

    await store.write(lambda tx: [tx.surfaces.first("@bot", f"s{n}", 0, f"$e{n}", tx.now) for n in range(5)])
    received = await store.write(receive)
    assert received is not None
    await store.write(lambda tx: tx.messages.done(received))
    clock.advance(31 * DAY)
    await Retention(store, clock).sweep()
    assert look("SELECT count(*) FROM inbound") == [(0,)]
    assert look("SELECT count(*) FROM opened") == [(0,)]
    assert await store.write(receive) is None, "the same event again, a month later"


async def test_who_skips_places_does_not_make_the_memory_of_a_session_grow(
    store: Database, clock: FakeClock, look: Look
) -> None:
    places = range(10, 10 + 4 * STRETCHES, 2)
    await store.write(lambda tx: [tx.surfaces.first("@bot", "s", place, f"$e{place}", tx.now) for place in places])
    clock.advance(31 * DAY)
    await Retention(store, clock).sweep()
    ((kept,),) = look("SELECT stretches FROM opened_before")
    assert len(json.loads(kept)) == STRETCHES

    async def is_new(place: int) -> bool:
        return await store.write(lambda tx: tx.surfaces.first("@bot", "s", place, "$new", tx.now)) == "$new"

    assert not any([await is_new(place) for place in (0, 10, 11, places[-1])]), "all below the newest stretches is read"
    assert await is_new(places[-1] - 1)
    assert await is_new(places[-1] + 1)
