"""A crash at every named point of a life on Telegram: each unit of work, and each request on the wire, before and after.

Telegram outlives the hub: an update is there until it is confirmed, a message that was sent has been sent. What a person
said once must be one turn, and every answer must have arrived: once, or marked where it may have come twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters import markup
from adapters.sqlite.message_store import _load
from adapters.telegram.parts import AGAIN, TEXT_UNITS
from bot.app import build
from core.store import StoreClosed
from tests.fakes import FakeClock, FakeIds
from tests.kill.crash import Fate, mortal
from tests.kill.test_points import QUIET, Parrot
from tests.scenario.bot import ECHO, PATIENCE, QUILL, Hands, asking, prove, rows
from tests.scenario.telegram import OLGA, telegram_settings
from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.telegram_objects import Message

WALKS = {
    "task": ["/task write a letter max=100"],
    "tap": ["/task paint the shed to=console:owner", "Cancel"],
    "words": ["please cancel task 1", "have quill write a letter", "yes"],
    "button": ["have quill write a letter", "Yes", "/whoami"],
    "talk": ["what is up? " + "tell me more of it " * 400, "/new"],
}
LEAST = {"task": 24, "tap": 24, "words": 20, "button": 18, "talk": 18}
"""How many points a calm walk must meet at least, or the harness has lost sight of the hub."""
QUIET_POINTS = ("wire getUpdates", "wire sendChatAction")
"""Come as often as the loop has it; the first of each is enough."""


class MortalTelegram(TelegramServer):
    """Telegram, before a hub that may die at any request; what a dead hub still asks for has no effect."""

    fate = Fate()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        fate, method = self.fate, request.path.rpartition("/")[2]
        names = [] if fate.dead else [fate.name(f"wire {method}")]
        if fate.dead or fate.strikes("before", names):
            return self._gone(request)
        answer = await super()._serve(request)
        return self._gone(request) if fate.strikes("after", names) else answer

    def _gone(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return web.Response()


class Story:
    """One data folder and one Telegram over several lives of the hub."""

    def __init__(self, folder: Path, lines: Sequence[str], server: MortalTelegram) -> None:
        self.folder = folder
        self.lines = lines
        self.server = server
        self.chat = server.private(OLGA, "Olga")
        self.said: list[int] = []
        self.lives: list[Hands] = []
        self._store: Any = None

    async def live(self, fate: Fate) -> None:
        """One life: until everything is said and all is quiet, or the hub is dead."""
        self.server.fate = fate
        self._store = mortal(fate)
        life = asyncio.get_running_loop().create_task(self._live(fate))
        dying = asyncio.get_running_loop().create_task(fate.crashed.wait())
        async with asyncio.timeout(3 * PATIENCE):  # it does much, and a busy machine does it slowly
            await asyncio.wait({life, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if fate.dead:
                self._store.living.bury()
            with suppress(StoreClosed):
                await life

    async def _live(self, fate: Fate) -> None:
        clock = FakeClock()
        self.lives.append(Hands())
        made = build(
            telegram_settings(self.folder, self.server), clock=clock, ids=FakeIds(f"life {len(self.lives)}"),
            model=Parrot(), worker=self.lives[-1], roster=(ECHO, QUILL), database=self._store,
        )  # fmt: skip
        async with made as app:
            for number in range(len(self.lines)):
                if len(self.said) <= number and not fate.dead:
                    self.said.append(self._say(self.lines[number]))
                while not fate.dead:
                    (quiet,) = await app.store.read(
                        lambda tx, n=number: tx._connection.execute(QUIET, (str(self.said[n]),)).fetchone()  # type: ignore[misc]
                    )
                    if quiet:
                        break
                    clock.advance(20)

    def _say(self, line: str) -> int:
        """Say a line, or press the button of that name on the newest message that has one; returns the update's id."""
        tapped = [one for one in self.server.messages(self.chat) if any(line in row for row in one.labels)]
        if tapped:
            self.server.tap(tapped[-1], line, OLGA, chat=self.chat)
            return int(self.server.queue[-1]["update_id"])
        return self.server.say(self.chat, OLGA, line).update_id

    @cached_property
    def ended(self) -> dict[str, Any]:
        """What is left in the end, apart from numbers and times."""
        found = telegram_settings(self.folder, self.server)
        prove(found)
        with asking(found) as ask:
            return {
                "tasks": ask("SELECT id, status, agent, price, attempt, result FROM task ORDER BY id"),
                "accounts": ask("SELECT name, posted, held FROM account ORDER BY name"),
                "turns": ask("SELECT role, text FROM turn ORDER BY id"),
                "messages": ask("SELECT update_id - ?, done FROM inbound ORDER BY id", self.said[0]),
                "answers": ask("SELECT body ->> '$.text' FROM outgoing WHERE cause IS NOT NULL ORDER BY id"),
                "told": ask("SELECT body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY id"),
            }

    def trouble(self, calm: Story) -> str | None:
        """What is wrong in the end, compared with a life in which nothing happened."""
        wanted, found = calm.ended, self.ended
        for what, one in wanted.items():
            if found[what] != one:
                return f"{what}: {found[what]} instead of {one}"
        bodies = rows(telegram_settings(self.folder, self.server), "SELECT body FROM outgoing WHERE state = 'sent'")
        due = Counter(
            part.text.strip() for (body,) in bodies for part in markup.cut(markup.of(_load(body)), units=TEXT_UNITS)
        )
        shown = self.server.messages(self.chat)
        if lost := [text for text in due if not any(text in map(_unmarked, _ever(one)) for one in shown)]:
            return f"sent, they say, and never shown: {lost}"
        new = Counter(_ever(one)[0] for one in shown if not _ever(one)[0].endswith("…"))
        if twice := Counter({text: count for text, count in new.items() if not text.startswith(AGAIN.strip())}) - due:
            return f"shown once more and not marked: {twice}"
        return None


def _ever(message: Message) -> list[str]:
    return [text.strip() for text in (*message.edits, message.text)]


def _unmarked(text: str) -> str:
    return text.removeprefix(AGAIN.strip()).strip()


async def _calm(folder: Path, walk: str) -> tuple[Story, list[str]]:
    async with MortalTelegram() as server:
        story, fate = Story(folder / "calm", WALKS[walk], server), Fate()
        await story.live(fate)
        assert len(fate.met) >= LEAST[walk], fate.met
        assert story.trouble(story) is None
        assert not any(AGAIN.strip() in one.text for one in server.messages(story.chat))
        return story, fate.met


async def _crash(folder: Path, walk: str, calm: Story, point: str) -> str | None:
    async with MortalTelegram() as server:
        story = Story(folder, WALKS[walk], server)
        fate = Fate(frozenset({point}))
        await story.live(fate)
        if not fate.dead:
            return None  # a point that comes or not as the loop has it
        await story.live(Fate())
        return story.trouble(calm)


def _first(points: Sequence[str]) -> list[str]:
    """Each kind of point the first time it is met."""
    return [point for point in points if point.endswith(" 1")]


@pytest.mark.kill
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("walk", "when"), [("task", "before"), *((walk, "after") for walk in WALKS)])
async def test_a_crash_at_every_kind_of_point_on_telegram(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    plain = [] if walk == "task" else _first((await _calm(tmp_path / "task", "task"))[1])
    wrong = {}
    for number, point in enumerate(point for point in _first(points) if point not in plain):
        wrong[point] = await _crash(tmp_path / str(number), walk, calm, f"{when} {point}")
    assert len(wrong) >= (10 if walk == "task" else 1), "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}


@pytest.mark.kill_sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("walk", WALKS)
async def test_a_crash_at_every_point_on_telegram(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    swept = [point for point in points if point.endswith(" 1") or not point.startswith(QUIET_POINTS)]
    wrong = {
        point: await _crash(tmp_path / str(number), walk, calm, f"{when} {point}") for number, point in enumerate(swept)
    }
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
