"""A cron line of five fields, as crontab(5) has it: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import NamedTuple

from core.automation.schedule import Wall
from core.errors import UserError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
FIELDS = 5

_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
_LOOKS = re.compile(r"(?=.*\*)(?:[0-9*,/a-z#?-]+ ){4}[0-9*,/a-z#?-]+", re.IGNORECASE)
_OTHERS = re.compile(r"[#?]|^l|[0-9][lw]$")
_IN_WORDS = " is of other crons; say it in words: /every last day of the month at 9, /every second monday of the month"


class BadCron(UserError):
    """{given} is not a cron line: {why}. Its fields are minute hour day month weekday: "0 9 * * 1-5" is 9:00 on workdays."""


class NeverComes(UserError):
    """{what} never comes: {why}."""


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59), _Field("hour", 0, 23), _Field("day of the month", 1, 31), _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, ("sun", *WEEKDAYS)),
)  # fmt: skip


def fields(words: list[str]) -> int:
    """How many words of a line are fields of cron, where it begins with them outside quotes: at least one is an asterisk."""
    if _LOOKS.fullmatch(" ".join(words[:FIELDS])) is None:
        return 0
    return FIELDS + len(list(takewhile(lambda word: "*" in word, words[FIELDS:])))


def read(text: str) -> Wall:
    """The rule of a cron line. Raises `BadCron` and `NeverComes`."""
    parts = text.lower().split()
    if len(parts) != FIELDS:
        more = ", as seconds and years have none" if len(parts) > FIELDS else ""
        raise BadCron(given=repr(text[:60]), why=f"it has {len(parts)} fields, not five{more}")
    minute, hour, day, month, weekday = (
        _numbers(text, field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    weekdays = {(number - 1) % 7 for number in weekday}
    either = not (parts[2].startswith("*") or parts[4].startswith("*"))
    if not either:
        refuse_never(day, month)
    return Wall(
        _listed(minute, 60), _listed(hour, 24), _listed(day, 31), _listed(month, 12),
        "*" if len(weekdays) == len(WEEKDAYS) else ",".join(WEEKDAYS[one] for one in sorted(weekdays)), either,
    )  # fmt: skip


def refuse_never(days: set[int], months: set[int]) -> None:
    """Raise `NeverComes` where none of these months has one of these days."""
    if min(days) > max(LENGTHS):
        raise NeverComes(what=f"Day {min(days)} of a month", why=f"no month has more than {max(LENGTHS)} days")
    if all(day > LENGTHS[month - 1] for day in days for month in months):
        month = max(months, key=lambda one: LENGTHS[one - 1])
        name = MONTHS[month - 1]
        raise NeverComes(what=f"{min(days)} {name}", why=f"{name} has {LENGTHS[month - 1]} days at most")


def _numbers(line: str, field: _Field, text: str) -> set[int]:
    """What a field allows."""
    found: set[int] = set()
    for part in text.split(","):
        read_part = _PART.fullmatch(part)
        why = f"{part!r} is no {field.name}"
        if read_part is None:
            raise BadCron(given=repr(line[:60]), why=f"{part!r}{_IN_WORDS}" if _OTHERS.search(part) else why)
        everything, first, last, step = read_part.groups()
        low = field.first if everything else _number(field, first)
        high = field.last if everything or (step and not last) else _number(field, last or first)
        if low is None or high is None or low > high or not 0 < int(step or 1) <= field.last:
            raise BadCron(given=repr(line[:60]), why=f"{why} from {field.first} to {field.last}")
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def _number(field: _Field, text: str) -> int | None:
    number = field.first + field.names.index(text) if text in field.names else int(text) if text.isdecimal() else None
    return number if number is not None and field.first <= number <= field.last else None


def _listed(numbers: set[int], size: int) -> str:
    return "*" if len(numbers) == size else ",".join(map(str, sorted(numbers)))
