"""Walks the calendar for schedules, with APScheduler's triggers, in a clock without zones: those are the rules' business."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from tzlocal import get_localzone_name

from core.automation.schedule import YEARS, Steps, UnknownZone

if TYPE_CHECKING:
    from datetime import tzinfo

    from apscheduler.triggers.base import BaseTrigger

    from core.automation.schedule import Wall

log = logging.getLogger(__name__)

_ONE = timedelta(microseconds=1)


class WallCalendar:
    """`core.automation.schedule.Calendar`."""

    def here(self) -> str:
        """See `Calendar`; UTC where the machine does not say, or names what is none."""
        try:
            name = str(get_localzone_name() or "")
            self.zone(name)
        except (UnknownZone, LookupError, OSError, ValueError) as error:
            log.warning("this machine names no time zone (%s): schedules use UTC; see TIMMY_TIMEZONE", error)
            return "UTC"
        return name

    def zone(self, name: str) -> tzinfo:
        """See `Calendar`."""
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise UnknownZone(zone=repr(name[:60])) from None

    def following(self, rule: Wall | Steps, after: datetime) -> datetime | None:
        """See `Calendar`."""
        start = after.replace(tzinfo=UTC) + _ONE
        end = start + timedelta(days=366 * YEARS)
        found = _steps(rule, start, end) if isinstance(rule, Steps) else _shown(rule, start, end)
        return None if found is None else found.replace(tzinfo=None)


def _shown(rule: Wall, start: datetime, end: datetime) -> datetime | None:
    trigger: BaseTrigger = _fields(rule, rule.day, rule.weekday, end)
    if rule.either:
        trigger = OrTrigger([_fields(rule, rule.day, "*", end), _fields(rule, "*", rule.weekday, end)])
    found: datetime | None = trigger.get_next_fire_time(None, start)
    return found


def _fields(rule: Wall, day: str, weekday: str, end: datetime) -> CronTrigger:
    return CronTrigger(
        minute=rule.minute, hour=rule.hour, day=day, month=rule.month, day_of_week=weekday, end_date=end, timezone=UTC
    )


def _steps(rule: Steps, start: datetime, end: datetime) -> datetime | None:
    """The trigger steps from its first day on; of days, those that are over are leapt over at once."""
    first = datetime.fromisoformat(rule.start).replace(tzinfo=UTC)
    if rule.days and start > first:
        first += timedelta(days=(start - first).days // rule.days * rule.days)
    trigger = CalendarIntervalTrigger(
        days=rule.days, months=rule.months, hour=first.hour, minute=first.minute, start_date=first.date(),
        end_date=end.date(), timezone=UTC,
    )  # fmt: skip
    found: datetime | None = None
    while (found := trigger.get_next_fire_time(found, start)) is not None and found < start:
        pass
    return found
