"""What the watchdog says: on red, on green again, and nothing in between."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from core.automation.verdict import MOST_FLAKY, WIDTH, Ran, Standing, judge

GREEN = Ran("pytest -q", 1.25, ok=True, tests=41)
NO_REASON = ""


def red(*names: str, **why: str) -> Ran:
    return Ran("pytest -q", 12.4, tests=41, failed=dict.fromkeys(names, NO_REASON) | why)


def blind(*tail: str) -> Ran:
    return Ran("make test", 75, tail=tail)


@dataclass
class Talk:
    standing: Standing = field(default_factory=Standing)

    def hears(self, ran: Ran, *covers: str, meanwhile: bool = False) -> str:
        self.standing, words, self.again = judge(self.standing, ran, covers, meanwhile=meanwhile)
        return words

    again: bool = False


def test_green_from_the_first_run_on_says_nothing() -> None:
    talk = Talk()
    assert talk.hears(GREEN) == ""
    assert talk.hears(GREEN) == ""
    assert talk.hears(GREEN, "a.py") == ""


def test_red_names_what_fails_and_why_and_what_changed() -> None:
    talk = Talk()
    talk.hears(GREEN)
    assert talk.hears(red(**{"t.py::test_a": "assert 1 == 2", "t.py::test_b": ""}), "c.py", "a.py", "b.py") == (
        "red: 2 of 41 tests fail in 12 s, after a change to a.py, b.py and 1 more\n"
        "  t.py::test_a: assert 1 == 2\n"
        "  t.py::test_b"
    )
    assert talk.hears(red("t.py::test_a", "t.py::test_b"), "d.py") == "", "as red as before"
    assert talk.hears(red("t.py::test_b"), "d.py") == "", "less red than before"
    assert talk.hears(red("t.py::test_b", "t.py::test_c"), "d.py") == (
        "red: 2 of 41 tests fail, 1 more than before, in 12 s, after a change to d.py\n  t.py::test_c"
    )
    assert talk.hears(GREEN, "d.py") == "green again: 41 tests in 1.2 s, after a change to d.py"


def test_one_test_is_told_as_one() -> None:
    one = Ran("pytest", 3600, tests=1, failed={"test_a": ""})
    assert Talk().hears(one) == "red: 1 of 1 test fails in 3,600 s\n  test_a"


def test_only_so_many_are_named() -> None:
    words = Talk().hears(red(*(f"test_{number:02}" for number in range(30))))
    assert words.splitlines() == [
        "red: 30 of 41 tests fail in 12 s",
        *(f"  test_{number:02}" for number in range(5)),
        "  and 25 more",
    ]


def test_where_no_test_is_known_by_name_the_last_lines_are_shown_and_red_is_said_once() -> None:
    talk = Talk()
    lines = ["one", "", "two", "three", "four", "five", "six"]
    assert talk.hears(blind(*lines)) == "red: make test failed in 75 s\n  two\n  three\n  four\n  five\n  six"
    assert talk.hears(blind("other")) == ""
    assert talk.hears(red("test_a")) == ""
    assert talk.hears(Ran("make test", 75, ok=True), "a") == "green again: make test in 75 s, after a change to a"


def test_a_run_during_which_files_changed_says_so() -> None:
    assert Talk().hears(red("test_a"), "a.py", meanwhile=True).splitlines()[0] == (
        "red: 1 of 41 tests fails in 12 s, after a change to a.py (more changed meanwhile)"
    )


def test_what_failed_and_passed_with_nothing_changed_is_flaky() -> None:
    talk = Talk()
    talk.hears(GREEN)
    assert talk.hears(red("test_a", "test_b")).startswith("red: 2 of 41 tests fail in 12 s, with nothing changed\n")
    assert talk.hears(GREEN) == "green again: 41 tests in 1.2 s, with nothing changed. Flaky: test_a, test_b"
    assert talk.standing.flaky == {"test_a", "test_b"}


def test_what_passes_beside_one_that_fails_on_is_flaky_too() -> None:
    talk = Talk()
    talk.hears(red("test_a", "test_b"))
    assert talk.hears(red("test_b")) == ""
    assert talk.standing.flaky == {"test_a"}
    assert talk.hears(GREEN, "a.py") == "green again: 41 tests in 1.2 s, after a change to a.py"
    assert talk.standing.flaky == {"test_a"}, "test_b was mended"


def test_one_known_as_flaky_must_fail_twice() -> None:
    talk = Talk(Standing(flaky=frozenset({"test_a"})))
    talk.hears(GREEN)
    assert (talk.hears(red("test_a"), "x.py"), talk.again) == ("", True)
    assert (talk.hears(GREEN), talk.again) == ("", False)
    assert (talk.hears(red("test_a"), "x.py"), talk.again) == ("", True)
    assert talk.hears(red("test_a")).startswith("red: 1 of 41 tests fails in 12 s")
    assert talk.again is False
    assert talk.hears(GREEN).endswith("Flaky: test_a")
    assert (talk.hears(red("test_a", "test_b"), "x.py") != "", talk.again) == (True, False)


def test_a_suite_without_names_that_turns_with_nothing_changed_says_so() -> None:
    talk = Talk()
    talk.hears(Ran("make test", 75, ok=True))
    assert talk.hears(blind("no")) == "red: make test failed in 75 s, with nothing changed\n  no"
    assert talk.hears(Ran("make test", 75, ok=True)) == "green again: make test in 75 s, with nothing changed"


def test_why_there_is_no_verdict_is_said_once_and_green_after_it_again() -> None:
    talk = Talk(Standing(flaky=frozenset({"test_a"})))
    gone, full = (Ran("pytest", 0, trouble=why) for why in ("the folder is gone", "the disk is full"))
    assert talk.hears(gone) == "cannot be tested: the folder is gone"
    assert talk.hears(gone, "a.py") == ""
    assert talk.hears(full) == "cannot be tested: the disk is full"
    assert talk.hears(GREEN) == "green again: 41 tests in 1.2 s"
    assert talk.hears(full) == "cannot be tested: the disk is full"
    assert talk.hears(red("test_a")) == "red: 1 of 41 tests fails in 12 s\n  test_a"
    assert talk.standing.flaky == {"test_a"}


def test_what_others_wrote_is_a_line_without_what_a_terminal_obeys() -> None:
    talk = Talk()
    words = talk.hears(red(**{"t\x1b[2Jest": "a\nb\u202e" + "x" * 1000}), "f\nile\x07")
    first, second = words.splitlines()
    assert first.endswith("after a change to f ile")
    assert second == "  t[2Jest: a b" + "x" * (WIDTH - 4) + "…"


@pytest.mark.parametrize("more", [1, MOST_FLAKY])
def test_few_flaky_tests_are_remembered(more: int) -> None:
    talk = Talk(Standing(flaky=frozenset(f"old_{number}" for number in range(MOST_FLAKY - 1))))
    talk.hears(red(*(f"new_{number}" for number in range(more))))
    talk.hears(GREEN)
    assert len(talk.standing.flaky) == MOST_FLAKY
    assert {f"new_{number}" for number in range(more)} <= talk.standing.flaky
