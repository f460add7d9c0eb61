"""When something is said, when it is said anew, and when no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.spark.advice import Topic, advise, at_it, words
from core.spark.known import NOTHING
from tests.unit.spark.test_forecast import MINUTE, SAT, after

if TYPE_CHECKING:
    from core.spark.advice import Advice, Key
    from core.spark.known import Known

HOUR = 60 * MINUTE


class Board:
    """What stands about a field, after each look at it."""

    def __init__(self) -> None:
        self.standing: dict[Key, Advice] = {}

    def look(self, known: Known) -> list[str]:
        """What is said that was not said so before."""
        found = advise("data", known, self.standing)
        new = [one for one in found if self.standing.get(one.key) is not one]
        self.standing = {one.key: one for one in found}
        return [words(one, bool) for one in new]


def test_nothing_is_said_of_what_is_fine_or_hardly_begun() -> None:
    board = Board()
    for known in (NOTHING, after(NOTHING, *["ann-"] * 4), after(NOTHING, *[""] * 4), after(NOTHING, *["ann"] * 100)):
        assert board.look(known) == []


def test_an_agent_that_fails_is_told_once_again_when_it_gets_worse_and_not_after_it_mended() -> None:
    board, known = Board(), after(NOTHING, *["bea"] * 6, *["ann"] * 5)
    assert board.look(known) == []
    known = after(known, *["ann-bea"] * 5)
    assert board.look(known) == [
        "ann did not finish 5 of its last 10 tasks in data; bea finished 10 of 10: to=bea",
    ]
    (one,) = board.standing.values()
    assert one.since == 12 * MINUTE
    known = after(known, "ann-bea")
    assert board.look(known) == [], "nobody is told the same twice"
    known = after(known, *["ann-bea"] * 2)
    assert board.look(known) == ["ann did not finish 8 of its last 10 tasks in data; bea finished 10 of 10: to=bea"]
    known = after(known, *["ann"] * 8)
    assert board.look(known) == []
    assert board.standing, "2 of 10 are not yet over"
    known = after(known, "ann")
    board.look(known)
    assert not board.standing
    assert board.look(after(known, *["ann-bea"] * 5)) != [], "it began anew"


def test_whom_auctions_pass_over_is_no_matter_to_begin_with() -> None:
    known = after(NOTHING, *["ann-"] * 5, *["bea"] * 31)
    assert not at_it(known, "ann")
    assert Board().look(known) == []


def test_who_else_is_named_only_if_it_does_well_and_is_there() -> None:
    alone = after(NOTHING, *["ann-"] * 8)
    (one,) = advise("", alone, {})
    assert words(one, bool) == "ann did not finish 8 of its last 8 tasks in no field; /market shows who else does that"
    (one,) = advise("data", after(NOTHING, *["ann-bea"] * 8), {})
    assert words(one, lambda name: name != "bea").endswith("/market shows who else does that")


def test_tasks_that_nobody_takes() -> None:
    board = Board()
    known = after(NOTHING, *["ann"] * 5, *[""] * 4)
    assert board.look(known) == []
    known = after(known, "")
    assert board.look(known) == ["5 of the last 10 tasks in data found nobody; /show T-10 says why, /agents who could"]
    assert board.look(after(known, *[""] * 3)) == [
        "8 of the last 10 tasks in data found nobody; /show T-13 says why, /agents who could"
    ]
    board.look(after(known, *["ann"] * 10))
    assert not board.standing


def test_what_got_dearer_than_usual() -> None:
    board = Board()
    known = NOTHING
    for number in range(60):
        known = after(known, "ann", able=["ann"], price=(40 + number % 3) * SAT)
    assert board.look(known) == []
    for _ in range(10):
        known = after(known, "ann", able=["ann"], price=90 * SAT)
    (said,) = board.look(known)
    assert said == "a task in data costs 77 sats of late, 45 sats before; max=45 pays no more than that"
    for _ in range(8):
        known = after(known, "ann", able=["ann"], price=62 * SAT)
        assert board.look(known) == []
    assert board.standing, "it is still dearer"
    for _ in range(30):
        known = after(known, "ann", able=["ann"], price=41 * SAT)
    board.look(known)
    assert not board.standing


@pytest.mark.parametrize("other", [True, False])
def test_what_got_slower_than_usual(other: bool) -> None:
    known = NOTHING
    for number in range(60):
        known = after(known, "ann", able=["ann"], took=(60 + number % 3) * 1000)
    if other:
        known = after(known, *["bea"] * 8, able=["bea"])
    for _ in range(30):
        known = after(known, "ann", able=["ann"], took=HOUR)
    (said,) = Board().look(known)
    assert said.startswith("a task in data takes 5")
    assert said.endswith("to=bea is faster" if other else "by=DURATION ends what takes too long")


def test_the_gravest_comes_first() -> None:
    known = after(NOTHING, *["ann"] * 2, *[""] * 5, *["ann-"] * 5)
    assert [one.topic for one in advise("data", known, {})] == [Topic.NOBODY, Topic.FAILS]
