"""Days and times: today, the day of the week, what lies between two days, and what comes after a while."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use
from core.automation.schedule import gap_of
from core.errors import UserError

if TYPE_CHECKING:
    from datetime import tzinfo

_STEP = re.compile(r"([+-]?)\s*(\d{1,6})\s*(year|month|week|day|hour|minute)s?\b,?(?:\s*and\b)?", re.IGNORECASE)
_WEEK, _WORK = 7, 5
_MONTHS = {"year": 12, "month": 1}


class BadDay(UserError):
    """{given} is no day or time that is known here. Write it as 2026-12-24 or 2026-12-24T18:30, or say today or now."""


class BadStep(UserError):
    """{given} is no stretch of time. Write it as 3 weeks, 1 year 2 months or -90 minutes."""


class NoZone(UserError):
    """{given} is no time zone. Write one as Europe/Berlin, America/New_York or UTC."""


class NoSuchYear(UserError):
    """That day is outside the years 1 to 9999."""


@tool(lambda a: f"look up the day {said(a['day'])}{' ' + said(a['add']) if a['add'] else ''}", sold=True)
async def date(  # noqa: PLR0913 - all of them may be left out
    here: Here,
    use: Use,
    *,
    day: Annotated[str, Field(description="today, now, 2026-12-24 or 2026-12-24T18:30")] = "now",
    add: Annotated[str, Field(description="what to add to it, such as 3 weeks, or -1 month 2 days")] = "",
    until: Annotated[str, Field(description="another day, to count the time up to it")] = "",
    zone: Annotated[str, Field(description="the time zone of the days, such as Europe/Berlin")] = "",
    into: Annotated[str, Field(description="another time zone, to say the time in")] = "",
) -> Output:
    """Tell the date and time now, the weekday of a day, a day some time later, the days between two, the time in another zone."""
    now = datetime.fromtimestamp(here.clock.now() / 1000, UTC).astimezone(
        _zone(zone) or here.zone
    )  # or the machine's own
    read = partial(_moment, now=now, zone=now.tzinfo or UTC)
    try:
        notes: list[str] = []
        found = _real(read(day), notes)
        if add.strip():
            found = _real(_later(found, add), notes)
        lines = [_told(found), *notes]
        if into.strip():
            lines.append(f"That is {_told(found.astimezone(_zone(into)))}")
        if until.strip():
            end = _real(read(until), notes := [])
            lines += [_between(found, end), *notes]
    except (OverflowError, ValueError):
        raise NoSuchYear from None
    return Output("\n".join(lines), outside=False)


def _real(moment: datetime, notes: list[str]) -> datetime:
    """A moment as clocks show it; of what they leave out the moment that is taken for it, with a note that says so."""
    wall = moment.replace(tzinfo=None)
    gap = gap_of(wall, moment.tzinfo or UTC)
    if gap is None:
        return moment
    notes.append(gap.words(wall))
    return gap.end.replace(tzinfo=moment.tzinfo)


def _zone(name: str) -> tzinfo | None:
    if not name.strip():
        return None
    try:
        return ZoneInfo(name.strip())
    except (ValueError, OSError, LookupError):  # it is a name of a file, too
        raise NoZone(given=said(name)) from None


def _moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    word = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    known = {
        "now": now,
        "": now,
        "today": midnight,
        "tomorrow": midnight + timedelta(1),
        "yesterday": midnight - timedelta(1),
    }
    if word in known:
        return known[word]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadDay(given=said(text)) from None
    return found.astimezone(zone) if found.tzinfo else found.replace(tzinfo=zone)


def _later(start: datetime, text: str) -> datetime:
    """A day so much later: years and months by the calendar, days by the clock on the wall, hours by the time that passes."""
    steps = _STEP.findall(text)
    if not steps or _STEP.sub("", text).strip():
        raise BadStep(given=said(text))
    sign, months, days, minutes = "", 0, 0, 0
    for given, number, unit in steps:
        sign = given or sign
        count = int(f"{sign}{number}")
        match unit.lower():
            case "year" | "month" as unit_of_months:
                months += count * _MONTHS[unit_of_months]
            case "week":
                days += count * _WEEK
            case "day":
                days += count
            case "hour":
                minutes += count * 60
            case _:
                minutes += count
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    moved = start.replace(year=year, month=month + 1, day=min(start.day, last)) + timedelta(days)
    return (moved.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(start.tzinfo) if minutes else moved


def _told(moment: datetime) -> str:
    name = getattr(moment.tzinfo, "key", "") or moment.tzname()
    week, at = moment.isocalendar().week, "" if _is_midnight(moment) else f" {moment:%H:%M}"
    date_there = f"{moment:%A}, {moment.day} {moment:%B %Y}{at}"
    return f"{date_there} ({moment.date()}, {name}, {moment:%z}; week {week}, day {moment:%j} of the year)"


def _is_midnight(moment: datetime) -> bool:
    return not (moment.hour or moment.minute)


def _between(start: datetime, end: datetime) -> str:
    """How long it is from one to the other; whole days are those of the calendar."""
    days = (end.date() - start.date()).days
    if (_is_midnight(start) and _is_midnight(end)) or abs(days) > 1:
        weeks = f" ({abs(days) // _WEEK} weeks and {abs(days) % _WEEK} days)" if abs(days) >= _WEEK else ""
        return f"From {start.date()} to {end.date()}: {days:,} days{weeks}, {_working(start, end):,} of them Monday to Friday"
    minutes = round((end - start).total_seconds() / 60)
    return f"From then to {_told(end)}: {minutes // 60 if minutes >= 0 else -(-minutes // 60)} hours {abs(minutes) % 60} minutes"


def _working(start: datetime, end: datetime) -> int:
    """The days from Monday to Friday from the earlier day on, up to the later one, without that."""
    first, last = sorted((start.date().toordinal(), end.date().toordinal()))
    weeks, rest = divmod(last - first, _WEEK)
    return weeks * _WORK + sum((first + day - 1) % _WEEK < _WORK for day in range(rest))
