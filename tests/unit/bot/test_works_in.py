"""In which groups the hub works."""

from __future__ import annotations

import pytest

from bot.parts.chats import works_in

GROUPS = frozenset({"telegram:-100", "matrix:!room:example.org"})


@pytest.mark.parametrize(
    ("conversation", "works"),
    [
        ("telegram:-100", True), ("telegram:-100/7", True), ("matrix:!room:example.org", True),
        ("matrix:!room:example.org/$event", True), ("console:owner", True), ("telegram:-1001", False),
        ("matrix:!other:example.org", False), ("matrix:!other:example.org/$event", False),
    ],
)  # fmt: skip
def test_a_topic_or_thread_is_in_its_group(conversation: str, works: bool) -> None:
    assert works_in(GROUPS, conversation) is works
