"""Days, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from adapters.tools.days import BadDay, BadStep, NoSuchYear, NoZone
from tests.fakes import FakeClock
from tests.unit.tools.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from core.errors import HubError
    from core.events import Json

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_750_068_000_000
"""Monday, 16 June 2025, 10:00 UTC."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, tmp_path, BERLIN, FakeClock(NOON))


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        ({}, "Monday, 16 June 2025 12:00 (2025-06-16, Europe/Berlin, +0200; week 25, day 167 of the year)"),
        ({"day": "today"}, "Monday, 16 June 2025 ("),
        ({"day": "2026-12-24"}, "Thursday, 24 December 2026 ("),
        ({"day": "2024-01-31", "add": "1 month"}, "Thursday, 29 February 2024 ("),
        ({"day": "2024-02-29", "add": "1 year"}, "Friday, 28 February 2025 ("),
        ({"day": "2025-03-30", "add": "-1 month 2 days"}, "Wednesday, 26 February 2025 ("),
        ({"day": "2025-03-29T12:00", "add": "1 day"}, "Sunday, 30 March 2025 12:00 ("),
        ({"day": "2025-03-29T12:00", "add": "24 hours"}, "Sunday, 30 March 2025 13:00 ("),
        ({"day": "2025-06-16T09:00:00Z"}, "Monday, 16 June 2025 11:00 ("),
        ({"day": "now", "add": "1 week and 2 days"}, "Wednesday, 25 June 2025 12:00 ("),
        ({"day": "today", "zone": "UTC"}, "Monday, 16 June 2025 (2025-06-16, UTC, +0000"),
        ({"day": "2026-03-29T02:30"}, "Sunday, 29 March 2026 03:00 (2026-03-29, Europe/Berlin, +0200"),
        ({"day": "2026-04-24", "zone": "Africa/Cairo"}, "Friday, 24 April 2026 01:00 (2026-04-24, Africa/Cairo, +0300"),
        ({"day": "0001-01-01"}, "Monday, 1 January 1 ("),
    ],
)
async def test_days(bench: Bench, given: dict[str, Json], starts: str) -> None:
    answer = await bench.given("date", given)
    assert answer.text.startswith(starts)
    assert not answer.outside


@pytest.mark.parametrize(
    ("given", "last"),
    [
        (
            {"day": "today", "until": "2025-12-24"},
            "From 2025-06-16 to 2025-12-24: 191 days (27 weeks and 2 days), 137 of them",
        ),
        ({"day": "2025-06-20", "until": "2025-06-16"}, "From 2025-06-20 to 2025-06-16: -4 days, 4 of them"),
        ({"day": "2025-06-16T08:00", "until": "2025-06-16T09:30"}, "From then to Monday, 16 June 2025 09:30"),
        ({"day": "now", "into": "America/New_York"}, "That is Monday, 16 June 2025 06:00"),
    ],
)
async def test_what_lies_between(bench: Bench, given: dict[str, Json], last: str) -> None:
    assert (await bench.given("date", given)).text.splitlines()[-1].startswith(last)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"day": "someday"}, BadDay),
        ({"day": "2025-02-30"}, BadDay),
        ({"add": "a while"}, BadStep),
        ({"add": "3 weeks or so"}, BadStep),
        ({"zone": "Mars/Olympus"}, NoZone),
        ({"zone": "../../etc/passwd"}, NoZone),
        ({"into": "/etc/hosts"}, NoZone),
        ({"add": "9999 years"}, NoSuchYear),
        ({"day": "0001-01-01", "add": "-1 day"}, NoSuchYear),
    ],
)
async def test_what_is_no_day(bench: Bench, given: dict[str, Json], error: type[HubError]) -> None:
    with pytest.raises(error):
        await bench.given("date", given)


GAP = "02:30 is on no clock there: the clocks are put forward then, from 02:00 to 03:00, and that is taken for it."


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({"day": "2026-03-29T02:30"}, GAP),
        ({"day": "2026-03-28T02:30", "add": "1 day"}, GAP),
        ({"day": "2026-03-29T01:30", "until": "2026-03-29T02:30"}, GAP),
        ({"day": "2011-12-30T12:00", "zone": "Pacific/Apia"}, "from 2011-12-30 00:00 to 2011-12-31 00:00, and that is"),
        ({"day": "2026-03-29T03:00"}, ""),
        ({"day": "2026-03-29T01:30", "add": "60 minutes"}, ""),
        ({"day": "2026-10-25T02:30"}, ""),
        ({"day": "2026-03-29T02:30Z"}, ""),
    ],
)
async def test_a_time_that_no_clock_shows_is_told(bench: Bench, given: dict[str, Json], note: str) -> None:
    answer = await bench.given("date", given)
    assert note in answer.text
    assert ("on no clock" in answer.text) is bool(note)
