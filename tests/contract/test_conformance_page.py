"""The page of the conformance suite has every test and every backend; what came of them is written by a run."""

from __future__ import annotations

from tests.contract.conformance import PAGE, SPELLING, Table, named, rows, words
from tests.contract.test_lightning import DRIVERS


def test_the_page_names_every_test_and_every_backend() -> None:
    asked, whom = named(PAGE.read_text(encoding="utf-8"))
    assert len(asked) > 40
    assert asked == [words(test) for _, test in rows()], SPELLING
    assert whom
    assert all(backends == set(DRIVERS) for backends in whom), SPELLING


def test_a_cell_says_what_came_of_its_cases() -> None:
    table = Table(["lnd", "nwc"])
    (_, first), (_, second), *_ = rows()
    table.note(first, "lnd", "passed")
    table.note(first, "nwc", "skipped", "nwc lacks the trait: hold")
    for outcome in ("passed", "passed", "failed"):
        table.note(second, "lnd", outcome)
    page = table.page()
    assert f"| {words(first)} | passed | skipped: lacks the trait: hold |" in page
    assert f"| {words(second)} | 2 passed, 1 FAILED | - |" in page
    assert not table.whole
