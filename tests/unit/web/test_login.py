"""The page's login: links that work once and soon, sessions that end, and no secret kept."""

from __future__ import annotations

from adapters.web.login import LINK_MS, MOST, SESSION_MS, Logins
from tests.fakes import FakeClock, FakeIds


def test_a_code_begins_one_session_and_no_other() -> None:
    logins = Logins(FakeClock(), FakeIds())
    code = logins.code()
    session = logins.redeem(code)
    assert session is not None
    assert logins.knows(session)
    assert logins.redeem(code) is None
    assert not logins.knows(code)


def test_a_code_is_good_for_five_minutes() -> None:
    clock = FakeClock()
    logins = Logins(clock, FakeIds())
    early, late = logins.code(), logins.code()
    clock.advance(LINK_MS - 1)
    assert logins.redeem(early) is not None
    clock.advance(1)
    assert logins.redeem(late) is None


def test_a_session_is_good_for_twelve_hours() -> None:
    clock = FakeClock()
    logins = Logins(clock, FakeIds())
    session = logins.redeem(logins.code()) or ""
    clock.advance(SESSION_MS - 1)
    assert logins.knows(session)
    clock.advance(1)
    assert not logins.knows(session)


def test_what_was_never_handed_out_opens_nothing() -> None:
    logins = Logins(FakeClock(), FakeIds())
    assert logins.redeem("") is None
    assert logins.redeem("guess") is None
    assert not logins.knows("")


def test_links_and_sessions_are_bounded_and_the_oldest_goes_first() -> None:
    logins = Logins(FakeClock(), FakeIds())
    codes = [logins.code() for _ in range(MOST + 1)]
    assert logins.redeem(codes[0]) is None
    sessions = [logins.redeem(code) or "" for code in codes[1:]]
    assert all(logins.knows(session) for session in sessions)
    logins.redeem(logins.code())
    assert [logins.knows(session) for session in sessions] == [False] + [True] * (MOST - 1)


def test_only_hashes_are_kept() -> None:
    logins = Logins(FakeClock(), FakeIds())
    code = logins.code()
    session = logins.redeem(logins.code()) or ""
    kept = repr(vars(logins))
    assert code not in kept
    assert session not in kept
