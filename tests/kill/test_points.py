"""A crash at every named point of four walks: nothing is lost, nothing happens twice, the books prove themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import running
from bot.app import build
from bot.subscriptions import NOTIFIED
from core.store import StoreClosed
from tests.fakes import FakeClock, FakeIds
from tests.kill.crash import Fate, Wire, mortal
from tests.scenario.bot import ECHO, PATIENCE, QUILL, Hands, asking, prove, rows, settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from adapters.console.link import Frame
    from bot.app import App
    from core.agent.model import ChatMessage

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

# Everything that follows from what was said has happened, been told, and been marked as told.
QUIET = """
SELECT NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0)
   AND NOT EXISTS (SELECT 1 FROM outgoing WHERE state <> 'sent')
   AND NOT EXISTS (SELECT 1 FROM task WHERE status = 'open' OR status IN ('awarded', 'running') AND agent NOT LIKE '%:%')
   AND NOT EXISTS (SELECT 1 FROM event, cursor WHERE handler = 'notify' AND id > event AND kind IN ({kinds}))
   AND EXISTS (SELECT 1 FROM inbound WHERE update_id = ?)
""".format(kinds=", ".join(f"'{kind}'" for kind in sorted(NOTIFIED)))  # noqa: S608 - constants

ANSWERS = (
    "SELECT cause, body ->> '$.data.ok', body ->> '$.data.error' FROM outgoing WHERE cause IS NOT NULL ORDER BY cause"
)


@dataclass
class Parrot:
    """A model that says what it was told last."""

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int
    ) -> AsyncGenerator[str, None]:
        """See `Model`."""
        for word in messages[-1].text.split():
            yield f"{word} "

    async def models(self) -> list[str]:
        """See `Model`."""
        return ["parrot:latest"]

    async def default(self) -> str:
        """See `Model`."""
        return "parrot:latest"

    async def check(self) -> str | None:
        """See `Model`."""
        return None


@dataclass
class Story:
    """One data folder over several lives: what was shown in them, and what was worked at in each."""

    folder: Path
    lines: Sequence[str]
    seen: list[Frame] = field(default_factory=list)
    lives: list[Hands] = field(default_factory=list)

    async def live(self, fate: Fate) -> None:
        """One life of the hub: everything is said again, under the same names, until all is quiet or the hub is dead."""
        life = asyncio.get_running_loop().create_task(self._live(fate))
        dying = asyncio.get_running_loop().create_task(fate.crashed.wait())
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({life, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if fate.dead:
                self._store.living.bury()
            with suppress(StoreClosed):
                await life

    async def _live(self, fate: Fate) -> None:
        self._store = mortal(fate)
        self.lives.append(Hands())
        made = build(
            settings(self.folder), clock=FakeClock(), ids=FakeIds(f"life {len(self.lives)}"), model=Parrot(),
            worker=self.lives[-1], roster=(ECHO, QUILL), database=self._store,
        )  # fmt: skip
        async with made as app:
            wire = Wire(fate, self.seen)
            async with running(app.console.serve(wire), "console"):
                await wire.said.put({"op": "attach"})
                try:
                    for number, line in enumerate(self.lines):
                        await wire.said.put({"op": "say", "text": line, "id": f"line-{number}"})
                        await self._quiet(app, fate, f"line-{number}")
                finally:
                    await wire.said.put(None)

    async def _quiet(self, app: App, fate: Fate, line: str) -> None:
        while not fate.dead:
            (quiet,) = await app.store.read(lambda tx: tx._connection.execute(QUIET, (line,)).fetchone())
            if quiet:
                return

    @cached_property
    def ended(self) -> dict[str, Any]:
        """What is left in the end, apart from numbers and times."""
        found = settings(self.folder)
        prove(found)
        with asking(found) as ask:
            return {
                "tasks": ask("SELECT id, status, agent, price, attempt, result, retry_of FROM task ORDER BY id"),
                "accounts": ask("SELECT name, posted, held FROM account ORDER BY name"),
                "holds": ask("SELECT account, amount, task, state FROM hold ORDER BY id"),
                "entries": ask("SELECT key FROM txn ORDER BY key"),
                "bids": ask("SELECT task, attempt, agent, price FROM bid ORDER BY task, attempt, agent"),
                "agents": ask("SELECT name, live FROM agent ORDER BY name"),
                "turns": ask("SELECT role, text FROM turn ORDER BY id"),
                "messages": ask("SELECT update_id, done FROM inbound ORDER BY update_id"),
                "answers": ask(ANSWERS),
                "told": ask("SELECT body ->> 'text' FROM outgoing WHERE cause IS NULL ORDER BY id"),
                "events": sorted(ask("SELECT kind, task, agent FROM event"), key=str),
            }

    def trouble(self, calm: Story) -> str | None:
        """What is wrong in the end, compared with a life in which nothing happened."""
        wanted, found = calm.ended, self.ended
        for what, one in wanted.items():
            if found[what] != one:
                return f"{what}: {found[what]} instead of {one}"
        sent = rows(settings(self.folder), "SELECT body ->> 'text' FROM outgoing WHERE state = 'sent'")
        due = Counter(text for (text,) in sent)
        unmarked = Counter(frame["text"] for frame in self.seen if not frame.get("again"))
        if lost := set(due) - {frame["text"] for frame in self.seen}:
            return f"sent, they say, and never shown: {lost}"
        if twice := unmarked - due:
            return f"shown once more and not marked: {twice}"
        if any(len(hands.began) != len(set(hands.began)) for hands in self.lives):
            return f"worked at twice in one life: {[hands.began for hands in self.lives]}"
        return None


async def _calm(folder: Path, walk: str) -> tuple[Story, list[str]]:
    """The walk without a crash, and every point it meets, in order."""
    story, fate = Story(folder / "calm", WALKS[walk]), Fate()
    await story.live(fate)
    assert len(fate.met) >= LEAST[walk], fate.met
    assert story.trouble(story) is None
    assert not any(frame.get("again") for frame in story.seen)
    return story, fate.met


async def _crash(folder: Path, walk: str, *deaths: str) -> tuple[Story, list[str]]:
    """Die at each of these points, one a life, then live on; returns the story and the points of its last life.

    A walk's own points come in one order; when it is taken up again, some come or not as the threads have it. So does a later
    note of what was sent (`_mark`), since several are written together where one is slow.
    """
    story = Story(folder, WALKS[walk])
    for point in deaths:
        fate = Fate(frozenset({point}))
        await story.live(fate)
        may_miss = point != deaths[0] or ("_mark" in point and not point.endswith(" 1"))
        assert fate.dead or may_miss, f"{point} never came: {fate.met}"
    last = Fate()
    await story.live(last)
    return story, last.met


def _first(points: Sequence[str]) -> list[str]:
    """Each kind of point the first time it is met."""
    return [point for point in points if point.endswith(" 1")]


@pytest.mark.kill
@pytest.mark.parametrize(("walk", "when"), [("task", "before"), *((walk, "after") for walk in WALKS)])
async def test_a_crash_at_every_kind_of_point(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    plain = [] if walk == "task" else _first((await _calm(tmp_path / "task", "task"))[1])
    wrong = {}
    for number, point in enumerate(point for point in _first(points) if point not in plain):
        story, _ = await _crash(tmp_path / str(number), walk, f"{when} {point}")
        wrong[f"{when} {point}"] = story.trouble(calm)
    assert len(wrong) >= (10 if walk == "task" else 1), "it saw the points"
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
