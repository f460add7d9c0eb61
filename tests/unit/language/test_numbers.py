"""Numbers as people say and type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.language.numbers import read_number, read_ordinal

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
]
ONES += ["sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(number: int) -> str:
    """A number below a million in words, as the reader's opposite."""
    if number >= 1000:
        return f"{spoken(number // 1000)} thousand {spoken(number % 1000) if number % 1000 else ''}".strip()
    if number >= 100:
        return f"{ONES[number // 100]} hundred {'and ' + spoken(number % 100) if number % 100 else ''}".strip()
    if number >= 20:
        return f"{TENS[number // 10 - 2]} {ONES[number % 10] if number % 10 else ''}".strip()
    return ONES[number]


@given(st.integers(0, 999_999))
def test_every_number_that_is_spoken_is_read(number: int) -> None:
    words = spoken(number).split()
    assert read_number(words, 0) == (number, len(words))


@pytest.mark.parametrize(
    ("text", "value", "width"),
    [
        ("two k", 2000, 2),
        ("2k", 2000, 1),
        ("2.5k", 2500, 1),
        ("2.1234k", None, 0),
        ("1,000", 1000, 1),
        ("1_000", 1000, 1),
        ("12,34", None, 0),
        ("0", 0, 1),
        ("a hundred and twenty sats", 120, 4),
        ("a thousand", 1000, 2),
        ("a thousand and five", 1005, 4),
        ("two million three", 2_000_003, 3),
        ("two hundred thousand", 200_000, 3),
        ("two hundred hundred", 200, 2),
        ("one hundred three hundred", 100, 2),
        ("a dozen", 12, 2),
        ("dozen", 12, 1),
        ("two dozen eggs", 24, 2),
        ("forty-two", 42, 1),
        ("forty-hours", None, 0),
        ("thirty one is", 31, 2),
        ("three seventy five", 3, 1),
        ("nine five", 9, 1),
        ("three and four", 3, 1),
        ("two thousand two thousand", 2000, 2),
        ("two k three k", 2000, 2),
        ("3 thousand", 3000, 2),
        ("fifteen hundred", 1500, 2),
        ("a cat", None, 0),
        ("sats", None, 0),
        ("", None, 0),
        ("1" * 17, None, 0),
        ("12.5", None, 0),
        ("²", None, 0),
    ],
)
def test_the_longest_number_is_read(text: str, value: int | None, width: int) -> None:
    assert read_number(text.split(), 0) == (None if value is None else (value, width))


@pytest.mark.parametrize(
    ("word", "place"),
    [("first", 1), ("3rd", 3), ("21st", 21), ("twelfth", 12), ("best", None), ("th", None), ("²nd", None)],
)
def test_ordinals(word: str, place: int | None) -> None:
    assert read_ordinal(word) == place
