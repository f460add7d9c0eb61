"""Task ids as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import BadScheduleId, BadTaskId, parse_schedule, parse_task, schedule_name, task_name


@pytest.mark.parametrize(
    ("text", "number"),
    [("T-12", 12), ("t-12", 12), ("T12", 12), ("t12", 12), ("12", 12), ("#12", 12), (" T-12 ", 12), ("T-007", 7)],
)
def test_what_people_type(text: str, number: int) -> None:
    assert parse_task(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "T-0", "T", "T-", "T--1", "-5", "--5", "X-1", "1T", "T-1.5", "T 1", "T-1 2", "T-1\nT-2", "T-\u0665",
        "T-\uff15", "T\u22121", "9" * 19, "T-" + "9" * 19, "1" * 1_000_000, "0" * 1_000_000, "T-1; DROP TABLE task",
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_no_task_id_is_refused_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(BadTaskId, match="Ids look like T-12; /tasks lists them") as caught:
        parse_task(text)
    assert len(str(caught.value)) < 200


def test_a_schedule_is_known_by_its_name_alone() -> None:
    assert [parse_schedule(text) for text in ("S-3", " s3 ", schedule_name(12))] == [3, 3, 12]
    for text in ("", "S-0", "T-3", "S-3 S-4", "\u0663", "9" * 1_000):
        with pytest.raises(BadScheduleId, match="Schedules look like S-3; /schedules lists them") as caught:
            parse_schedule(text)
        assert len(str(caught.value)) < 200


@given(st.integers(1, 10**18 - 1))
def test_a_name_is_read_back(number: int) -> None:
    assert parse_task(task_name(number)) == parse_task(task_name(number).lower()) == number < 2**63
