"""Quiet hours: a stretch of each day in somebody's zone, right on the days on which clocks are put forward or back. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import UserError

if TYPE_CHECKING:
    from datetime import date, tzinfo

_HOURS = re.compile(r"([01]?[0-9]|2[0-4])[:.]([0-5][0-9])-+([01]?[0-9]|2[0-4])[:.]([0-5][0-9])")
_DAY = 24 * 60


class BadHours(UserError):
    """{given} are no quiet hours. Write them as 22:00-07:00: from when until when, in 24 hours and apart from each other."""


class BadZone(UserError):
    """There is no time zone {given}. Zones are named as in Europe/Berlin, America/New_York or UTC."""


class Hours(NamedTuple):
    """From `first` until `last`, minutes after midnight; of the next day where that is not later. `zone`: empty for the hub's."""

    first: int
    last: int
    zone: str = ""

    @property
    def words(self) -> str:
        """`22:00-07:00`."""
        return "-".join(f"{one // 60:02}:{one % 60:02}" for one in (self.first, self.last))

    @property
    def said(self) -> str:
        """The same, with the zone where it is another than the hub's, or was."""
        lost = " (not known here any more: the hub's zone counts)" if self.zone and _known(self.zone) is None else ""
        return f"{self.words} {self.zone}".rstrip() + lost

    def stretch(self, now: int, zone: tzinfo | None) -> tuple[int, int] | None:
        """The quiet stretch in which `now` (Unix ms) is, from when until when; None if it is in none.

        `zone` is the hub's (None: the system's). A time that a day does not have counts as that much later, one that it has twice
        as the first. A zone that this machine does not know any more is the hub's.
        """
        zone = (_known(self.zone) if self.zone else None) or zone
        today = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            begins = _at(day, self.first, zone)
            ends = _at(day if self.last > self.first else day + timedelta(days=1), self.last, zone)
            if begins <= now < ends:
                return begins, ends
        return None


def _at(day: date, minute: int, zone: tzinfo | None) -> int:
    """When a wall clock of the zone shows this minute, Unix ms; one without a zone is the system's."""
    return round(datetime.combine(day, time(minute // 60, minute % 60), zone).timestamp() * 1000)


def parse_hours(given: str, zone: str | None = None) -> Hours:
    """Hours as people write them. Raises `BadHours` and `BadZone`."""
    found = _HOURS.fullmatch(given.strip())
    first, last = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3)) if found else (0, 0)
    if first > _DAY or last > _DAY or first % _DAY == last % _DAY:
        raise BadHours(given=repr(given[:40]))
    return Hours(first % _DAY, last % _DAY, _zone(zone))


def _zone(given: str | None) -> str:
    if not given:
        return ""
    zone = _known(given)
    if zone is None:
        raise BadZone(given=repr(given[:40]))
    return zone.key


def _known(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
