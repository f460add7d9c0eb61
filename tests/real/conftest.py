"""Marks all that lies here `real`: it starts real counterparts, so only `make test-real` runs it."""

from __future__ import annotations

import pytest

from tests.real.docker import docker, dockerd

__all__ = ["docker", "dockerd"]
"""Fixtures of several modules."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-transcript", action="store_true", help="write the transcripts of docs/ anew")
    parser.addoption("--write-pictures", action="store_true", help="keep the pictures of docs/ as they look now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/real/"):
            item.add_marker(pytest.mark.real)
