"""Quiet hours, on every kind of day."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.automation.quiet import BadHours, BadZone, Hours, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Hours(22 * 60, 7 * 60)
HOUR = 3_600_000


def berlin(text: str, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("hours", "now", "stretch"),
    [
        (NIGHT, "2026-06-01T21:59", None),
        (NIGHT, "2026-06-01T22:00", ("2026-06-01T22:00", "2026-06-02T07:00")),
        (NIGHT, "2026-06-02T06:59", ("2026-06-01T22:00", "2026-06-02T07:00")),
        (NIGHT, "2026-06-02T07:00", None),
        (Hours(13 * 60, 14 * 60), "2026-06-02T13:30", ("2026-06-02T13:00", "2026-06-02T14:00")),
        (Hours(13 * 60, 14 * 60), "2026-06-02T02:30", None),
        (Hours(0, 60), "2026-06-02T00:30", ("2026-06-02T00:00", "2026-06-02T01:00")),
    ],
)
def test_the_stretch_in_which_a_moment_is(hours: Hours, now: str, stretch: tuple[str, str] | None) -> None:
    assert hours.stretch(berlin(now), BERLIN) == (stretch and tuple(berlin(one) for one in stretch))


def test_a_night_is_an_hour_shorter_or_longer_where_clocks_are_changed() -> None:
    begins, ends = NIGHT.stretch(berlin("2026-03-29T01:00"), BERLIN) or (0, 0)
    assert ends - begins == 8 * HOUR
    begins, ends = NIGHT.stretch(berlin("2026-10-25T01:00"), BERLIN) or (0, 0)
    assert ends - begins == 10 * HOUR


def test_a_time_that_a_day_does_not_have_is_that_much_later_and_one_it_has_twice_the_first() -> None:
    gap = Hours(2 * 60 + 30, 5 * 60)
    assert gap.stretch(berlin("2026-03-29T04:00"), BERLIN) == (berlin("2026-03-29T03:30"), berlin("2026-03-29T05:00"))
    twice = Hours(22 * 60, 2 * 60 + 30)
    assert twice.stretch(berlin("2026-10-25T02:29"), BERLIN) is not None
    assert twice.stretch(berlin("2026-10-25T02:29", fold=1), BERLIN) is None


def test_hours_of_a_zone_of_ones_own_are_not_the_hubs() -> None:
    abroad = Hours(22 * 60, 7 * 60, "America/New_York")
    assert abroad.stretch(berlin("2026-06-01T23:00"), BERLIN) is None
    assert abroad.stretch(berlin("2026-06-02T05:00"), BERLIN) is not None


@given(
    first=st.integers(0, 1439), last=st.integers(0, 1439),
    at=st.integers(berlin("2026-01-01T00:00"), berlin("2027-12-31T00:00")),
)  # fmt: skip
def test_a_stretch_holds_its_moment_and_is_of_about_its_length(first: int, last: int, at: int) -> None:
    found = Hours(first, last).stretch(at, BERLIN)
    minutes = (last - first) % 1440 or 1440
    if found is not None:
        assert found[0] <= at < found[1]
        assert abs(found[1] - found[0] - minutes * 60_000) <= HOUR
        still = Hours(first, last).stretch(found[0] - 1, BERLIN)
        assert still is None or still[1] <= found[0], "one ends before the next begins"


@pytest.mark.parametrize("text", ["22:00-07:00", "22.00-7.00", " 22:00--07:00 "])
def test_hours_as_people_write_them(text: str) -> None:
    assert parse_hours(text) == NIGHT
    assert parse_hours(text).words == "22:00-07:00"
    assert parse_hours("0:00-24:00".replace("24", "23"), "Europe/Berlin") == Hours(0, 23 * 60, "Europe/Berlin")
    assert parse_hours("20:00-24:00") == Hours(20 * 60, 0)


@pytest.mark.parametrize(
    "text", ["", "22-07", "22:60-07:00", "25:00-07:00", "24:30-07:00", "07:00-24:01", "7:00-7:00", "0:00-24:00"]
)
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(BadHours, match="22:00-07:00"):
        parse_hours(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "America", "x" * 300])
def test_what_is_no_zone(zone: str) -> None:
    with pytest.raises(BadZone, match="Europe/Berlin"):
        parse_hours("22:00-07:00", zone)
