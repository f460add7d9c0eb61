"""A crash at every named point of what a phone asks: each unit of work, and each answer on its way.

A phone that got no answer asks again with the same Idempotency-Key. What it asked is done once; the answer is told to it or
in the home chat, and there with a word of it where it may have been heard already.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from adapters.shortcuts.answers import _HEARD, IN_CHAT
from tests.kill.crash import Fate, Wire
from tests.kill.story import QUIET, Story, calmly, crashed, first
from tests.scenario.shortcuts import Phone, listening, mint
from tests.speech import Ears

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.console.link import Frame
    from bot.app import App
    from config.settings import Settings

    Lines = list[tuple[str, str | bytes]]

WALKS: dict[str, Lines] = {
    "task": [("task", "write a poem")],
    "above": [("task", "write a poem for 500 sats"), ("home", "/approve A-1")],
    "talk": [("chat", "what is up?"), ("chat", "/agents")],
    "spoken": [("audio", b"what is my balance")],
}
"""What is asked on which route, or said at home; bytes are a recording."""
LEAST = {"task": 17, "above": 20, "talk": 12, "spoken": 8}
"""How many points a calm walk must meet at least, or the harness has lost sight of the hub."""
OWN = ("wire ", "ShortcutsSurface.")
"""Points that only a request has."""
ASKED = "You asked by Siri: "
OK = 200


class ShortcutStory(Story):
    """One phone, and its person at the console, over several lives of the hub. `heard`: what the phone was answered, by keys."""

    pace = 50
    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        **Story.facts,
        "told": "SELECT body ->> '$.text' FROM outgoing WHERE cause IS NULL AND body ->> '$.text' NOT LIKE 'You asked by%'"
        " ORDER BY id",
        "jobs": "SELECT key, words FROM shortcut_job ORDER BY key",
    }  # fmt: skip

    def __init__(self, folder: Path, lines: Lines, *, late: bool = False) -> None:
        """`late`: an answer that was on its way when the hub died still arrives."""
        super().__init__(folder, lines)
        self.late = late
        self.said = [f"line-{number}" for number in range(len(lines))]
        self.seen: list[Frame] = []
        self.heard: dict[str, str] = {}
        self._phone: Phone | None = None
        self._answered = ""
        self._asking: asyncio.Task[tuple[int, dict[str, Any]]] | None = None

    def settings(self) -> Settings:
        """See `Story`."""
        return listening(self.folder)

    async def arrives_late(self) -> None:
        """See `Story`."""
        if self.late and self._asking is not None:
            await asyncio.wait({self._asking}, timeout=0.1)

    async def _live(self, fate: Fate) -> None:
        async with self._hub(ear=Ears()) as (app, clock):
            if self._phone is None:
                self._phone = Phone(await mint(app))
                return
            self._phone.at(app.address)
            async with Wire.attached(app.console, fate, self.seen) as wire:
                for name, (route, words) in zip(self.said, self.lines, strict=True):
                    if route == "home":
                        wire.say(str(words), name)
                    elif name not in self.heard:
                        await self._asked(app, fate, name, route, words)
                    await self._until(app, fate, clock, QUIET, name)

    async def _asked(self, app: App, fate: Fate, key: str, route: str, words: str | bytes) -> None:
        """Ask, and for a job as long as it takes."""
        how: dict[str, Any] = {"json": {{"chat": "message", "task": "description"}.get(route, ""): words}}
        if isinstance(words, bytes):
            how = {"data": words, "headers": {"Content-Type": "audio/mp4"}}
        method, path = "POST", f"/shortcuts/{route}"
        while (found := await self._answer(app, fate, method, path, key, **how)) is not None:
            status, answer = found
            if status != OK:
                continue
            if "job" not in answer:
                self.heard[key] = answer["text"]
                fate.strikes("after", [self._answered])
                return
            method, path, how = "GET", f"/shortcuts/result/{answer['job']}", {}

    async def _answer(
        self, app: App, fate: Fate, method: str, path: str, key: str, **how: Any
    ) -> tuple[int, dict[str, Any]] | None:
        """What came back; None if the hub died before the phone had it."""
        assert self._phone is not None
        if fate.strikes("before", [fate.name("wire ask")]):
            return None
        self._asking = asking = asyncio.get_running_loop().create_task(
            self._phone.request(method, path, key=key, **how)
        )
        while not (asking.done() or fate.dead):
            await app.store.read(lambda tx: None)
            self.pass_time(app, self._clock)
        self._answered = fate.name("wire answer")
        if not fate.strikes("before", [self._answered]):
            return asking.result()
        if not self.late:
            asking.cancel()
        await asyncio.wait({asking})
        return None if asking.cancelled() or asking.exception() else asking.result()

    def amiss(self) -> str | None:
        """See `Story`."""
        home = {frame["text"] for frame in self.seen}
        for key, (route, words) in zip(self.said, self.lines, strict=True):
            if route == "home":
                continue
            asked = ASKED if isinstance(words, bytes) else f"{ASKED}{words}\n"
            copies = [text for text in home if text.startswith(asked)]
            was_heard = key in self.heard and self.heard[key] != IN_CHAT
            if not (was_heard or copies):
                return f"nobody was told what came of {words!r}"
            if len(copies) > 1:
                return f"told twice at home: {copies}"
            if was_heard and copies and words != "/agents" and not copies[0].endswith(_HEARD):
                return f"told at home too, and not marked: {copies}"
        fresh = [frame["text"] for frame in self.seen if not frame.get("again")]
        return f"shown once more and not marked: {fresh}" if len(fresh) != len(set(fresh)) else None


async def _ready(folder: Path, lines: Lines, *, late: bool = False) -> ShortcutStory:
    """A phone with a token, before a hub that lived once."""
    story = ShortcutStory(folder, lines, late=late)
    await story.live(Fate())
    return story


@pytest.mark.kill
async def test_a_hub_that_dies_at_each_kind_of_point_of_a_request_one_after_another(tmp_path: Path) -> None:
    lines = [*WALKS["above"], *WALKS["talk"]]
    calm = await _ready(tmp_path / "calm", lines)
    kinds = [point for point in first(await calmly(calm, 30)) if point.startswith(OWN)]
    story = await _ready(tmp_path / "killed", lines)
    deaths = [f"before {kinds[0]}", *(f"after {point}" for point in kinds[1:])]  # to ask is nothing that has an after
    assert await crashed(story, calm, *deaths) is None
    assert story.deaths == len(deaths) >= 4, "it saw the points"


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("late", [False, True], ids=["lost", "late"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("walk", WALKS)
async def test_a_crash_at_every_point_of_a_request(tmp_path: Path, walk: str, when: str, late: bool) -> None:
    calm = await _ready(tmp_path / "calm", WALKS[walk])
    wrong, died = {}, 0
    for number, point in enumerate(await calmly(calm, LEAST[walk])):
        story = await _ready(tmp_path / str(number), WALKS[walk], late=late)
        wrong[point] = await crashed(story, calm, f"{when} {point}")
        died += story.deaths
    assert died > len(wrong) * 0.7, "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
