"""A crash at every named point of four walks: nothing is lost, nothing happens twice, the books prove themselves."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.depth import depth
from tests.depth import first as first_of
from tests.kill.crash import Fate, Wire
from tests.kill.story import QUIET, Story, calmly, first
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from adapters.console.link import Frame
    from bot.app import App
    from config.settings import Settings
    from tests.fakes import FakeClock

WALKS = {
    "task": ["/task write a letter max=100"],
    "pick": ["/task write a poem pick=ask", "/award 1 echo"],
    "person": [
        "/task paint the shed to=console:owner", "/bid 1 50 by noon", "/deliver 1 it is red", "/reject 1 it is not",
        "/task paint the fence to=console:owner", "/bid 2 60", "/deliver 2 it is blue", "/accept 2",
    ],
    "swarm": ["/task write a letter to=quill", "/spawn quill", "/dismiss quill", "/retry 1", "/cancel 1"],
    "talk": ["what is up?", "/new", "what else?"],
}  # fmt: skip
LEAST = {"task": 17, "pick": 21, "person": 48, "swarm": 25, "talk": 20}
"""How many points a calm walk must meet at least, or the harness has lost sight of the hub."""
STRIDE = 11
"""The long sweep dies a second time at every so many points of the next life, another set for each first death."""


class ConsoleStory(Story):
    """Everything is said again in each life, under the same names. `seen`: what was shown in all of them."""

    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **Story.facts,
        "answers": "SELECT cause, body ->> '$.data.ok', body ->> '$.data.error' FROM outgoing"
        " WHERE cause IS NOT NULL ORDER BY cause",
    }  # fmt: skip

    def __init__(self, folder: Path, lines: Sequence[str]) -> None:
        super().__init__(folder, lines)
        self.said = [f"line-{number}" for number in range(len(lines))]
        self.seen: list[Frame] = []

    def settings(self) -> Settings:
        """See `Story`."""
        return settings(self.folder)

    async def _live(self, fate: Fate) -> None:
        async with self._hub(**self._parts(fate)) as (app, clock), Wire.attached(app.console, fate, self.seen) as wire:
            for name, line in zip(self.said, self.lines, strict=False):
                wire.say(line, name)
                await self._until(app, fate, clock, QUIET, name)
            await self._goes_on(app, fate, clock)

    def _parts(self, fate: Fate) -> dict[str, Any]:
        """What its hub is built of, other than what every one is."""
        return {}

    async def _goes_on(self, app: App, fate: Fate, clock: FakeClock) -> None:
        """What comes after all is said; `said` names it."""

    def amiss(self) -> str | None:
        """See `Story`."""
        due = Counter(reply.text for reply in self.sent())
        unmarked = Counter(frame["text"] for frame in self.seen if not frame.get("again"))
        if lost := set(due) - {frame["text"] for frame in self.seen}:
            return f"sent, they say, and never shown: {lost}"
        if twice := unmarked - due:
            return f"shown once more and not marked: {twice}"
        if any(len(hands.began) != len(set(hands.began)) for hands in self.lives):
            return f"worked at twice in one life: {[hands.began for hands in self.lives]}"
        return None


async def _calm(folder: Path, walk: str) -> tuple[Story, list[str]]:
    story = ConsoleStory(folder / "calm", WALKS[walk])
    points = await calmly(story, LEAST[walk])
    assert not any(frame.get("again") for frame in story.seen)
    return story, points


async def _crash(folder: Path, walk: str, *deaths: str) -> tuple[Story, list[str]]:
    """Die at each of these points, one a life, then live on; returns the story and the points of its last life.

    A walk's own points come in one order; when it is taken up again, some come or not as the threads have it. So does a later
    note of what was sent (`_mark`), since several are written together where one is slow, and what is shown at the walk's end.
    """
    story = ConsoleStory(folder, WALKS[walk])
    for point in deaths:
        fate = Fate(frozenset({point}))
        await story.live(fate)
        may_miss = point != deaths[0] or (re.search("(_mark|show more) (?!1$)", point) is not None)
        assert fate.dead or may_miss, f"{point} never came: {fate.met}"
    last = Fate()
    await story.live(last)
    return story, last.met


@pytest.mark.deep
@pytest.mark.kill
@pytest.mark.parametrize(("walk", "when"), first_of(2, [("task", "before"), *((walk, "after") for walk in WALKS)]))
async def test_a_crash_at_every_kind_of_point(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    plain = [] if walk == "task" else first((await _calm(tmp_path / "task", "task"))[1])
    kinds = [point for point in first(points) if point not in plain]
    assert len(kinds) >= (10 if walk == "task" else 1), "it saw the points"
    wrong = {}
    for number, point in enumerate(kinds[:: depth(6, 1)]):
        story, _ = await _crash(tmp_path / str(number), walk, f"{when} {point}")
        wrong[f"{when} {point}"] = story.trouble(calm)
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("walk", WALKS)
async def test_a_crash_at_every_point_and_again_while_recovering(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    wrong, count = {}, 0
    for number, point in enumerate(points):
        story, later = await _crash(tmp_path / str(number), walk, f"{when} {point}")
        wrong[point] = story.trouble(calm)
        for second in later[number % STRIDE :: STRIDE]:
            count += 1
            story, _ = await _crash(tmp_path / f"{number}-{count}", walk, f"{when} {point}", f"{when} {second}")
            wrong[f"{point}, then {second}"] = story.trouble(calm)
    assert count > len(points)
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
