"""A crash at every named point of a life on Telegram: each unit of work, and each request on the wire, before and after.

Telegram outlives the hub: an update is there until it is confirmed, a message that was sent has been sent. What a person
said once must be one turn, and every answer must have arrived: once, or marked where it may have come twice.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from adapters import markup
from adapters.telegram.parts import AGAIN, TEXT_UNITS
from tests.depth import depth
from tests.depth import first as first_of
from tests.kill.crash import MortalServer
from tests.kill.story import Story, calmly, crashed, first
from tests.scenario.telegram import OLGA, telegram_settings
from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config.settings import Settings
    from tests.kill.crash import Fate
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


class MortalTelegram(MortalServer, TelegramServer):
    """Telegram before a hub that may die."""


class TelegramStory(Story):
    """One Telegram over several lives of the hub."""

    pace = 20

    def __init__(self, folder: Path, lines: Sequence[str], server: MortalTelegram) -> None:
        super().__init__(folder, lines)
        self.server = server
        self.chat = server.private(OLGA, "Olga")

    def settings(self) -> Settings:
        """See `Story`."""
        return telegram_settings(self.folder, self.server)

    async def live(self, fate: Fate) -> None:
        """See `Story`."""
        self.server.fate = fate
        await super().live(fate)

    def say(self, line: str) -> str:
        """See `Story`: or press the button of that name on the newest message that has one."""
        tapped = [one for one in self.server.messages(self.chat) if any(line in row for row in one.labels)]
        if tapped:
            self.server.tap(tapped[-1], line, OLGA, chat=self.chat)
            return str(self.server.queue[-1]["update_id"])
        return str(self.server.say(self.chat, OLGA, line).update_id)

    def amiss(self) -> str | None:
        """See `Story`."""
        due = Counter(
            part.text.strip() for reply in self.sent() for part in markup.cut(markup.of(reply), units=TEXT_UNITS)
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
        story = TelegramStory(folder / "calm", WALKS[walk], server)
        points = await calmly(story, LEAST[walk])
        assert not any(AGAIN.strip() in one.text for one in server.messages(story.chat))
        return story, points


async def _crash(folder: Path, walk: str, calm: Story, point: str) -> str | None:
    async with MortalTelegram() as server:
        return await crashed(TelegramStory(folder, WALKS[walk], server), calm, point)


@pytest.mark.deep
@pytest.mark.kill
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("walk", "when"), first_of(1, [("task", "before"), *((walk, "after") for walk in WALKS)]))
async def test_a_crash_at_every_kind_of_point_on_telegram(tmp_path: Path, walk: str, when: str) -> None:
    calm, points = await _calm(tmp_path, walk)
    plain = [] if walk == "task" else first((await _calm(tmp_path / "task", "task"))[1])
    kinds = [point for point in first(points) if point not in plain]
    assert len(kinds) >= (10 if walk == "task" else 1), "it saw the points"
    wrong = {}
    for number, point in enumerate(kinds[:: depth(6, 1)]):
        wrong[point] = await _crash(tmp_path / str(number), walk, calm, f"{when} {point}")
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
