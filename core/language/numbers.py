"""Whole numbers as people say and type them: `forty-two`, `a hundred and twenty`, `two k`, `1,000`, `2.5k`.

The readers of this room share one shape: they take the words and where to begin, and give what they read together with
the place after it, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
SCALES = {"k": 1000, "thousand": 1000, "grand": 1000, "million": 1_000_000, "mil": 1_000_000}
HUNDRED = "hundred"
DOZEN = "dozen"
ONE = frozenset({"a", "an"})
COUNTED = frozenset({*SCALES, HUNDRED, DOZEN})
FIRST = frozenset({*UNITS, *TENS, *ONE, DOZEN})
LIMIT = 10**18

ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
_ENDINGS = ("st", "nd", "rd", "th")

MOST_DIGITS = 16
"""The longest run of digits that is taken for a number: more than all sats there are."""


class Number(NamedTuple):
    """A number that was said, and the place after it."""

    value: int
    end: int


def read_number(words: Sequence[str], at: int) -> Number | None:
    """The number that begins at a word: the longest one, so that "thirty one" is 31 and "three seventy" is 3."""
    word = word_at(words, at)
    if word not in FIRST and not word[:1].isdecimal() and word.partition("-")[0] not in TENS:
        return None
    return _below(words, at, LIMIT)


def read_ordinal(word: str) -> int | None:
    """The place that a word names: `first`, `3rd`, `21st`."""
    if word.endswith(_ENDINGS) and word[:-2].isdecimal() and word.isascii() and len(word) <= MOST_DIGITS:
        return int(word[:-2])
    return ORDINALS.get(word)


def digits(word: str) -> int | None:
    """The number that one word of digits is: `500`, `1,000`, `1_000`, `2k`, `2.5k`."""
    if not word[:1].isdecimal() or not word.isascii():
        return None
    kilo = word.endswith("k")
    plain = word[: len(word) - kilo].replace("_", "")
    whole, point, fraction = plain.partition(".")
    groups = whole.split(",")
    if len(plain) > MOST_DIGITS or not all(map(str.isdecimal, groups)) or any(len(group) != 3 for group in groups[1:]):  # noqa: PLR2004
        return None
    number = int("".join(groups)) * (1000 if kilo else 1)
    if not point:
        return number
    exact = kilo and fraction.isdecimal() and len(fraction) <= 3  # noqa: PLR2004 - thousandths of a thousand are whole
    return number + int(fraction.ljust(3, "0")) if exact else None


def word_at(words: Sequence[str], at: int) -> str:
    """The word at a place, empty past the end."""
    return words[at] if at < len(words) else ""


def _below(words: Sequence[str], at: int, limit: int) -> Number | None:
    """The number below a limit: thousands first, then what follows them. Each step down lowers the limit."""
    group = _below_thousand(words, at)
    if group is None or group.value >= limit:
        return None
    scale = SCALES.get(word_at(words, group.end), 0)
    if not scale:
        return group
    if scale >= limit:
        return None
    value, place = group.value * scale, group.end + 1
    more = _below(words, place + (word_at(words, place) == "and"), scale)
    return Number(value, place) if more is None else Number(value + more.value, more.end)


def _below_thousand(words: Sequence[str], at: int) -> Number | None:
    """`forty two`, `a hundred and twenty`, `two dozen`; a word of digits stands for itself."""
    first = _below_hundred(words, at)
    if first is None:
        return None
    if word_at(words, first.end) == DOZEN:
        return Number(first.value * 12, first.end + 1)
    if word_at(words, first.end) != HUNDRED:
        return first
    value, place = first.value * 100, first.end + 1
    more = _below_hundred(words, place + (word_at(words, place) == "and"))
    fits = more is not None and more.value < 100 and word_at(words, more.end) != HUNDRED  # noqa: PLR2004
    return Number(value + more.value, more.end) if more is not None and fits else Number(value, place)


def _below_hundred(words: Sequence[str], at: int) -> Number | None:
    word, after = word_at(words, at), word_at(words, at + 1)
    if word == DOZEN:
        return Number(12, at + 1)
    if word in ONE and after in COUNTED:
        return Number(1, at + 1)
    if word in TENS:
        unit = UNITS.get(after, 0)
        return Number(TENS[word] + unit, at + 2) if 0 < unit < 10 else Number(TENS[word], at + 1)  # noqa: PLR2004
    value = _one_word(word)
    return None if value is None else Number(value, at + 1)


def _one_word(word: str) -> int | None:
    tens, _, unit = word.partition("-")
    if tens in TENS and 0 < UNITS.get(unit, 0) < 10:  # noqa: PLR2004
        return TENS[tens] + UNITS[unit]
    return UNITS.get(word, digits(word))
