"""When a schedule comes round: rules, and what they come to in a zone whose clocks are put forward and back.

A rule of the wall clock gives times as a clock on the wall shows them. A time that the clocks leave out in spring comes at the
moment they are put forward; one that they show twice in autumn comes the first time. So each comes once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, get_type_hints

from core.errors import UserError

if TYPE_CHECKING:
    from datetime import tzinfo

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SHORTEST_MS = MINUTE_MS
"""Between two runs of a schedule, at least."""
YEARS = 10
"""How far ahead a schedule may reach."""
LATE_MS = 15_000
"""From when on a run is said to be late: a busy hub is, a little."""
MISSED_MS = DAY_MS
"""What the hub could not do for so long is not made up for: it is told as missed."""

_FAR_MS = 200_000_000_000_000
"""Well within the years that a date may have."""


class UnknownZone(UserError):
    """{zone} is not a time zone of this machine's. Zones look like Europe/Berlin: TIMMY_TIMEZONE."""


class What(StrEnum):
    """What a schedule does when it comes round."""

    COMMAND = "command"
    """A slash command is run."""
    ASK = "ask"
    """The agent is asked."""
    REMINDER = "reminder"
    """Words come back as a message."""


class Line(NamedTuple):
    """What was written behind `/every` or `/at`: a time, and what is to be done."""

    when: str
    what: What
    text: str


class Once(NamedTuple):
    """At one moment, Unix ms."""

    at: int


class Interval(NamedTuple):
    """So many milliseconds after `since`, and again and again: time as it passes, whatever the clocks show."""

    ms: int
    since: int


class Wall(NamedTuple):
    """Whenever the clock on the wall shows it: the fields of cron, as numbers between commas, or `*`.

    `weekday` in names (`mon,fri`), `day` also `last` and `1st mon`. `either`: one of `day` and `weekday` is enough, as cron has it.
    """

    minute: str
    hour: str
    day: str = "*"
    month: str = "*"
    weekday: str = "*"
    either: bool = False


class Steps(NamedTuple):
    """From a local time on (ISO), each so many days or months later, at the same time of the day."""

    days: int
    months: int
    start: str


class Unread(NamedTuple):
    """What was kept and is no rule: of another version, or spoilt by a hand."""

    text: str


Rule = Once | Interval | Wall | Steps | Unread
_RULES: dict[str, type[Once | Interval | Wall | Steps]] = {
    kind.__name__.lower(): kind for kind in (Once, Interval, Wall, Steps)
}


_FIELDS = {name: tuple(get_type_hints(kind).values()) for name, kind in _RULES.items()}


class Calendar(Protocol):
    """Walks the calendar (`adapters/timer`)."""

    def here(self) -> str:
        """The name of the zone of this machine."""

    def zone(self, name: str) -> tzinfo:
        """A zone by its name. Raises `UnknownZone`."""

    def following(self, rule: Wall | Steps, after: datetime) -> datetime | None:
        """The first local time (naive) of a rule behind another; None if none comes within ten years of it."""


def dump(rule: Rule) -> str:
    """A rule as it is kept."""
    return json.dumps([type(rule).__name__.lower(), *rule])


def load(text: str) -> Rule:
    """A rule that was kept, or that it is `Unread`: one that is stops no others."""
    try:
        kind, *fields = json.loads(text)
        rule = _RULES[kind](*fields)
    except (LookupError, TypeError, ValueError):
        return Unread(text)
    fields = [*rule]
    kinds = zip(fields, _FIELDS[kind], strict=True)
    sound = all(type(value) is kind and (isinstance(value, str) or 0 <= value < _FAR_MS) for value, kind in kinds)
    return rule if sound and not (isinstance(rule, Interval) and rule.ms < SHORTEST_MS) else Unread(text)


def local(at: int, zone: tzinfo) -> datetime:
    """What the clock on the wall shows at a moment, naive."""
    return (datetime.fromtimestamp(at // 1000, UTC) + timedelta(milliseconds=at % 1000)).astimezone(zone).replace(
        tzinfo=None, fold=0
    )  # fmt: skip


def moment(wall: datetime, zone: tzinfo) -> int:
    """When the clock on the wall shows this first, Unix ms; where it never does, when it is put forward past it."""
    before, after = (_offset(wall, zone, fold) for fold in (0, 1))
    if after <= before:  # no gap: in a fold, the first of both
        return _ms(wall - before)
    low, high = _ms(wall - after) // 1000, _ms(wall - before) // 1000  # the clocks are put forward in between
    while low < high:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == after:
            high = middle
        else:
            low = middle + 1
    return low * 1000


class Gap(NamedTuple):
    """What the clock on the wall never shows, local and naive: it is put forward from `start` to `end`."""

    start: datetime
    end: datetime

    def words(self, wall: datetime) -> str:
        """That a time is left out, and which is taken for it."""
        form = "%H:%M" if self.start.date() == self.end.date() else "%Y-%m-%d %H:%M"
        return (
            f"{wall:{form}} is on no clock there: the clocks are put forward then, from {self.start:{form}} to {self.end:{form}},"
            " and that is taken for it."
        )


def gap_before(at: int, zone: tzinfo) -> Gap | None:
    """What is left out on the clock right before a moment, Unix ms; None where it is not put forward then."""
    end, start = local(at, zone), local(at - 1000, zone) + timedelta(seconds=1)
    return Gap(start, end) if end > start else None


def gap_of(wall: datetime, zone: tzinfo) -> Gap | None:
    """What is left out on the clock where it should show this, local and naive; None where it does show it."""
    before, after = (_offset(wall, zone, fold) for fold in (0, 1))
    return gap_before(moment(wall, zone), zone) if after > before else None


def _offset(wall: datetime, zone: tzinfo, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()


def _ms(utc: datetime) -> int:
    return (utc - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001 - both are UTC


def due_after(rule: Rule, after: int, zone: tzinfo, calendar: Calendar) -> int | None:
    """The first time of a rule behind a moment, Unix ms; None if none comes any more, or not within ten years.

    Raises an `ArithmeticError`, `LookupError`, `TypeError` or `ValueError` for what is no rule.
    """
    if isinstance(rule, Unread):
        raise TypeError(rule)
    if isinstance(rule, Once):
        return rule.at if rule.at > after else None
    if isinstance(rule, Interval):
        return rule.since + ((after - rule.since) // rule.ms + 1) * rule.ms
    wall: datetime | None = local(after, zone)
    while wall is not None and (wall := calendar.following(rule, wall)) is not None:
        if (due := moment(wall, zone)) > after:
            return due
    return None


class Turn(NamedTuple):
    """A time that has come: `due`, Unix ms, and how `late` it is, ms. `earlier`: others before it were missed.

    `runs`: it is not so late that it is only told as missed. `then`: when it comes round again, None for never.
    """

    due: int
    late: int
    runs: bool
    earlier: bool
    then: int | None


def turn(rule: Rule, due: int, now: int, zone: tzinfo, calendar: Calendar) -> Turn:
    """What is to be done of a rule whose next time was `due` and is over: the latest of all that were missed, and no other."""
    latest = due
    for back in (HOUR_MS, MISSED_MS):  # a year of minutes is not walked through
        latest = _latest(rule, max(due, now - back), now, zone, calendar) or due
        if latest > due:
            break
    late = now - latest
    return Turn(latest, late, late <= MISSED_MS, latest > due, due_after(rule, now, zone, calendar))


def _latest(rule: Rule, start: int, now: int, zone: tzinfo, calendar: Calendar) -> int | None:
    latest, found = None, due_after(rule, start - 1, zone, calendar)
    while found is not None and found <= now:
        latest, found = found, due_after(rule, found, zone, calendar)
    return latest
