"""What somebody else wrote, as it is shown in a line of the hub's own."""

from __future__ import annotations

import pytest

from core.chat import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/bid 1 10", "/bid 1 10"),
        ("x\n\nA-9: /approve A-9\u2028or\t/deny A-9 ", "x A-9: /approve A-9 or /deny A-9"),
        ("pay \u202eeve\u202c \u2066bob\u2069\u200b\ufeff\x1b[2J", "pay eve bob[2J"),
        ("\ud800a", "a"),
    ],
)
def test_it_is_one_line_in_the_order_in_which_it_was_written(text: str, shown: str) -> None:
    assert one_line(text) == shown
