"""Who is here of those who could do a task. Many are asked about in a row, and are not counted anew for each."""

from __future__ import annotations

from typing import Any, cast

import pytest

from core.swarm.crew import ANYTHING, RETURN, SILENCE, Crew, Enrolled
from core.swarm.task import Status, Task
from tests.fakes import FakeClock

TASK = Task(
    id=1, requester="a", account="user:a", conversation="c", status=Status.OPEN, description="d", budget=1, hold=None, pick="auto",
    only=None, attempt=1, attempts=1, posted_at=0, deadline=9,
)  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def crew(clock: FakeClock) -> Crew:
    crew = Crew(cast("Any", None), clock, lambda _: frozenset())
    for name in ("box", "boy"):
        crew.admit(Enrolled(name, (ANYTHING,)))
    return crew


def test_they_are_counted_once_until_somebody_comes_or_goes(crew: Crew) -> None:
    assert crew.hands(TASK) == []
    crew.seen("box")
    assert crew.hands(TASK) == ["box"]
    assert crew.hands(TASK) is crew.hands(TASK._replace(id=2))
    crew.seen("boy")
    assert crew.hands(TASK) == ["box", "boy"]
    crew.gone("box")
    assert crew.hands(TASK) == ["boy"]


def test_whoever_falls_silent_is_here_no_more(crew: Crew, clock: FakeClock) -> None:
    crew.seen("box")
    clock.advance(SILENCE - 1)
    crew.seen("boy")
    assert crew.hands(TASK) == ["box", "boy"]
    clock.advance(1)
    assert crew.hands(TASK) == ["boy"]
    crew.seen("box")
    assert crew.hands(TASK) == ["box", "boy"]


def test_whoever_came_by_a_way_that_was_lost_is_expected_back_for_a_while(crew: Crew, clock: FakeClock) -> None:
    crew.came_by("none", "way")
    for name in ("box", "boy"):
        crew.seen(name)
        crew.came_by(name, "way")
    crew.lost("another way")
    crew.seen("boy")
    clock.advance(SILENCE - 1)
    assert crew.closing(["box", "boy"], 5, 1) == 6
    crew.lost("way")
    assert crew.closing(["box", "boy"], 5, 1) == 5 + RETURN
    assert crew.closing(["boy"], 5, 1) == 6, "it asks the hub itself"
    clock.advance(RETURN - 1)
    crew.lost("way")
    assert crew.hands(TASK) == ["box"]
    assert crew.closing(["box"], 5, 0) == 6
    clock.advance(1)
    assert crew.hands(TASK) == []
    crew.seen("box")
    assert crew.closing(["box"], 5, 1) == 6
    crew.came_by("box", "way")
    clock.advance(SILENCE)
    crew.lost("way")
    assert crew.hands(TASK) == [], "it was away already"


def test_another_task_is_for_others(crew: Crew) -> None:
    crew.seen("box")
    crew.seen("boy")
    assert crew.hands(TASK._replace(only="boy")) == ["boy"]
    assert crew.hands(TASK) == ["box", "boy"]
    crew.admit(Enrolled("boy", (ANYTHING,), 0))
    assert crew.hands(TASK) == ["box"], "it takes nothing more"
