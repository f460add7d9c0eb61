"""`--write-conformance` writes the conformance suite's page of the docs from the run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.conformance import PAGE, SUITE, Table
from tests.contract.test_lightning import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_CASE = re.compile(r"::test_(?P<test>\w+)\[(?P<backend>\w+)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-conformance", action="store_true", help="write docs/lightning-conformance.md anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-conformance", default=False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(), "conformance")


class _Writer:
    """Hears every report, those of other processes too."""

    def __init__(self) -> None:
        self._table = Table(list(DRIVERS))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _CASE.search(report.nodeid)
        if found is None or SUITE.name not in report.nodeid or (report.when != "call" and report.passed):
            return
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        self._table.note(found["test"], found["backend"], report.outcome, why.removeprefix("Skipped: "))

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        yield
        if not self._table.whole:
            raise pytest.UsageError(f"{PAGE.name} is written where all of the suite was run, and passed")
        PAGE.write_text(self._table.page(), encoding="utf-8")
