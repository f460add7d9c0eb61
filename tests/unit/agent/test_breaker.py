"""When a model server that fails is left alone, and when it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.agent.breaker import FIRST_PAUSE, LIMIT, LONGEST_PAUSE, Breaker


def failed(times: int, now: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.asked().failed(now, "why")
    return breaker


def test_it_opens_after_some_failures_in_a_row_and_one_success_closes_it() -> None:
    assert not failed(LIMIT - 1).is_open(0)
    assert failed(LIMIT).is_open(0)
    assert failed(LIMIT).why == "why"


def test_after_a_pause_one_question_tries_it() -> None:
    breaker = failed(LIMIT)
    assert breaker.is_open(FIRST_PAUSE - 1)
    assert not breaker.is_open(FIRST_PAUSE)
    tried = breaker.asked()
    assert tried.is_open(FIRST_PAUSE), "the others wait for what becomes of it"
    assert not tried.left().is_open(FIRST_PAUSE), "one that was stopped showed nothing"
    again = tried.failed(FIRST_PAUSE, "still")
    assert again.is_open(3 * FIRST_PAUSE - 1)
    assert not again.is_open(3 * FIRST_PAUSE)


@given(st.integers(LIMIT, 200))
def test_the_pause_grows_and_has_an_end(times: int) -> None:
    pause, longer = failed(times).until, failed(times + 1).until
    assert FIRST_PAUSE <= pause <= longer <= LONGEST_PAUSE
    assert not failed(times).is_open(LONGEST_PAUSE)
