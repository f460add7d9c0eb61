"""Task ids as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import BadTaskId, parse_task, task_name


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


@given(st.integers(1, 10**18 - 1))
def test_a_name_is_read_back(number: int) -> None:
    assert parse_task(task_name(number)) == parse_task(task_name(number).lower()) == number < 2**63
