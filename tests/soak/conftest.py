"""Marks all that lies here `soak`: it takes minutes, so only `make soak` runs it."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=300.0, help="how long people talk (300)")
    parser.addoption("--seed", type=int, default=1, help="of the dice: who says what when")
    parser.addoption("--nasty", action="store_true", help="several troubles at once, without a pause")
    parser.addoption("--write-soak", action="store_true", help="write docs/soak.md anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/soak/"):
            item.add_marker(pytest.mark.soak)
