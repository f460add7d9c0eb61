"""WHEN and COMMAND of `/every` and `/at`: told apart, and the time made a rule.

Said without a time of the day, it is 9:00. Hours are those of a day of 24 unless `am`, `pm` or a part of the day is said.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.automation import amiss, cron
from core.automation.schedule import (
    DAY_MS,
    SHORTEST_MS,
    YEARS,
    Interval,
    Line,
    Once,
    Steps,
    Wall,
    What,
    gap_before,
    local,
    moment,
)
from core.errors import UserError
from core.language.moments import LAST, MONTHS_OF, begins, read_moment
from core.language.words import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from core.automation.schedule import Calendar, Rule
    from core.language.moments import Moment

AT_HOUR = 9
"""Where no time of the day is said."""
PARTS = {"morning": 9, "afternoon": 15, "evening": 18, "night": 21, "": AT_HOUR}
_HALF = 12
_OFFSET = 14 * 60
"""Minutes. No clock of the world is further from UTC."""
_LATE = {"afternoon": 1, "evening": 1, "night": 6}
"""The first hour of twelve that is one after noon in this part of the day: four at night is early."""
_STEPS_MS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_MORE = {"at", "on", "every", "each"}
"""What goes on with a time."""

_QUOTES = str.maketrans("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019", '"""""\'\'')
_QUOTED = re.compile(r"""(["'])(.+?)\1(?=\s|$)""", re.DOTALL)
_REMIND = re.compile(
    r"(?:please\s+)?(?:(?:remind|nudge|alert)\s+(?:me|us)|(?:a\s+)?reminder)(?:\s+(?:to|about|of|that|for)|\s*:)?\s+",
    re.IGNORECASE,
)


class UnreadTime(UserError):
    """I do not read {given} as a time. Write it so: {examples}."""


class Unclear(UserError):
    """{given} is not one clear time. Write it so: {examples}."""


class PastTime(UserError):
    """{given} is over: it was {when}, and now it is {now}. Name a time that is still to come."""


class TooFrequent(UserError):
    """{given} is too often: a schedule runs once a minute at most. /every minute is the shortest."""


class TooFar(UserError):
    """{given} is too far away: a schedule reaches {years} years ahead at most. The furthest is {furthest}."""


class NoSuchTime(UserError):
    """{given} names {what}, which is on no clock or calendar. Write it so: {examples}."""


class Repeats(UserError):
    """{given} comes again and again: write /every {given}. /at is for one time."""


class ComesOnce(UserError):
    """{given} comes once: write /at {given}. /every is for what comes again: {examples}."""


class EachYear(UserError):
    """{given} is a day of the year. Write /every year on {given} for each of them, or /at {given} for the next one alone."""


class BadTail(UserError):
    """I read {when} as the time, and not what follows: {given}. Put the whole time in quotes if it belongs to it: {examples}."""


class HalfQuoted(UserError):
    """{given} begins with a quote and does not end with it. Quote all of it for a reminder, or none of it for the agent."""


class NothingToRun(UserError):
    """What should happen {given}? Write a command, text for the agent, or "words in quotes" for a reminder. Usage: {usage}"""


EVERY = "/every day at 9, /every weekday at 7:30, /every 2 hours, /every month on the 1st at 8"
AT = "/at tomorrow at 9, /at in 20 minutes, /at friday 17:00, /at 2027-12-24T18:00"


@dataclass(frozen=True, slots=True)
class Now:
    """The moment in which a time is read, Unix ms, and the zone whose clock is meant."""

    at: int
    zone: tzinfo

    @property
    def wall(self) -> datetime:
        """What the clock on the wall shows."""
        return local(self.at, self.zone)


def read_line(rest: str, *, every: bool) -> Line:
    """Tell WHEN and COMMAND apart. Raises `UnreadTime` where none begins the line, and `NothingToRun`.

    A WHEN in quotes is what they hold, else as many words as are a time.
    """
    quoted = _QUOTED.match(rest.translate(_QUOTES))
    usage = "/every WHEN COMMAND" if every else "/at WHEN COMMAND"
    if quoted:
        when, command = rest[quoted.start(2) : quoted.end(2)], rest[quoted.end() :].strip()
    else:
        tokens = list(re.finditer(r"\S+", rest))
        words, written = split(rest)
        ends = next((n for n, token in enumerate(tokens) if n and _begins_quote(token[0])), len(tokens))
        words, written = words[:ends], written[:ends]  # what is quoted is no part of a time that is not
        end = cron.fields(written) if every else 0
        end = end or _reach(words, every=every)
        if not end:
            raise _unread(rest, words, every=every)
        cut = tokens[end - 1].end()
        when, command = rest[:cut].rstrip(" ,;:"), rest[cut:].strip()
    if every and not _is_cron(when) and _reach(["every", *split(when)[0]], every=False):
        when = f"every {when}"
    if not command.translate(_QUOTES).strip("\"' "):
        raise NothingToRun(given=_short(when), usage=usage)
    found = Line(when, *_what(command))
    plain = command.translate(_QUOTES)
    if found.what is What.ASK and _begins_quote(command) and plain.count(plain[0]) == 1:
        raise HalfQuoted(given=repr(_short(command)))
    if not quoted and found.what is What.ASK:
        amiss.refuse_tail(when, command, EVERY if every else AT)
        if command.split()[0].lower() in _MORE:
            raise BadTail(when=repr(when), given=repr(_short(command)), examples=EVERY if every else AT)
    return found


def _unread(given: str, words: Sequence[str], *, every: bool) -> UserError:
    """Why words are no time, as exactly as it is known. Raises what else is wrong with them."""
    examples = EVERY if every else AT
    amiss.refuse(words, examples)
    said, end = (
        max(_readings(words, every=False), key=lambda one: one[1])
        if every and _reach(words, every=False)
        else (None, 0)
    )
    if said is not None and said.day > 0 and said.month:
        day = " ".join(words[:end])
        if said.year:
            return ComesOnce(given=day, examples=EVERY)
        cron.refuse_never({said.day}, {said.month})
        return EachYear(given=day)
    if clock := amiss.clock(words):
        return NoSuchTime(given=repr(_short(given)), what=clock, examples=examples)
    return UnreadTime(given=repr(_short(given)), examples=examples)


def _begins_quote(text: str) -> bool:
    return text.translate(_QUOTES).startswith(('"', "'"))


def _is_cron(when: str) -> bool:
    """Whether a time is meant as a line of cron."""
    words, _ = split(when)
    fits = re.match(r"[0-9*]", when.strip()) is not None
    return fits and ("*" in when or (len(words) >= cron.FIELDS and not _readings(words, every=True)))


def _what(command: str) -> tuple[What, str]:
    if command.startswith("/"):
        return What.COMMAND, command
    quoted = _QUOTED.fullmatch(command.translate(_QUOTES))
    if quoted and (inside := command[quoted.start(2) : quoted.end(2)]).strip():
        return What.REMINDER, inside.strip()
    if (found := _REMIND.match(command)) and (words := command[found.end() :].strip()):
        return What.REMINDER, words
    return What.ASK, command


def _reach(words: Sequence[str], *, every: bool) -> int:
    """How many words from the first on are a time."""
    return max((end for _, end in _readings(words, every=every)), default=0)


def _readings(words: Sequence[str], *, every: bool) -> list[tuple[Moment, int]]:
    """What the words say, and how many of them, by each of the ways to begin that are left out in writing."""
    found = []
    for before in (("every",), ()) if every else ((), ("at",), ("on",), ("in",)):
        tried = [*before, *words]
        if tried and begins(tried[0]) and (said := read_moment(tried, 0)) is not None and said.end > len(before):
            found.append((said, said.end - len(before)))
    return found


def read_every(when: str, now: Now) -> Rule:
    """The rule of what comes again. Raises this module's errors, `BadCron` and `NeverComes`."""
    words, _ = split(when)
    if _is_cron(when):
        return cron.read(when)
    said = _whole(when, words, EVERY, every=True)
    if not said.period:
        raise ComesOnce(given=when, examples=EVERY)
    if said.ahead is not None or said.year or said.delay is not None or said.week or said.offset is not None:
        raise Unclear(given=repr(when), examples=EVERY)
    if said.period in {"second", "minute", "hour"}:
        return _interval(when, said, now)
    return _calendar(when, said, now)


def read_at(when: str, now: Now) -> Once:
    """The moment of what comes once. Raises this module's errors."""
    words, _ = split(when)
    said = _whole(when, words, AT, every=False)
    if said.period:
        raise Repeats(given=when.removeprefix("every ").removeprefix("each "))
    found = (_delayed if said.delay is not None or said.later else _dated)(when, said, now)
    if found <= now.at:
        raise PastTime(given=repr(when), when=_shown(found, now.zone), now=_shown(now.at, now.zone))
    if found > _furthest(now):
        raise _too_far(when, now)
    return Once(found)


def _furthest(now: Now) -> int:
    return now.at + YEARS * 366 * DAY_MS


def _too_far(when: str, now: Now) -> TooFar:
    return TooFar(given=repr(when), years=YEARS, furthest=f"/at {local(_furthest(now) - DAY_MS, now.zone):%Y-%m-%d}")


def left_out(when: str, rule: Rule, due: int, now: Now, calendar: Calendar) -> str:
    """That what was said is on no clock when it first comes (`due`, Unix ms), and what is taken for it; empty where it is."""
    gap = gap_before(due, now.zone)
    if gap is None or not isinstance(rule, (Once, Steps, Wall)):
        return ""
    if isinstance(rule, Once):
        said = _whole(when, split(when)[0], AT, every=False)
        hour, minute = _clock(said)
        wall = None if said.offset is not None else gap.start.replace(hour=hour, minute=minute)
    else:
        wall = calendar.following(rule, gap.start - timedelta(seconds=1))
    return gap.words(wall) if wall is not None and gap.start <= wall < gap.end else ""


def _whole(when: str, words: Sequence[str], examples: str, *, every: bool) -> Moment:
    """What all of the words say."""
    readings = _readings(words, every=every)
    said = next((one for one, end in readings if end == len(words)), None)
    if said is None:
        raise _unread(when, words, every=every)
    if said.clash:
        raise Unclear(given=repr(when), examples=examples)
    if said.hour is not None and (said.hour > 23 or said.minute > 59):  # noqa: PLR2004 - a clock
        raise NoSuchTime(given=repr(when), what=f"{said.hour}:{said.minute:02}", examples=examples)
    return said


def _interval(when: str, said: Moment, now: Now) -> Interval:
    if said.hour is not None or said.part or said.weekdays or said.day or said.month:
        raise Unclear(given=repr(when), examples=EVERY)
    ms = said.number * _STEPS_MS[said.period]
    if ms < SHORTEST_MS:
        raise TooFrequent(given=repr(when))
    if ms > YEARS * 366 * DAY_MS:
        raise TooFar(given=repr(when), years=YEARS, furthest=f"/every {YEARS} years")
    return Interval(ms, now.at)


def _calendar(when: str, said: Moment, now: Now) -> Rule:
    """A rule of the wall clock: days, weeks, months, quarters or years."""
    hour, minute = _clock(said)
    if said.period in {"day", "week"}:
        if said.day or said.month or said.nth:
            raise Unclear(given=repr(when), examples=EVERY)
        return _weekly(when, said, now, hour, minute)
    if said.weekdays and not said.nth:
        raise Unclear(given=repr(when), examples=EVERY)
    months = MONTHS_OF[said.period] * said.number
    if months > YEARS * 12:
        raise TooFar(given=repr(when), years=YEARS, furthest=f"/every {YEARS} years")
    day = said.day or 1
    month = said.month or (1 if said.period == "year" else 0)
    if day > 0 and not said.nth:
        cron.refuse_never({day}, {month} if month else set(range(1, 13)))
    if said.number > 1 and not said.nth and day != LAST:
        return Steps(0, months, _first(now, month, day, hour, minute).isoformat())
    if said.number > 1:
        raise UnreadTime(given=repr(when), examples=EVERY)
    which = str(day) if day > 0 else "last"
    if said.nth:
        nth = "last" if said.nth == LAST else _ordinal(when, said.nth)
        which = ",".join(f"{nth} {cron.WEEKDAYS[one]}" for one in sorted(said.weekdays))
    chosen = str(month) if month else "1,4,7,10" if said.period == "quarter" else "*"
    return Wall(str(minute), str(hour), which, chosen)


def _ordinal(when: str, nth: int) -> str:
    if nth not in range(1, 6):
        raise NoSuchTime(given=repr(when), what=f"the {nth}. such day of a month", examples=EVERY)
    return ("1st", "2nd", "3rd", "4th", "5th")[nth - 1]


def _weekly(when: str, said: Moment, now: Now, hour: int, minute: int) -> Rule:
    if said.period == "day" and (said.number == 1 or said.weekdays):
        if said.number > 1:
            raise Unclear(given=repr(when), examples=EVERY)
        return Wall(str(minute), str(hour), weekday=_names(said.weekdays))
    weekdays = said.weekdays or frozenset({now.wall.weekday()})
    if said.period == "week" and said.number == 1:
        return Wall(str(minute), str(hour), weekday=_names(weekdays))
    if len(weekdays) > 1:
        raise UnreadTime(given=repr(when), examples=EVERY)
    days = said.number * (7 if said.period == "week" else 1)
    if days > YEARS * 366:
        raise TooFar(given=repr(when), years=YEARS, furthest=f"/every {YEARS} years")
    start = now.wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if said.weekdays:
        start += timedelta(days=(min(weekdays) - start.weekday()) % 7)
    return Steps(days, 0, start.isoformat())


def _names(weekdays: frozenset[int]) -> str:
    return ",".join(cron.WEEKDAYS[one] for one in sorted(weekdays)) or "*"


def _first(now: Now, month: int, day: int, hour: int, minute: int) -> datetime:
    """The first such day from this month, or this year, on."""
    start = now.wall.replace(day=1, hour=hour, minute=minute, second=0, microsecond=0)
    while (month and start.month != month) or day > _length(start):
        start = (start + timedelta(days=31)).replace(day=1)
    return start.replace(day=day)


def _length(date: datetime) -> int:
    return monthrange(date.year, date.month)[1]


def _delayed(when: str, said: Moment, now: Now) -> int:
    """`in 20 minutes`; of days and months, at the same time of the day, or at the one that is said."""
    clock = said.hour is not None or bool(said.part)
    if said.weekdays or said.day or said.month or said.week or said.ahead is not None:
        raise Unclear(given=repr(when), examples=AT)
    if said.delay is not None and said.delay.unit != "d":
        if clock or said.later:
            raise Unclear(given=repr(when), examples=AT)
        return now.at + said.delay.amount * _STEPS_MS[said.delay.unit]
    days = 0 if said.delay is None else said.delay.amount
    wall = _months_on(now.wall, min(said.later, YEARS * 13)) + timedelta(days=min(days, YEARS * 400))
    if clock:
        hour, minute = _clock(said)
        wall = wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return moment(wall, now.zone)


def _months_on(wall: datetime, months: int) -> datetime:
    """The same day so many months later, or the last one of that month."""
    years, month = divmod(wall.month - 1 + months, 12)
    start = wall.replace(year=wall.year + years, month=month + 1, day=1)
    return start.replace(day=min(wall.day, _length(start)))


def _dated(when: str, said: Moment, now: Now) -> int:
    hour, minute = _clock(said)
    clock = now.wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if said.offset is not None:
        return _fixed(when, said, hour, minute)
    if said.year or said.day or said.month or said.nth:
        return _of_a_month(when, said, clock, now)
    if said.weekdays:
        return _of_a_week(when, said, clock, now)
    if said.ahead is not None or said.week:
        return moment(clock + timedelta(days=7 if said.week else said.ahead or 0), now.zone)
    found = moment(clock, now.zone)  # a time of the day: today, or else tomorrow
    return found if found > now.at else moment(clock + timedelta(days=1), now.zone)


def _fixed(when: str, said: Moment, hour: int, minute: int) -> int:
    """A date with its own distance from UTC."""
    offset = said.offset or 0
    if abs(offset) > _OFFSET:
        raise NoSuchTime(given=repr(when), what=f"a clock {abs(offset) // 60} hours from UTC", examples=AT)
    return moment(_on_calendar(when, said.year, said.month, said.day, hour, minute) - timedelta(minutes=offset), UTC)


def _of_a_month(when: str, said: Moment, clock: datetime, now: Now) -> int:
    """A day of a month, of the year that is said or the first in which it is still to come."""
    if said.year:
        return moment(_on_calendar(when, said.year, said.month, said.day, clock.hour, clock.minute), now.zone)
    if said.nth or said.day <= 0 or said.weekdays:
        raise UnreadTime(given=repr(when), examples=AT)
    cron.refuse_never({said.day}, {said.month} if said.month else set(range(1, 13)))
    start = clock.replace(day=1)
    while True:
        if said.month in {0, start.month} and said.day <= _length(start):
            found = moment(start.replace(day=said.day), now.zone)
            if found > now.at:
                return found
        start = (start + timedelta(days=31)).replace(day=1)


def _on_calendar(when: str, year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    if not 1 <= month <= 12:  # noqa: PLR2004 - months
        raise NoSuchTime(given=repr(when), what=f"month {month}", examples=AT)
    if not 1 <= day <= monthrange(year, month)[1]:
        name = cron.MONTHS[month - 1]
        raise cron.NeverComes(what=f"{day} {name} {year}", why=f"{name} {year} has {monthrange(year, month)[1]} days")
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001 - a clock on the wall


def _of_a_week(when: str, said: Moment, clock: datetime, now: Now) -> int:
    if len(said.weekdays) > 1:
        raise Repeats(given=when)
    (weekday,) = said.weekdays
    day = clock + timedelta(days=(weekday - clock.weekday()) % 7)
    if said.week:
        monday = clock + timedelta(days=7 - clock.weekday())
        return moment(monday + timedelta(days=weekday), now.zone)
    if said.ahead is not None:
        raise Unclear(given=repr(when), examples=AT)
    found = moment(day, now.zone)
    over = found <= now.at or (said.strictly and day.date() == now.wall.date())
    return moment(day + timedelta(days=7), now.zone) if over else found


def _clock(said: Moment) -> tuple[int, int]:
    """The time of the day, in hours from 0 to 23."""
    if said.hour is None:
        return PARTS[said.part], 0
    hour = said.hour
    if said.half and 0 < hour <= _HALF:
        return hour % _HALF + (_HALF if said.half == "pm" else 0), said.minute
    if hour == _HALF and said.part == "night":
        return 0, said.minute
    if _LATE.get(said.part, _HALF) <= hour < _HALF:
        hour += _HALF
    return hour, said.minute


def _shown(at: int, zone: tzinfo) -> str:
    return f"{local(at, zone):%a %d %b %Y %H:%M}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"  # noqa: PLR2004 - a line
