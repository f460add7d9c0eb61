"""Times and durations as people say them: `every monday at nine`, `in half an hour`, `tomorrow at half past four`.

`read_when` finds how far a time reaches; what it means on a calendar is the schedules' business. `read_deadline` is for
"within two hours": how long something may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from core.voice.numbers import read_number, read_ordinal, word_at
from core.voice.words import bag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
HALVES = {"h": (30, "m"), "d": (12, "h"), "m": (30, "s")}

WEEKDAYS = bag("monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun")
MONTHS = bag("january february march april may june july august september october november december")
FIXED = bag("noon midday midnight lunchtime")
PARTS = FIXED | bag("morning afternoon evening night")
PERIODS = PARTS | bag("second minute hour day week fortnight month quarter year weekday weekend")
DAYS = bag("tomorrow tonight today")
ABOUT = bag("about around roughly exactly approximately like just")
HALF_DAY = bag("am pm a.m p.m oclock sharp")
NEXT = bag("next this coming")
REPEATS = bag("every each")

LAST_HOUR, LAST_MINUTE = 24, 60

TAILS = frozenset({"in", "at", "on", "every", "each", "next", "this", *WEEKDAYS})


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


def read_when(words: Sequence[str], at: int) -> int:
    """The place after the time that begins at a word, its preposition included; 0 where none begins."""
    read = READERS.get(words[at])
    end = read(words, at) if read else 0
    while end and (more := _tail(words, end)):
        end = more
    return end


def is_repeated(words: Sequence[str]) -> bool:
    """Whether a time comes round again and again."""
    return not REPEATS.isdisjoint(words)


def _tail(words: Sequence[str], at: int) -> int:
    """What may follow a time: `at nine`, `in the morning`, `on monday`, `tomorrow`, `morning`."""
    word = word_at(words, at)
    if word in PARTS or word in DAYS:
        return at + 1
    return READERS[word](words, at) if word in TAILS else 0


def _every(words: Sequence[str], at: int) -> int:
    """`every morning`, `every other day`, `every thirty minutes`, `every first of the month`, `every monday and friday`."""
    at += 1
    at += word_at(words, at) in {"other", "single", "second", "working", "business"}
    word = word_at(words, at)
    if word in WEEKDAYS:
        return _and_weekdays(words, at + 1)
    if word in PERIODS:
        return at + 1
    if read_ordinal(word) is not None or word == "last":
        return _of_the_month(words, at + 1)
    found = read_duration(words, at)
    return found.end if found else 0


def _and_weekdays(words: Sequence[str], at: int) -> int:
    while word_at(words, at) == "and" and word_at(words, at + 1) in WEEKDAYS:
        at += 2
    return at


def _of_the_month(words: Sequence[str], at: int) -> int:
    at += word_at(words, at) == "day"
    at += word_at(words, at) in WEEKDAYS
    if tuple(words[at : at + 3]) in {("of", "the", "month"), ("of", "every", "month"), ("of", "each", "month")}:
        return at + 3
    if word_at(words, at) in {"of", "in"} and word_at(words, at + 1) in MONTHS:
        return at + 2
    return at + 1 if word_at(words, at) in MONTHS else at


def _in(words: Sequence[str], at: int) -> int:
    """`in ten minutes`, `in the morning`."""
    if word_at(words, at + 1) == "the":
        return at + 3 if word_at(words, at + 2) in PARTS else 0
    found = read_duration(words, at + 1)
    return found.end if found else 0


def _at(words: Sequence[str], at: int) -> int:
    """`at nine`, `at 16:15`, `at half past four`, `at noon`, `at about six pm`."""
    at += 1 + (word_at(words, at + 1) in ABOUT)
    return _clock(words, at)


def _clock(words: Sequence[str], at: int) -> int:
    word = word_at(words, at)
    if word in FIXED or word == "night":
        return at + 1
    end = _past(words, at) or _hour(words, at)
    while word_at(words, end) in HALF_DAY and end:
        end += 1
    return end


def _past(words: Sequence[str], at: int) -> int:
    """`half past four`, `quarter to five`, `ten past six`, `half four`."""
    minutes = read_number(words, at)
    at = minutes.end if minutes else at + 1 if words[at : at + 1] in (["half"], ["quarter"]) else len(words)
    at += word_at(words, at) == "minutes"
    return _hour(words, at + 1) if word_at(words, at) in {"past", "to", "after"} else 0


def _hour(words: Sequence[str], at: int) -> int:
    """An hour, perhaps with its minutes: `nine`, `9am`, `16:15`, `nine thirty`."""
    word = word_at(words, at)
    bare = word.removesuffix("am").removesuffix("pm").removesuffix("h")
    hour, colon, minute = bare.replace(".", ":").partition(":")
    if colon:
        return at + 1 if _is_to(hour, LAST_HOUR) and _is_to(minute, LAST_MINUTE) else 0
    if bare != word:
        return at + 1 if _is_to(bare, LAST_HOUR) else 0
    number = read_number(words, at)
    if number is None or number.value > LAST_HOUR:
        return 0
    minutes = read_number(words, number.end)
    return minutes.end if minutes and minutes.value < LAST_MINUTE else number.end


def _is_to(number: str, most: int) -> bool:
    return number.isascii() and number.isdecimal() and len(number) <= 2 and int(number) <= most  # noqa: PLR2004


def _on(words: Sequence[str], at: int) -> int:
    """`on monday`, `on the first of the month`, `on the 3rd of march`, `on march 3rd`, `on next friday`."""
    at += 1
    word = word_at(words, at)
    if word in WEEKDAYS or word.removesuffix("s") in WEEKDAYS:
        return _and_weekdays(words, at + 1)
    if word in NEXT:
        return _next(words, at)
    if word in MONTHS:
        return at + 2 if _day_number(word_at(words, at + 1)) else 0
    at += word == "the"
    return _of_the_month(words, at + 1) if read_ordinal(word_at(words, at)) is not None else 0


def _day_number(word: str) -> bool:
    return word.isdecimal() or read_ordinal(word) is not None


def _next(words: Sequence[str], at: int) -> int:
    """`next tuesday`, `this evening`, `next week`."""
    word = word_at(words, at + 1)
    return at + 2 if word in WEEKDAYS or word in PERIODS or word in MONTHS else 0


def _day(_words: Sequence[str], at: int) -> int:
    """`tomorrow`, `friday`."""
    return at + 1


def _after_tomorrow(words: Sequence[str], at: int) -> int:
    """`the day after tomorrow`."""
    return at + 4 if list(words[at : at + 4]) == ["the", "day", "after", "tomorrow"] else 0


READERS: dict[str, Callable[[Sequence[str], int], int]] = {
    "every": _every, "each": _every, "in": _in, "at": _at, "on": _on, "the": _after_tomorrow,
    **dict.fromkeys(NEXT, _next), **dict.fromkeys(DAYS, _day), **dict.fromkeys(WEEKDAYS, _day),
}  # fmt: skip
