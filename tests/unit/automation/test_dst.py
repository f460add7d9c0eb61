"""Schedules where the clocks are put forward and back: each time on the wall comes once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.timer import WallCalendar
from core.automation import cron
from core.automation.schedule import DAY_MS, HOUR_MS, Interval, Steps, Wall, due_after, local, moment, turn
from tests.depth import first

if TYPE_CHECKING:
    from core.automation.schedule import Rule

CALENDAR = WallCalendar()
ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Africa/Cairo",
    "Pacific/Apia", "UTC",
]  # fmt: skip
"""An hour forward at night, half an hour, none, at midnight (Cairo), and a day that was left out (Apia, 30 December 2011)."""


def ms(zone: str, text: str, *, fold: int = 0) -> int:
    """A moment by its local time, as `datetime` has it."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def shown(zone: str, at: int | None) -> str:
    assert at is not None
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


def times(rule: Rule, zone: str, start: str, count: int) -> list[str]:
    """The next times of a rule, as a clock there shows them."""
    at, found = ms(zone, start), []
    for _ in range(count):
        due = due_after(rule, at, ZoneInfo(zone), CALENDAR)
        assert due is not None
        assert due > at
        found.append(shown(zone, due))
        at = due
    return found


@pytest.mark.parametrize(
    ("zone", "at", "start", "comes"),
    [
        ("Europe/Berlin", "2:30", "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("Europe/Berlin", "2:30", "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("America/New_York", "2:00", "2026-03-07T12:00", ["2026-03-08T03:00-04:00", "2026-03-09T02:00-04:00"]),
        ("America/New_York", "1:59", "2026-10-31T12:00", ["2026-11-01T01:59-04:00", "2026-11-02T01:59-05:00"]),
        ("Australia/Lord_Howe", "2:10", "2026-10-03T12:00", ["2026-10-04T02:30+11:00", "2026-10-05T02:10+11:00"]),
        ("Australia/Lord_Howe", "1:45", "2026-04-04T12:00", ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
        ("Africa/Cairo", "0:15", "2026-04-23T12:00", ["2026-04-24T01:00+03:00", "2026-04-25T00:15+03:00"]),
        ("Asia/Kolkata", "2:30", "2026-03-28T12:00", ["2026-03-29T02:30+05:30", "2026-03-30T02:30+05:30"]),
        ("Pacific/Apia", "9:00", "2011-12-29T12:00", ["2011-12-31T00:00+14:00", "2011-12-31T09:00+14:00"]),
    ],
)  # fmt: skip
def test_a_daily_time_in_a_gap_comes_right_after_it_and_one_in_a_fold_the_first_time(
    zone: str, at: str, start: str, comes: list[str]
) -> None:
    hour, minute = at.split(":")
    assert times(Wall(str(int(minute)), hour), zone, start, 2) == comes


def test_all_that_a_gap_swallows_comes_once_together() -> None:
    every_ten = cron.read("*/10 * * * *")
    assert times(every_ten, "Europe/Berlin", "2026-03-29T01:45", 3) == [
        "2026-03-29T01:50+01:00", "2026-03-29T03:00+02:00", "2026-03-29T03:10+02:00",
    ]  # fmt: skip


def test_a_cron_line_waits_through_the_second_time_of_a_fold_and_an_interval_does_not() -> None:
    every_half = cron.read("*/30 * * * *")
    assert times(every_half, "Europe/Berlin", "2026-10-25T02:10", 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T03:00+01:00",
    ]
    passing = Interval(HOUR_MS, ms("Europe/Berlin", "2026-10-25T01:30"))
    assert times(passing, "Europe/Berlin", "2026-10-25T01:30", 3) == [
        "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00",
    ]  # fmt: skip


def test_in_the_second_time_of_a_fold_the_next_is_behind_it() -> None:
    second = ms("Europe/Berlin", "2026-10-25T02:10", fold=1)
    due = due_after(cron.read("*/30 * * * *"), second, ZoneInfo("Europe/Berlin"), CALENDAR)
    assert shown("Europe/Berlin", due) == "2026-10-25T03:00+01:00"


def test_every_other_day_keeps_its_time_of_the_day() -> None:
    rule = Steps(2, 0, "2026-03-25T02:30:00")
    assert times(rule, "Europe/Berlin", "2026-03-26T00:00", 3) == [
        "2026-03-27T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-31T02:30+02:00",
    ]  # fmt: skip


def test_what_was_missed_in_a_gap_is_made_up_for_once() -> None:
    zone = ZoneInfo("Europe/Berlin")
    due, now = ms("Europe/Berlin", "2026-03-29T01:50"), ms("Europe/Berlin", "2026-03-29T03:05")
    found = turn(cron.read("*/10 * * * *"), due, now, zone, CALENDAR)
    assert (shown("Europe/Berlin", found.due), found.late, found.earlier, shown("Europe/Berlin", found.then)) == (
        "2026-03-29T03:00+02:00", 300_000, True, "2026-03-29T03:10+02:00",
    )  # fmt: skip


def walked(zone: str, hour: int, minute: int, year: int) -> list[int]:
    """Each time of a daily rule in a year, found one from the other."""
    there, rule = ZoneInfo(zone), Wall(str(minute), str(hour))
    at, end = moment(datetime(year, 1, 1), there) - 1, moment(datetime(year + 1, 1, 1), there)  # noqa: DTZ001 - on the wall
    found = []
    while (due := due_after(rule, at, there, CALENDAR)) is not None and due < end:
        found.append(due)
        at = due
    return found


def once_a_day(zone: str, hour: int, minute: int, year: int) -> None:
    """Each day of the year has its time once: as the wall shows it, or, where it does not, when the clocks are put forward."""
    found = walked(zone, hour, minute, year)
    assert all(one < other for one, other in pairwise(found))
    there = ZoneInfo(zone)
    day, days = date(year, 1, 1), []
    while day.year == year:
        days.append(datetime(day.year, day.month, day.day, hour, minute))  # noqa: DTZ001 - on the wall
        day += timedelta(days=1)
    assert len(found) == len(days)
    for at, wall in zip(found, days, strict=True):
        if local(at, there) == wall:
            assert datetime.fromtimestamp(at / 1000, there).fold == 0
            continue
        after = datetime.fromtimestamp(at / 1000, there)
        before = datetime.fromtimestamp(at / 1000 - 1, there)
        assert after.utcoffset() > before.utcoffset()  # type: ignore[operator]
        assert before.replace(tzinfo=None) < wall < after.replace(tzinfo=None)


@pytest.mark.parametrize("zone", first(2, ["Australia/Lord_Howe", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
def test_each_local_time_comes_exactly_once_a_day_all_through_a_year(zone: str) -> None:
    once_a_day(zone, 2, 15, 2026)


@pytest.mark.long
@given(
    st.sampled_from([zone for zone in ZONES if zone != "Pacific/Apia"]), st.integers(0, 23), st.integers(0, 59),
    st.integers(1980, 2036),
)  # fmt: skip
def test_each_local_time_comes_exactly_once_a_day_in_any_zone_and_year(
    zone: str, hour: int, minute: int, year: int
) -> None:
    once_a_day(zone, hour, minute, year)


@pytest.mark.deep
@given(st.sampled_from(ZONES), st.datetimes(datetime(1975, 1, 1), datetime(2036, 1, 1)))  # noqa: DTZ001 - on the wall
def test_a_wall_time_is_the_first_moment_at_which_the_clock_has_come_so_far(zone: str, wall: datetime) -> None:
    wall = wall.replace(second=0, microsecond=0)
    there = ZoneInfo(zone)
    at = moment(wall, there)
    assert local(at, there) >= wall
    assert local(at - 1, there) < wall or datetime.fromtimestamp(at / 1000 - 1, UTC).astimezone(there).fold == 1
    if local(at, there) == wall:
        assert at == round(wall.replace(tzinfo=there, fold=0).timestamp() * 1000)


@pytest.mark.deep
@given(st.sampled_from(ZONES), st.integers(0, 40 * 365), st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 9 13 * 5"]))
def test_the_next_time_is_ahead_and_none_lies_between(zone: str, day: int, line: str) -> None:
    there, rule, at = ZoneInfo(zone), cron.read(line), day * DAY_MS
    due = due_after(rule, at, there, CALENDAR)
    assert due is not None
    assert due > at
    assert due_after(rule, due - 1, there, CALENDAR) == due
