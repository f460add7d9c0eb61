"""What counts as earned and spent, what owners are asked, and where a day begins."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.treasury.policy import Flow, day_of, next_day, proposal, turnover

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def test_sales_and_own_agents_are_earned_tasks_and_payments_spent_and_owners_moves_neither() -> None:
    found = turnover({
        "sale": Flow(500, 0), "settle": Flow(40, 0), "escrow": Flow(0, 90), "refund": Flow(50, 0), "payment": Flow(0, 7),
        "inside": Flow(0, 3), "treasury": Flow(1000, 200), "gift": Flow(6, 0), "loss": Flow(0, 2),
    })  # fmt: skip
    assert found.earned == {"sales": 500, "agents": 40, "other": 6}
    assert found.spent == {"tasks": 40, "payments": 10, "other": 2}
    assert (found.earnings, found.spendings, found.moved_in, found.moved_out) == (546, 52, 1000, 200)


def test_what_came_back_whole_is_no_line_and_more_than_was_spent_is_negative() -> None:
    assert turnover({"escrow": Flow(0, 50), "refund": Flow(50, 0)}).spent == {}
    assert turnover({"refund": Flow(50, 0)}).spendings == -50
    assert turnover({}).earned == {}


@pytest.mark.parametrize(
    ("limit", "spent", "needed", "asked"), [(100, 60, 50, 200), (100, 0, 500, 500), (10, 300, 5, 305)]
)
def test_a_budget_is_asked_for_that_is_twice_as_large_and_enough(
    limit: int, spent: int, needed: int, asked: int
) -> None:
    assert proposal(limit, spent, needed) == asked


@pytest.mark.parametrize(
    ("now", "day", "begins", "next_begins"),
    [
        ("2026-06-10T08:00", "2026-06-10", "2026-06-10T08:00", "2026-06-11T08:00"),
        ("2026-06-10T07:59", "2026-06-09", "2026-06-09T08:00", "2026-06-10T08:00"),
        ("2026-03-29T09:00", "2026-03-29", "2026-03-29T08:00", "2026-03-30T08:00"),  # the clocks went forward at 2
        ("2026-03-29T01:00", "2026-03-28", "2026-03-28T08:00", "2026-03-29T08:00"),
        ("2026-10-25T23:00", "2026-10-25", "2026-10-25T08:00", "2026-10-26T08:00"),  # and back at 3
    ],
)
def test_a_day_begins_by_the_clock_on_the_wall(now: str, day: str, begins: str, next_begins: str) -> None:
    assert day_of(ms(now), BERLIN, 8) == (day, ms(begins))
    assert next_day(ms(now), BERLIN, 8) == ms(next_begins)


def test_midnight_in_a_zone_of_half_hours_and_in_the_systems() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    assert day_of(ms("2026-06-10T00:10", kolkata), kolkata) == ("2026-06-10", ms("2026-06-10T00:00", kolkata))
    now = ms("2026-06-10T12:00")
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone()
    assert day_of(now, None)[0] == local.date().isoformat()
