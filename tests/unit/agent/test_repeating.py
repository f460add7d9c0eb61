"""A model that says the same for ever is heard; one that says much is not taken for it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from core.agent.repeating import LEAST, TIMES, Repetition, repeats
from tests.depth import depth

WORDS = st.text("abcde \n-é", min_size=1, max_size=60)


def plainly(text: str) -> bool:
    """The rule, said as it is meant: some period, so often, so long."""
    for period in range(1, 200):
        length = max(LEAST, TIMES * period)
        tail = text[-length:]
        if length <= len(text) and all(tail[n] == tail[n + period] for n in range(length - period)):
            return True
    return False


def heard(text: str, step: int) -> bool:
    repetition = Repetition()
    return any(repetition.hears(text[place : place + step]) for place in range(0, len(text), step))


@given(WORDS, WORDS, st.integers(1, 40))
@settings(max_examples=depth(30, 500), deadline=None)
def test_what_is_said_over_and_over_is_heard_however_it_comes(before: str, phrase: str, step: int) -> None:
    text = before + phrase * (2 * LEAST // len(phrase) + TIMES)
    assert plainly(text)
    assert repeats(text)
    assert heard(text, step)


@given(st.lists(WORDS, max_size=120), st.integers(1, 40))
@settings(max_examples=depth(30, 500), deadline=None)
def test_nothing_else_is(pieces: list[str], step: int) -> None:
    text = "".join(pieces)
    assert not repeats(text) or plainly(text)
    assert not heard(text, step) or any(plainly(text[:end]) for end in range(len(text), 0, -step))


def test_a_long_paragraph_said_four_times_is_heard() -> None:
    paragraph = "".join(f"Sentence {number} of many. " for number in range(60))
    assert 1000 < len(paragraph) < 1500
    assert not heard(paragraph * 3, 7)
    assert heard(paragraph * 5, 7)


def test_tables_code_and_lists_are_no_repetition() -> None:
    table = "| name | sats |\n|---|---|\n" + "".join(f"| agent {n} | {n * 7 % 50} |\n" for n in range(300))
    code = "".join(f"    values[{n}] = read(source, {n * 31 % 97})\n" for n in range(200))
    assert not heard(table, 5)
    assert not heard(code, 5)
    assert not heard("-" * 1000, 5)
    assert heard("-" * 2000, 5)
    assert not repeats("")
