"""The hub's own views are asked for as the person who asks, by commands that only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.chat import Caller, Role

if TYPE_CHECKING:
    from tests.unit.tools.bench import Bench

BEN = Caller("telegram:7", Role.MEMBER, private=False)


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("tasks", {}, "/tasks"),
        ("tasks", {"task": "T-12"}, '/show "T-12"'),
        ("tasks", {"task": '1" max=5\n/pay x 9'}, '/show "1 max=5 /pay x 9"'),
        ("balance", {}, "/balance"),
        ("agents", {}, "/agents"),
        ("agents", {"name": "seer"}, '/agent "seer"'),
    ],
)
async def test_views(bench: Bench, name: str, given: dict[str, str], line: str) -> None:
    answer = await bench.given(name, dict(given), BEN)
    assert bench.asked == [f"telegram:7: {line}"]
    assert answer.text == f"what {line} says"
    assert answer.outside == (name != "balance")
