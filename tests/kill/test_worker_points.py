"""A crash at every unit of work of tasks that workers of other processes do.

The workers outlive every hub, and say again what was lost. One task is delivered by the worker that won it; at another the first
one fails, and the second does it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from core.errors import HubError
from core.store import StoreClosed
from core.swarm.desk import StaleLease
from tests.depth import first as first_of
from tests.kill.story import QUIET, calmly, crashed, first
from tests.kill.test_points import ConsoleStory
from tests.scenario.bot import rows

if TYPE_CHECKING:
    from pathlib import Path

    from bot.app import App
    from tests.fakes import FakeClock
    from tests.kill.crash import Fate

LINES = ("/task find the answer max=100", "/accept T-1", "/task write about it max=100", "/accept T-2")
PRICES = {"box": 20, "boy": 30}
FAILS = ("box", "T-2")
OVER = f"SELECT ({QUIET}) AND NOT EXISTS (SELECT 1 FROM task WHERE status = 'bidding')"  # noqa: S608 - constants


class WorkerStory(ConsoleStory):
    """What the workers hold is theirs, whatever becomes of the hub."""

    pace = 100

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LINES)
        self.held: dict[tuple[str, str], str] = {}

    async def _until(self, app: App, fate: Fate, clock: FakeClock, query: str, *values: str) -> None:
        """See `Story`. The workers go on meanwhile."""
        del query
        for name in PRICES:
            with suppress(HubError, StoreClosed):
                await app.hub.coordinator.desk.enrol(name, ["any"], 1)
        while not fate.dead:
            (true,) = await app.store.read(lambda tx: tx._connection.execute(OVER, values).fetchone())
            if true:
                return
            for name in PRICES:
                with suppress(HubError, StoreClosed):
                    await self._work(app, name)
            self.pass_time(app, clock)

    async def _work(self, app: App, name: str) -> None:
        desk = app.hub.coordinator.desk
        for task in await desk.tasks(name, frozenset(), 0):
            await desk.bid(name, task.id, PRICES[name], eta=None, note="")
        if (given := await desk.given(name, 0)) is not None:
            self.held[name, given.name] = given.lease or ""
            await desk.beat(name, given.id, given.lease or "")
        for (who, task_name), lease in list(self.held.items()):
            if who == name:
                await self._end(app, name, task_name, lease)

    async def _end(self, app: App, name: str, task: str, lease: str) -> None:
        """Say how it ended until there is an answer."""
        desk, number = app.hub.coordinator.desk, int(task[2:])
        with suppress(StaleLease):
            if (name, task) == FAILS:
                await desk.give_up(name, number, lease, "no idea", blame=True)
            else:
                await desk.deliver(name, number, lease, f"{name} did it", ())
        del self.held[name, task]


OWN = ("Desk.", "Tray.", "Coordinator.", "Walk.", "Timing.", "Crew.")


@pytest.mark.kill
@pytest.mark.parametrize("when", first_of(1, ["after", "before"]))
async def test_a_hub_that_dies_at_each_kind_of_point_of_a_workers_task_one_after_another(
    tmp_path: Path, when: str
) -> None:
    calm = WorkerStory(tmp_path / "calm")
    kinds = [point for point in first(await calmly(calm, 20)) if point.startswith(OWN)]
    assert {"Tray._write 1", "Desk.beat 1", "Desk.deliver 1", "Crew.enrol 1"} <= {*kinds}
    paid = dict(rows(calm.settings(), "SELECT name, posted FROM account WHERE name LIKE 'agent:%'"))
    assert paid == {"agent:box": 20_000, "agent:boy": 30_000}
    story = WorkerStory(tmp_path / when)
    assert await crashed(story, calm, *(f"{when} {point}" for point in kinds)) is None
    assert story.deaths >= 6, "it saw the points"


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_every_point_of_a_workers_task(tmp_path: Path, when: str) -> None:
    calm = WorkerStory(tmp_path / "calm")
    wrong, died = {}, 0
    for number, point in enumerate(await calmly(calm, 20)):
        story = WorkerStory(tmp_path / str(number))
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        died += story.deaths
    assert died > len(wrong) * 0.7, "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
