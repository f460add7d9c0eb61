"""Durations as people say them: `half an hour`, `two weeks`, `90s`.

`read_deadline` is for "within two hours": how long something may take. Times of the day and days are in `moments.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.language.numbers import read_number, word_at
from core.language.words import bag

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
HALVES = {"h": (30, "m"), "d": (12, "h"), "m": (30, "s")}

ABOUT = bag("about around roughly exactly approximately like just")


class Duration(NamedTuple):
    """How long, in the unit that was said (`s m h d`), and the place after it."""

    amount: int
    unit: str
    end: int

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"


def read_duration(words: Sequence[str], at: int) -> Duration | None:
    """`ten minutes`, `half an hour`, `an hour and a half`, `90s`."""
    if word_at(words, at) in ABOUT:
        at += 1
    found = _halves(words, at) or _attached(words, at) or _counted(words, at)
    if found is None or found.unit != "w":
        return found
    return Duration(found.amount * 7, "d", found.end)


def _halves(words: Sequence[str], at: int) -> Duration | None:
    """`half an hour`, `half a day`, `a half hour`, `a quarter of an hour`."""
    at += words[at : at + 1] == ["a"]
    share = word_at(words, at)
    if share not in {"half", "quarter"}:
        return None
    at += 1
    at += word_at(words, at) == "of"
    at += word_at(words, at) in {"a", "an"}
    unit = UNITS.get(word_at(words, at), "")
    if unit not in HALVES:
        return None
    count, smaller = HALVES[unit]
    return Duration(count if share == "half" else count // 2, smaller, at + 1)


def _attached(words: Sequence[str], at: int) -> Duration | None:
    word = word_at(words, at)
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = UNITS.get(word[len(number) :], "")
    return Duration(int(number), unit, at + 1) if unit and _countable(number) else None


def _countable(number: str) -> bool:
    return number.isascii() and number.isdecimal() and len(number) < 7 and int(number) > 0  # noqa: PLR2004


def _counted(words: Sequence[str], at: int) -> Duration | None:
    number = read_number(words, at)
    if number is not None:
        count, place = number
    elif word_at(words, at) in {"a", "an", "one"}:
        count, place = 1, at + 1
    else:
        return None
    if word_at(words, place) == "couple":
        count, place = 2, place + 1 + (word_at(words, place + 1) == "of")
    unit = UNITS.get(word_at(words, place), "")
    if not unit or count == 0:
        return None
    place += 1
    if unit in HALVES and list(words[place : place + 3]) == ["and", "a", "half"]:
        half, smaller = HALVES[unit]
        return Duration(count * 2 * half + half, smaller, place + 3)
    return Duration(count, unit, place)


def read_deadline(words: Sequence[str], at: int) -> Duration | None:
    """`within two hours`, `within the hour`, `in under ten minutes`, `in no more than a day`: how long it takes at most."""
    for opening in DEADLINES:
        after = at + len(opening)
        if tuple(words[at:after]) == opening:
            found = read_duration(words, after)
            if found is not None:
                return found
    if word_at(words, at) in WITHIN and word_at(words, at + 1) == "the":
        one = read_duration(["one", word_at(words, at + 2)], 0)
        return one and one._replace(end=at + 3)
    return None


WITHIN = bag("within inside")
DEADLINES = tuple(
    tuple(opening.split())
    for opening in (
        "within the next", "within at most", "within", "inside", "in under", "in less than", "in at most", "in no more than",
        "in max", "in the next", "by the next", "in not more than", "under", "in a maximum of", "taking at most", "in",
    )
)  # fmt: skip
