"""How long what went wrong waits for its next try."""

from __future__ import annotations

from core.errors import Unavailable
from core.swarm.patience import PutOff, pause_after

DEAF = Unavailable(why="no answer")
BUG = RuntimeError("a bug")


def test_the_pauses_double_up_to_a_limit() -> None:
    assert [pause_after(DEAF, tries) for tries in (1, 2, 3, 7, 99)] == [1, 2, 4, 60, 60]
    assert [pause_after(BUG, tries) for tries in (1, 2, 3, 8, 99)] == [30, 60, 120, 3600, 3600]


def test_what_was_put_off_comes_again_later_and_later_until_it_is_done() -> None:
    put_off = PutOff()
    assert (len(put_off), put_off.until(7)) == (0, 0)
    put_off.put(7, BUG, 1000)
    assert put_off.until(7) == 31_000
    put_off.put(7, BUG, 31_000)
    put_off.put(8, DEAF, 31_000)
    assert (len(put_off), put_off.until(7), put_off.until(8)) == (2, 91_000, 32_000)
    put_off.done(8)
    put_off.done(9)
    assert (len(put_off), put_off.until(8)) == (1, 0)
    put_off.put(8, DEAF, 0)
    put_off.keep({8, 9})
    assert (len(put_off), put_off.until(7), put_off.until(8)) == (1, 0, 1000)
