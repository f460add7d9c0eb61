"""The conformance suite as a page of the docs: every test a row, every backend a column, what came of it in the cell."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = Path(__file__).with_name("test_lightning.py")
PAGE = Path(__file__).parents[2] / "docs" / "lightning-conformance.md"
SPELLING = """make test ARGS="tests/contract/test_lightning.py -m 'not real' --write-conformance\""""
HEAD = f"""\
<!-- Written by `{SPELLING}`; change the code, not this file. -->

# What every Lightning backend was asked

One suite, `tests/contract/test_lightning.py`, run against each backend on its own scripted wire: a simulated node's file, and
servers that speak LND's REST, Nostr Wallet Connect and phoenixd's API as these are documented. A case is skipped only where the
backend cannot do what it is about, and the cell says what that is. The simulated node has no connection that could stay silent:
an answer that is lost stands for that. `make test` runs it for two of them and sees that no row is missing here, `make test-deep`
for all; `make test-live` asks the same of a node of yours, as far as that can be asked without faults.
"""

_ROW = re.compile(r"^(?:# (?P<part>[A-Z][^-\n]*?) -{10,}$|(?:async )?def test_(?P<test>\w+)\()", re.MULTILINE)


def rows() -> Iterator[tuple[str, str]]:
    """The parts of the suite and its tests, in their order: a part's heading, and the name of each test in it."""
    part = ""
    for found in _ROW.finditer(SUITE.read_text(encoding="utf-8")):
        part = found["part"] or part
        if found["test"]:
            yield part, found["test"]


def words(test: str) -> str:
    """A test's name as a sentence says it."""
    return test.replace("_s_", "'s ").replace("_", " ")


@dataclass
class Cell:
    """What came of the cases of one test with one backend."""

    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def __str__(self) -> str:
        whole = self.passed + sum(self.skipped.values()) + self.failed
        parts = [("passed", self.passed), ("FAILED", self.failed)]
        parts += [(f"skipped: {why}", count) for why, count in sorted(self.skipped.items())]
        return ", ".join(f"{count} {what}" if whole > 1 else what for what, count in parts if count) or "-"


class Table:
    """Grows as the suite runs."""

    def __init__(self, backends: list[str]) -> None:
        self.backends = backends
        self._cells: dict[tuple[str, str], Cell] = {}

    def note(self, test: str, backend: str, outcome: str, why: str = "") -> None:
        """One case is over."""
        cell = self._cells.setdefault((test, backend), Cell())
        if outcome == "skipped":
            cell.skipped[why.removeprefix(f"{backend} ").partition(": The ")[0]] += 1
        elif outcome == "passed":
            cell.passed += 1
        else:
            cell.failed += 1

    @property
    def whole(self) -> bool:
        """Whether every test was asked of every backend, and none failed."""
        cells = [self._cells.get((test, backend)) for _, test in rows() for backend in self.backends]
        return all(cell is not None and not cell.failed for cell in cells)

    def page(self) -> str:
        """The page."""
        parts, before = [HEAD], ""
        for part, test in rows():
            if part != before:
                before = part
                parts.append(f"\n## {part}\n\n| | {' | '.join(self.backends)} |\n|---|{'---|' * len(self.backends)}\n")
            cells = (str(self._cells.get((test, backend), Cell())) for backend in self.backends)
            parts.append(f"| {words(test)} | {' | '.join(cells)} |\n")
        return "".join(parts)


def named(page: str) -> tuple[list[str], list[set[str]]]:
    """Of a page: what it says was asked, and of whom, once for each of its parts."""
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    asked = [cells[0].strip() for cells in lines if cells[0].strip(" -")]
    whom = [{cell.strip() for cell in cells[1:]} for cells in lines if not cells[0].strip()]
    return asked, whom
