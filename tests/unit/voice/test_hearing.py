"""How sure a hearing must be."""

from __future__ import annotations

import pytest

from core.voice.hearing import DOUBTFUL, SURE, Heard, Verdict, judge


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [
        (Heard("status", SURE), Verdict.DO),
        (Heard("status", SURE - 0.01), Verdict.ASK),
        (Heard("status", DOUBTFUL), Verdict.ASK),
        (Heard("status", DOUBTFUL - 0.01), Verdict.NOTHING),
        (Heard("", 1.0), Verdict.NOTHING),
    ],
)
def test_a_hearing_is_done_asked_or_nothing(heard: Heard, verdict: Verdict) -> None:
    assert judge(heard) is verdict
