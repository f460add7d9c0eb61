"""What pytest's report says; reports as pytest 9 writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.suites.report import Report, read

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="2"
failures="2" skipped="1" tests="6">
<testcase classname="tests.unit.test_a" name="test_one" time="0.001"/>
<testcase classname="tests.unit.test_a" name="test_two[a.b]" time="0.001"><failure message="assert 1 == 2&#10;  +1">def test_two():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="tests.unit.test_a.TestC" name="test_three"><failure message="ValueError: no"/>
<error message="later"/></testcase>
<testcase classname="tests.unit.test_a" name="test_four"><error message='failed on setup with "OSError: gone"'>setup
E       OSError: gone</error></testcase>
<testcase classname="" name="tests.unit.test_b" time="0.0">
<error message="collection failure">tests/unit/test_b.py:1: in &lt;module&gt;
E   ModuleNotFoundError: No module named 'nowhere'</error></testcase>
<testcase classname="elsewhere.Thing" name="test_five"><skipped message="later"/></testcase>
<testcase classname="elsewhere.Thing" name="test_six"><failure message=""/></testcase>
</testsuite></testsuites>"""


def test_failures_go_by_the_name_under_which_one_runs_them(tmp_path: Path) -> None:
    (tmp_path / "tests/unit").mkdir(parents=True)
    for name in ("test_a", "test_b"):
        (tmp_path / f"tests/unit/{name}.py").touch()
    (tmp_path / "report.xml").write_text(WHOLE)
    assert read(tmp_path / "report.xml", tmp_path) == Report(
        7,
        {
            "tests/unit/test_a.py::test_two[a.b]": "assert 1 == 2",
            "tests/unit/test_a.py::TestC::test_three": "ValueError: no",
            "tests/unit/test_a.py::test_four": "OSError: gone",
            "tests/unit/test_b.py": "ModuleNotFoundError: No module named 'nowhere'",
            "elsewhere.Thing::test_six": "",
        },
    )


@pytest.mark.parametrize(
    "content",
    [
        WHOLE[:-20],
        "",
        "no report",
        '<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;&b;&b;">]><testsuites><testcase name="&c;"/></testsuites>',
    ],
)
def test_what_is_no_whole_report_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(content)
    assert read(tmp_path / "report.xml", tmp_path) is None
    assert read(tmp_path / "missing.xml", tmp_path) is None


def test_a_long_failure_takes_no_room(tmp_path: Path) -> None:
    text = "E   first\n" + "x" * 1_000_000 + "\nE   last"
    (tmp_path / "report.xml").write_text(
        f'<t><testcase name="a"><error message="collection failure">{text}</error></testcase></t>'
    )
    assert read(tmp_path / "report.xml", tmp_path) == Report(1, {"a": "last"})
