"""What walks the calendar for schedules: loaded for the first of them, and never by a hub that has none."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.automation.schedule import Calendar


@cache
def calendar() -> Calendar:
    """APScheduler's triggers."""
    from adapters.timer import WallCalendar  # noqa: PLC0415 - see above

    return WallCalendar()
