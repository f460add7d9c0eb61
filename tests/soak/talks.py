"""Places where somebody talks with the hub, on each surface, in one shape: say, give a file, find a button, press it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from adapters.clockwork import SystemClock
from adapters.console.link import SOCKET, dial
from tests.matrix_server import BOT
from tests.soak.tally import AGAIN, Shown
from tests.soak.wires import RECENT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from tests.matrix_server import Room
    from tests.soak.tally import Said, Tally
    from tests.soak.wires import WatchedMatrix, WatchedTelegram
    from tests.telegram_objects import Chat, Message

LOOK = 0.05
"""Seconds between two looks for a button."""


class Talk(Protocol):
    """One person in one place. `owner`: they own the hub; `has_files`: files and buttons can be sent there."""

    surface: str
    owner: bool
    has_files: bool

    @property
    def place(self) -> str:
        """Its name on its surface."""

    @property
    def actor(self) -> str:
        """Who they are to the hub."""

    @property
    def private(self) -> bool:
        """Whether nobody else reads it."""

    def say(self, said: Said, text: str) -> None:
        """Say it; `said.update` is its name from then on."""

    def give(self, said: Said, name: str, data: bytes) -> None:
        """Send a file."""

    def speak(self, said: Said, note: bytes) -> None:
        """Send a voice note."""

    def reads(self, words: str) -> bool:
        """Whether these words stand in a message that is not long past."""

    async def press(self, said: Said, words: str, label: str, seconds: float) -> bool:
        """Press the button `label` under the newest message with these words; false if none comes in time."""


@dataclass
class OnTelegram:
    """Somebody in a chat on Telegram, or in a topic of it."""

    server: WatchedTelegram
    chat: Chat
    user: int
    owner: bool
    thread: int | None = None
    surface: str = "telegram"
    has_files: bool = True

    @property
    def place(self) -> str:
        return str(self.chat.id)

    @property
    def actor(self) -> str:
        return f"telegram:{self.user}"

    @property
    def private(self) -> bool:
        return self.chat.kind == "private"

    def say(self, said: Said, text: str) -> None:
        if not self.private:
            text = text if text.startswith("/") else f"@{self.server.bot.username} {text}"
        said.text = text
        said.update = str(self.server.say(self.chat, self.user, text, thread=self.thread).update_id)

    def give(self, said: Said, name: str, data: bytes) -> None:
        said.update = str(self.server.document(self.chat, self.user, name, data, thread=self.thread).update_id)

    def speak(self, said: Said, note: bytes) -> None:
        said.update = str(self.server.voice(self.chat, self.user, note, thread=self.thread).update_id)

    async def press(self, said: Said, words: str, label: str, seconds: float) -> bool:
        for _ in range(round(seconds / LOOK)):
            if (found := self._find(words, label)) is not None:
                self.server.tap(found, label, self.user)
                said.text = f"[{label}] under {words}"
                said.update = str(self.server._last_update)
                return True
            await SystemClock().sleep(LOOK)
        return False

    def reads(self, words: str) -> bool:
        return any(words in one.text for one in self._newest())

    def _find(self, words: str, label: str) -> Message | None:
        with_button = (one for one in self._newest() if any(label in row for row in one.labels))
        return next((one for one in with_button if words in one.text), None)

    def _newest(self) -> Iterator[Message]:
        return (one for one in itertools.islice(reversed(self.chat.messages.values()), RECENT) if one.mine)


@dataclass
class OnMatrix:
    """Somebody in a room on Matrix."""

    server: WatchedMatrix
    room: Room
    user: str
    owner: bool
    surface: str = "matrix"
    has_files: bool = True

    @property
    def place(self) -> str:
        return self.room.id

    @property
    def actor(self) -> str:
        return f"matrix:{self.user}"

    @property
    def private(self) -> bool:
        return len(self.room.members) <= len((self.user, BOT))

    def say(self, said: Said, text: str) -> None:
        text = f"!{text[1:]}" if text.startswith("/") else text if self.private else f"Timmy: {text}"
        said.text = text
        said.update = str(self.server.say(self.room, self.user, text)["event_id"])

    def give(self, said: Said, name: str, data: bytes) -> None:
        self.server.give(self.room, self.user, name, data)
        said.update = self._newest()

    def speak(self, said: Said, note: bytes) -> None:
        self.server.speak(self.room, self.user, note)
        said.update = self._newest()

    async def press(self, said: Said, words: str, label: str, seconds: float) -> bool:
        for _ in range(round(seconds / LOOK)):
            for event, content in reversed(self.server.recent[self.room.id]):
                if words in content["body"] and label in content.get("org.timmy.buttons", {}):
                    self.server.react(self.room, self.user, event, label)
                    said.text, said.late = f"[{label}] under {words}", not said.sign
                    said.update = self._newest()
                    return True
            await SystemClock().sleep(LOOK)
        return False

    def reads(self, words: str) -> bool:
        return any(words in content["body"] for _, content in self.server.recent[self.room.id])

    def _newest(self) -> str:
        return str(self.room.events[-1][1]["event_id"])


class WordsOnly:
    """A place without files and buttons."""

    private = True
    has_files = False

    def give(self, said: Said, name: str, data: bytes) -> None:
        raise NotImplementedError

    def speak(self, said: Said, note: bytes) -> None:
        raise NotImplementedError

    def reads(self, words: str) -> bool:
        raise NotImplementedError

    async def press(self, said: Said, words: str, label: str, seconds: float) -> bool:
        raise NotImplementedError


class OnConsole(WordsOnly):
    """Somebody who says each thing with a `timmy say` of its own; after a crash they say it again under the same name."""

    surface = "console"
    place = "owner"
    actor = "console:owner"
    owner = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def say(self, said: Said, text: str) -> None:
        said.update = f"soak-{id(said)}-{said.at}"
        self._desk.take(said, text)


class Desk:
    """The machine's own terminals: one that stays attached, and the short calls. Both come back after every stop."""

    def __init__(self, data: Path, tally: Tally) -> None:
        self._data = data
        self._tally = tally
        self._group: asyncio.TaskGroup | None = None
        self.frames: list[Shown] = []
        self.breaks = 0

    def take(self, said: Said, text: str) -> None:
        """Say something, beside everything else."""
        self.beside(self._say(said, text))

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something that is not waited for; it fails the soak where it fails."""
        assert self._group is not None
        return self._group.create_task(work)

    async def run(self) -> None:
        """Stay attached until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                await self._talk({"op": "attach"}, None)
                self.breaks += 1

    async def _say(self, said: Said, text: str) -> None:
        while not said.answered.is_set() and not await self._talk({"op": "say", "text": text, "id": said.update}, said):
            pass

    async def _talk(self, first: dict[str, Any], said: Said | None) -> bool:
        """One link until its turn is over; false if it broke before."""
        try:
            async with dial(self._data, SOCKET) as link:
                await link.send(first)
                while (frame := await link.receive()) is not None:
                    if frame["kind"] in {"reply", "more"}:
                        again = AGAIN if frame.get("again") else ""
                        self.frames.append(Shown("console", "owner", "", (again + frame["text"],)))
                        self._tally.saw("console", "owner", again + frame["text"])
                    if said is not None and frame["kind"] == "end":
                        return True
        except (ConnectionError, FileNotFoundError):
            pass
        await SystemClock().sleep(0.1)
        return False
