"""The page's login: links that work once and soon, sessions that end, and no secret kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.retention import DAY, Retention
from adapters.sqlite.writer import Database
from adapters.web.login import LINK_MS, MOST, SESSION_MS, Logins
from core.store import DiskFull
from tests.blank import blank
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(blank(tmp_path / "hub.db"), FakeClock()) as store:
        yield store


async def test_a_code_begins_one_session_and_no_other(store: Database) -> None:
    logins = Logins(FakeClock(), FakeIds(), store)
    code = logins.code()
    session = await logins.redeem(code)
    assert session is not None
    assert logins.knows(session)
    assert await logins.redeem(code) is None
    assert not logins.knows(code)


async def test_a_code_is_good_for_five_minutes(store: Database) -> None:
    clock = FakeClock()
    logins = Logins(clock, FakeIds(), store)
    early, late = logins.code(), logins.code()
    clock.advance(LINK_MS - 1)
    assert await logins.redeem(early) is not None
    clock.advance(1)
    assert await logins.redeem(late) is None


async def test_a_session_is_good_for_twelve_hours(store: Database) -> None:
    clock = FakeClock()
    logins = Logins(clock, FakeIds(), store)
    session = (await logins.redeem(logins.code())) or ""
    clock.advance(SESSION_MS - 1)
    assert logins.knows(session)
    clock.advance(1)
    assert not logins.knows(session)


async def test_what_was_never_handed_out_opens_nothing(store: Database) -> None:
    logins = Logins(FakeClock(), FakeIds(), store)
    assert await logins.redeem("") is None
    assert await logins.redeem("guess") is None
    assert not logins.knows("")


async def test_links_and_sessions_are_bounded_and_the_oldest_goes_first(store: Database) -> None:
    logins = Logins(FakeClock(), FakeIds(), store)
    codes = [logins.code() for _ in range(MOST + 1)]
    assert await logins.redeem(codes[0]) is None
    sessions = [(await logins.redeem(code)) or "" for code in codes[1:]]
    assert all(logins.knows(session) for session in sessions)
    await logins.redeem(logins.code())
    assert [logins.knows(session) for session in sessions] == [False] + [True] * (MOST - 1)


async def test_only_hashes_are_kept(store: Database) -> None:
    logins = Logins(FakeClock(), FakeIds(), store)
    code = logins.code()
    session = (await logins.redeem(logins.code())) or ""
    kept = repr(vars(logins))
    assert code not in kept
    assert session not in kept
    rows = await store.read(lambda tx: tx.sessions.live(0))
    assert len(rows) == 1
    assert session not in repr(rows)


async def test_sessions_outlive_the_hub_and_links_do_not(store: Database) -> None:
    clock = FakeClock()
    logins = Logins(clock, FakeIds(), store)
    sessions = [(await logins.redeem(logins.code())) or "" for _ in range(MOST + 1)]
    code = logins.code()
    later = Logins(clock, FakeIds("later"), store)
    await later.load()
    assert [later.knows(session) for session in sessions] == [False] + [True] * MOST
    assert await later.redeem(code) is None
    clock.advance(SESSION_MS)
    assert not later.knows(sessions[-1])
    clock.advance(DAY + 1)
    await Retention(store, clock).sweep()
    assert await store.read(lambda tx: tx.sessions.live(0)) == []


async def test_a_login_works_while_the_disk_is_full(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise DiskFull(why="no space left")

    logins = Logins(FakeClock(), FakeIds(), store)
    monkeypatch.setattr(store, "write", full)
    assert logins.knows((await logins.redeem(logins.code())) or "")
