"""A crash at every point between the time that a schedule has and the answer that is told: each time is run exactly once.

The hub is there again at the same moment, so nothing is late; time goes on once all that was due is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.depth import depth
from tests.fakes import EPOCH
from tests.kill.story import QUIET, calmly, crashed, first
from tests.kill.test_points import ConsoleStory

if TYPE_CHECKING:
    from pathlib import Path

    from bot.app import App
    from tests.fakes import FakeClock
    from tests.kill.crash import Fate
    from tests.kill.story import Story

MINUTE = 60_000
LINES = [
    "/every 10 minutes remind me to stretch",
    "/at in 15 minutes /task write a letter max=100",
    "/every 20 minutes /balance",
    "/at in 25 minutes what is up?",
]
DUES = [EPOCH + minutes * MINUTE for minutes in (10, 15, 20, 25, 30)]
SEEN = [(1, 10), (1, 20), (1, 30), (2, 15), (3, 20), (4, 25)]
"""Which schedule has come round after how many minutes."""
DONE = QUIET.replace(
    "AND EXISTS (SELECT 1 FROM inbound WHERE update_id = ?)",
    "AND NOT EXISTS (SELECT 1 FROM schedule WHERE state = 'active' AND due <= ?)"
    " AND NOT EXISTS (SELECT 1 FROM schedule_run WHERE state = 'running')",
)
LEAST = 45
"""How many points a calm life must meet at least, or the harness has lost sight of the hub."""
OF_RUNS = [
    "after Schedules._work 2", "before Schedules._work 1", "after Schedules._work 1", "after Coordinator.post 1",
    "before Coordinator.post 1", "before Dispatcher._answer 5", "after Schedules.make 1", "after Dispatcher._answer 5",
    "after show more 1",
]  # fmt: skip
"""Made, due, stored, run, answered: what `make test` dies at."""


class ScheduleStory(ConsoleStory):
    """Everything is said first; then time goes on, from one due time to the next. It never goes back."""

    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **ConsoleStory.facts,
        "schedules": "SELECT id, said, what, words, state, due FROM schedule ORDER BY id",
        "runs": "SELECT schedule, due, state, late, earlier FROM schedule_run ORDER BY schedule, due",
        "told": "SELECT body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY body ->> '$.text'",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.said += [str(due) for due in DUES]  # what is said for people, they having said nothing

    async def _goes_on(self, app: App, fate: Fate, clock: FakeClock) -> None:
        for due in DUES:
            if fate.dead:
                break
            self.starts = max(due, self.starts)  # what passes as a dead hub is taken apart passes for nobody
            clock.advance(self.starts - clock.now())
            await self._until(app, fate, clock, DONE, str(clock.now()))


async def _calm(folder: Path) -> tuple[Story, list[str]]:
    calm = ScheduleStory(folder / "calm")
    points = await calmly(calm, LEAST)
    assert [(one, (due - EPOCH) // MINUTE) for one, due, *_ in calm.ended["runs"]] == SEEN
    assert {state for _, _, state, *_ in calm.ended["runs"]} == {"done"}
    return calm, points


@pytest.mark.kill
async def test_each_time_is_run_once_whatever_crashes_between_due_and_told(tmp_path: Path) -> None:
    calm, _ = await _calm(tmp_path)
    wrong = {}
    for number, point in enumerate(OF_RUNS[:: depth(5, 1)]):
        wrong[point] = await crashed(ScheduleStory(tmp_path / str(number)), calm, point)
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}


@pytest.mark.kill
@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_time_is_run_once_whatever_kind_of_point_crashes(tmp_path: Path, when: str) -> None:
    calm, points = await _calm(tmp_path)
    wrong = {}
    for number, point in enumerate(first(points)):
        wrong[point] = await crashed(ScheduleStory(tmp_path / str(number)), calm, f"{when} {point}")
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_time_is_run_once_whatever_point_crashes_and_one_more_while_recovering(
    tmp_path: Path, when: str
) -> None:
    calm, points = await _calm(tmp_path)
    wrong = {}
    for number, point in enumerate(points):
        deaths = [f"{when} {point}", f"{when} {points[(number * 7) % len(points)]}"]
        wrong[point] = await crashed(ScheduleStory(tmp_path / str(number)), calm, *deaths)
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
