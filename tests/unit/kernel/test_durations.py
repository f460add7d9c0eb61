"""How long something is, in words."""

from __future__ import annotations

import pytest

from core.durations import about

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (3, "1 s"),
        (40_400, "40 s"),
        (119_000, "119 s"),
        (130_000, "2 min"),
        (3 * HOUR, "3 h"),
        (24 * HOUR - 40, "24 h"),
        (72 * HOUR, "3 d"),
    ],
)
def test_a_time_roughly(time: int, said: str) -> None:
    assert about(time) == said
