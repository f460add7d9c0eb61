"""`--write-attacks` writes the matrix's page of the docs from a run in which all of it passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.attacks import A
from tests.attacks.page import DEEP, PAGE, cells, page

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-attacks", action="store_true", help="write docs/attacks.md anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-attacks", default=False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(), "attacks")


class _Writer:
    """Hears every report, those of other processes too."""

    def __init__(self) -> None:
        self._passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and "attacks/test_matrix.py::" in report.nodeid:
            self._passed.add(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        yield
        if len(self._passed) != len([*cells()]) + len(A) + len(DEEP):
            raise pytest.UsageError(f"{PAGE.name} is written where all of the matrix was run, and passed")
        PAGE.write_text(page(), encoding="utf-8")
