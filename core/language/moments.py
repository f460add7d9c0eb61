"""Times as people say them: `every monday at nine`, `tomorrow at half past four`, `on the first of the month`, `2026-12-24`.

A reader takes the words and where to begin, and gives what was said together with the place after it, or None. What it
comes to on a calendar is the schedules' business (`core/automation/when.py`); a sentence asks only how far it reaches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from core.language.numbers import Number, read_number, read_ordinal, word_at
from core.language.times import ABOUT, read_duration
from core.language.words import bag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.language.times import Duration

_WEEKDAYS = (
    "monday mon", "tuesday tue tues", "wednesday wed", "thursday thu thur thurs", "friday fri", "saturday sat", "sunday sun",
)  # fmt: skip
_MONTHS = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sep sept", "october oct", "november nov", "december dec",
)  # fmt: skip


def _numbered(table: Sequence[str], first: int) -> dict[str, int]:
    return {name: number for number, names in enumerate(table, first) for name in names.split()}


WEEKDAYS = _numbered(_WEEKDAYS, 0)
"""Monday is 0."""
MONTHS = _numbered(_MONTHS, 1)
WORKING, WEEKEND = frozenset(range(5)), frozenset({5, 6})
FIXED = {"noon": 12, "midday": 12, "midnight": 0, "lunchtime": 12}
DAYTIME = bag("morning afternoon evening night")
PARTS = DAYTIME | FIXED.keys()
PERIODS = PARTS | bag("second minute hour day week fortnight month quarter year weekday weekend")
AHEAD = {"today": 0, "tonight": 0, "tomorrow": 1}
HALF_DAY = bag("am pm a.m p.m oclock sharp")
NEXT = bag("next this coming")
REPEATS = bag("every each")
SKIPS = bag("other second")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_LONG = {
    "month": "month",
    "months": "month",
    "quarter": "quarter",
    "quarters": "quarter",
    "year": "year",
    "years": "year",
}
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}

LAST = -1
"""The last day of a month, or the last of its mondays."""
LAST_HOUR, LAST_MINUTE = 24, 60
MAX_COUNT = 10_000

TAILS = frozenset({"in", "at", "on", "every", "each", "next", "this", *WEEKDAYS})
_DATE = re.compile(
    r"([1-9][0-9]{3})-([0-9]{2})-([0-9]{2})(?:t([0-9]{2}):([0-9]{2})(?::[0-9]{2}(?:\.[0-9]+)?)?(z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


class Moment(NamedTuple):
    """What was said of a time, and the place after it; what was not said is None, 0 or empty.

    `hour` and `minute` as said, `half` the `am` or `pm` behind them; `part` of the day. `day` of the month (`LAST`), of `month` and
    `year`; with `nth` it is the n-th of the `weekdays` in it. `ahead`: so many days from today, with `week` in the next week.
    `strictly`: not today. `delay`: so long from now; `later`: so many months. `number` and `period`: again each so many of these.
    `offset`: minutes east of UTC. `clash`: it is not one time: a thing was said twice, and differently, or vaguely (`next month`).
    """

    end: int
    hour: int | None = None
    minute: int = 0
    half: str = ""
    part: str = ""
    weekdays: frozenset[int] = frozenset()
    day: int = 0
    nth: int = 0
    month: int = 0
    year: int = 0
    ahead: int | None = None
    week: bool = False
    strictly: bool = False
    delay: Duration | None = None
    later: int = 0
    number: int = 0
    period: str = ""
    offset: int | None = None
    clash: bool = False

    def and_then(self, other: Moment) -> Moment:
        """Both, said one after the other."""
        joined: dict[str, Any] = {"end": other.end, "clash": self.clash or other.clash}
        for name in _SAID:
            mine, theirs = getattr(self, name), getattr(other, name)
            joined[name] = theirs if mine == _NOTHING[name] else mine
            joined["clash"] |= theirs not in {_NOTHING[name], mine} and mine != _NOTHING[name]
        return Moment(**joined)


_NOTHING = Moment._field_defaults
_SAID = tuple(name for name in Moment._fields if name not in {"end", "clash"})


def begins(word: str) -> bool:
    """Whether a time may begin with this word."""
    return word in READERS or (word[:1].isdecimal() and _DATE.fullmatch(word) is not None)


def read_moment(words: Sequence[str], at: int) -> Moment | None:
    """The time that begins at a word, its preposition included."""
    found = _reader(words[at])(words, at)
    while found is not None and (more := _tail(words, found.end)) is not None:
        found = found.and_then(more)
    return found


def read_when(words: Sequence[str], at: int) -> int:
    """The place after the time that begins at a word; 0 where none begins."""
    found = read_moment(words, at)
    return found.end if found else 0


def is_repeated(words: Sequence[str]) -> bool:
    """Whether a time comes round again and again."""
    return not REPEATS.isdisjoint(words)


def _reader(word: str) -> Callable[[Sequence[str], int], Moment | None]:
    return READERS.get(word, _date)


def _tail(words: Sequence[str], at: int) -> Moment | None:
    """What may follow a time: `at nine`, `in the morning`, `on monday`, `tomorrow`, `morning`, `17:00`."""
    word = word_at(words, at)
    if word in PARTS:
        return _part(word, at + 1)
    if word in AHEAD:
        return _ahead(words, at)
    if word in TAILS:
        return READERS[word](words, at)
    return _hour(words, at) if ":" in word else None


def _part(word: str, end: int) -> Moment:
    """A part of the day, or the hour that one is."""
    return Moment(end, part=word) if word in DAYTIME else Moment(end, hour=FIXED[word])


def _every(words: Sequence[str], at: int) -> Moment | None:
    """`every morning`, `every other day`, `every thirty minutes`, `every first of the month`, `every monday and friday`."""
    at += 1
    word = word_at(words, at)
    count = 2 if word in SKIPS and _skips(word_at(words, at + 1)) else 1
    working = word in {"working", "business"}
    at += count > 1 or working or word == "single"
    word = word_at(words, at)
    if word in WEEKDAYS or word.removesuffix("s") in WEEKDAYS:
        return _weekdays(words, at)._replace(number=count, period="week")
    if word in PERIODS or word in {"weekdays", "weekends"}:
        found = _period(word.removesuffix("s"), at + 1, count)
        return found._replace(weekdays=WORKING) if working else found
    if (nth := _nth(word)) is not None:
        found = _of_the_month(words, at + 1, nth)
        return found._replace(number=1, period="year" if found.month else "month")
    return _so_many(words, at)


def _skips(word: str) -> bool:
    """Whether `every other` of this is every second one: `every second` alone is a second."""
    return _weekday(word) is not None or word in PERIODS


def _period(word: str, end: int, count: int) -> Moment:
    """What is meant by each of these."""
    if word in PARTS:
        return _part(word, end)._replace(number=count, period="day")
    if word in {"weekday", "weekend"}:
        return Moment(end, weekdays=WORKING if word == "weekday" else WEEKEND, number=count, period="week")
    return (
        Moment(end, number=2 * count, period="week") if word == "fortnight" else Moment(end, number=count, period=word)
    )


def _so_many(words: Sequence[str], at: int) -> Moment | None:
    """`two hours`, `3 days`, `six months`."""
    if (found := read_duration(words, at)) is not None:
        return Moment(found.end, number=found.amount, period=_UNITS[found.unit])
    number = read_number(words, at)
    return number and _long(words, number)


def _long(words: Sequence[str], number: Number) -> Moment | None:
    """So many `months`, `quarters` or `years`."""
    period = _LONG.get(word_at(words, number.end))
    if period is None or not 0 < number.value < MAX_COUNT:
        return None
    return Moment(number.end + 1, number=number.value, period=period)


def _weekdays(words: Sequence[str], at: int) -> Moment:
    """`monday`, `mondays and fridays`, `monday, tuesday and friday`, `monday to friday`."""
    found: set[int] = set()
    while (day := _weekday(word_at(words, at))) is not None:
        found.add(day)
        at += 1
        joint = word_at(words, at)
        following = _weekday(word_at(words, at + 1))
        if joint in {"to", "till", "through"} and following is not None:
            found |= {(day + more) % 7 for more in range((following - day) % 7 + 1)}
            at += 2
        elif joint == "and" and following is not None:
            at += 1
    return Moment(at, weekdays=frozenset(found))


def _weekday(word: str) -> int | None:
    return WEEKDAYS.get(word, WEEKDAYS.get(word.removesuffix("s")))


def _nth(word: str) -> int | None:
    return LAST if word == "last" else read_ordinal(word) or None


def _of_the_month(words: Sequence[str], at: int, nth: int) -> Moment:
    """What follows `first`: `day of the month`, `monday of the month`, `of may`, `may`, or nothing."""
    at += word_at(words, at) == "day"
    weekday = WEEKDAYS.get(word_at(words, at))
    at += weekday is not None
    of = word_at(words, at) in {"of", "in"} and word_at(words, at + 1) in MONTHS
    month = MONTHS.get(word_at(words, at + of), 0)
    if tuple(words[at : at + 3]) in {("of", "the", "month"), ("of", "every", "month"), ("of", "each", "month")}:
        at += 3
    elif month:
        at += 1 + of
    year = _year(word_at(words, at)) if month else 0
    found = Moment(at + bool(year), day=nth, month=month, year=year)
    return found if weekday is None else found._replace(day=0, nth=nth, weekdays=frozenset({weekday}))


def _year(word: str) -> int:
    return int(word) if re.fullmatch(r"2[0-9]{3}", word) else 0


def _in(words: Sequence[str], at: int) -> Moment | None:
    """`in ten minutes`, `in 3 months`, `in the morning`."""
    if word_at(words, at + 1) == "the":
        word = word_at(words, at + 2)
        return _part(word, at + 3) if word in PARTS else None
    if (found := read_duration(words, at + 1)) is not None:
        return Moment(found.end, delay=found)
    number = Number(1, at + 2) if word_at(words, at + 1) in {"a", "an"} else read_number(words, at + 1)
    long = number and _long(words, number)
    return long and Moment(long.end, later=long.number * MONTHS_OF[long.period])


def _at(words: Sequence[str], at: int) -> Moment | None:
    """`at nine`, `at 16:15`, `at half past four`, `at noon`, `at about six pm`."""
    at += 1 + (word_at(words, at + 1) in ABOUT)
    word = word_at(words, at)
    return _part(word, at + 1) if word in FIXED or word == "night" else _past(words, at) or _hour(words, at)


def _past(words: Sequence[str], at: int) -> Moment | None:
    """`half past four`, `quarter to five`, `ten past six`, `half four`."""
    share = {"half": 30, "quarter": 15}.get(word_at(words, at))
    minutes = read_number(words, at)
    at = minutes.end if minutes else at + 1
    past = share if minutes is None else minutes.value
    at += word_at(words, at) == "minutes"
    way = word_at(words, at)
    if past is None or way not in {"past", "to", "after"}:
        return None
    found = _hour(words, at + 1)
    if found is None or found.hour is None or way != "to":
        return found and found._replace(minute=past)
    return found._replace(hour=(found.hour - 1) % LAST_HOUR, minute=LAST_MINUTE - past)


def _hour(words: Sequence[str], at: int) -> Moment | None:
    """An hour, perhaps with its minutes: `nine`, `9am`, `16:15`, `nine thirty`, `six oclock sharp`."""
    word = word_at(words, at)
    bare = word.removesuffix("am").removesuffix("pm").removesuffix("h")
    half = word[len(bare) :].removesuffix("h")
    hour, colon, minute = bare.replace(".", ":").partition(":")
    if colon or bare != word:
        fits = _is_to(hour, LAST_HOUR) and (not colon or _is_to(minute, LAST_MINUTE))
        return _half_day(words, at + 1, int(hour), int(minute or 0), half) if fits else None
    number = read_number(words, at)
    if number is None or number.value > LAST_HOUR:
        return None
    minutes = read_number(words, number.end)
    if minutes is None or minutes.value >= LAST_MINUTE:
        return _half_day(words, number.end, number.value, 0, "")
    return _half_day(words, minutes.end, number.value, minutes.value, "")


def _half_day(words: Sequence[str], at: int, hour: int, minute: int, half: str) -> Moment:
    while (word := word_at(words, at)) in HALF_DAY:
        half = {"am": "am", "a.m": "am", "pm": "pm", "p.m": "pm"}.get(word, half)
        at += 1
    return Moment(at, hour=hour, minute=minute, half=half)


def _is_to(number: str, most: int) -> bool:
    return number.isascii() and number.isdecimal() and len(number) <= 2 and int(number) <= most  # noqa: PLR2004


def _on(words: Sequence[str], at: int) -> Moment | None:
    """`on monday`, `on the first of the month`, `on the 3rd of march`, `on march 3rd`, `on 3 march`, `on next friday`."""
    at += 1
    word = word_at(words, at)
    if _weekday(word) is not None:
        return _weekdays(words, at)
    if word in {"weekdays", "weekends"}:
        return Moment(at + 1, weekdays=WORKING if word == "weekdays" else WEEKEND)
    if word in NEXT:
        return _next(words, at)
    if word in MONTHS:
        return _month_day(words, at)
    if word.isdecimal() and 0 < int(word) < 100 and word_at(words, at + 1) in MONTHS:  # noqa: PLR2004
        return _of_the_month(words, at + 1, int(word))
    at += word == "the"
    nth = _nth(word_at(words, at))
    return _date(words, at) if nth is None else _of_the_month(words, at + 1, nth)


def _month_day(words: Sequence[str], at: int) -> Moment | None:
    """`march 3rd`, `march 3 2027`."""
    word = word_at(words, at + 1)
    day = int(word) if word.isdecimal() and len(word) <= 2 else read_ordinal(word)  # noqa: PLR2004
    if not day:
        return None
    year = _year(word_at(words, at + 2))
    return Moment(at + 2 + bool(year), day=day, month=MONTHS[words[at]], year=year)


def _next(words: Sequence[str], at: int) -> Moment | None:
    """`next tuesday`, `this evening`, `next week`."""
    word = word_at(words, at + 1)
    if word in WEEKDAYS:
        return Moment(at + 2, weekdays=frozenset({WEEKDAYS[word]}), strictly=words[at] == "next")
    if word in PARTS:
        return _part(word, at + 2)._replace(ahead=0)
    if word == "week":
        return Moment(at + 2, week=True)
    return Moment(at + 2, clash=True) if word in PERIODS or word in MONTHS else None


def _ahead(words: Sequence[str], at: int) -> Moment:
    """`tomorrow`, `tonight`."""
    return Moment(at + 1, ahead=AHEAD[words[at]], part="night" if words[at] == "tonight" else "")


def _after_tomorrow(words: Sequence[str], at: int) -> Moment | None:
    """`the day after tomorrow`."""
    return Moment(at + 4, ahead=2) if list(words[at : at + 4]) == ["the", "day", "after", "tomorrow"] else None


def _date(words: Sequence[str], at: int) -> Moment | None:
    """`2026-12-24`, `2026-12-24T18:00`, `2026-12-24T18:00+01:00` (ISO 8601)."""
    found = _DATE.fullmatch(word_at(words, at))
    if found is None:
        return None
    year, month, day, hour, minute, zone = found.groups()
    return Moment(
        at + 1, hour=None if hour is None else int(hour), minute=int(minute or 0), day=int(day), month=int(month),
        year=int(year), offset=None if zone is None else _offset(zone),
    )  # fmt: skip


def _offset(zone: str) -> int:
    if zone == "z":
        return 0
    digits = zone[1:].replace(":", "")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)


READERS: dict[str, Callable[[Sequence[str], int], Moment | None]] = {
    "every": _every, "each": _every, "in": _in, "at": _at, "on": _on, "the": _after_tomorrow,
    **dict.fromkeys(NEXT, _next), **dict.fromkeys(AHEAD, _ahead), **dict.fromkeys(WEEKDAYS, _weekdays),
}  # fmt: skip
