"""Shortcuts under the suite: the owner's phone and watch, and the console, which is the chat where what follows is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.contract.surfaces.console import MESSAGES, Line, shown_on_console
from tests.contract.surfaces.driver import Feat, Shown, Where
from tests.scenario.bot import NOBODY, hub
from tests.scenario.shortcuts import Phone, listening, mint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from adapters.console.link import Frame
    from tests.scenario.bot import Bot

    Asked = tuple[str, str, bool] | None


class ShortcutsDriver:
    """See `Driver`."""

    name = "shortcuts"
    owner = "shortcuts:phone"
    lacks = {  # noqa: RUF012 - a constant
        Feat.STRANGERS: "opens with a token of each device, and reads nothing without one",
        Feat.THREADS: "is one conversation with each device",
        Feat.FILES_IN: "takes recordings of what is said, and no files",
        Feat.OFFLINE: "is a part of the hub: nobody takes a request while that is down",
        Feat.EDITS: "has said what it has said",
        Feat.DRAFTS: "answers a request once, whole",
        Feat.FLOOD: "is asked, and sends nothing by itself that could be too much",
        Feat.COPIES: "answers the same request with the same words, which a phone hears once",
        Feat.LOST: "is asked again by a phone that got no answer",
        Feat.LIFE: "is one request and its answer: until then the phone itself shows that it waits",
        Feat.BUTTONS: "speaks, and what is to be tapped is put to its person's chat",
        Feat.ACTS: "posts tasks within a limit, and has its person tap all else that binds",
        Feat.RECEIPTS: "learns of no response whether it was heard",
    }
    bot: Bot

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._devices: dict[Where, Phone] = {}
        self._screens: dict[Where, list[Shown]] = {Where.HOME: [], Where.OTHER: []}
        self._asked: dict[Where, asyncio.Queue[Asked]] = {}
        self._line: _HomeLine | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = 0
        self._last = (Where.HOME, "", "")

    @classmethod
    @asynccontextmanager
    async def ready(cls, folder: Path) -> AsyncIterator[ShortcutsDriver]:
        """A phone and a watch before no hub yet."""
        yield cls(folder)

    @asynccontextmanager
    async def hub(self, **how: Any) -> AsyncIterator[Bot]:
        """See `Driver`."""
        found = listening(self._folder, ollama=how.pop("ollama", NOBODY))
        async with hub(self._folder, attach=False, found=found, **how) as self.bot:
            if not self._devices:
                for where, name in ((Where.HOME, "phone"), (Where.OTHER, "watch")):
                    self._devices[where] = Phone(await mint(self.bot.app, name))
            self.up()
            try:
                yield self.bot
            finally:
                self.down()
                await asyncio.gather(*self._tasks)

    def say(self, text: str, where: Where = Where.HOME) -> None:
        """See `Driver`."""
        self._numbers += 1
        self._last = (where, text, f"request {self._numbers}")
        self._asked[where].put_nowait((text, self._last[2], True))

    def repeat(self) -> None:
        """See `Driver`: a phone that heard nothing asks again, and what it heard before it does not show twice."""
        where, text, key = self._last
        self._asked[where].put_nowait((text, key, False))

    async def _ask(self, where: Where, line: asyncio.Queue[Asked]) -> None:
        """One device, which asks one thing after another."""
        phone = self._devices[where]
        while (asked := await line.get()) is not None:
            text, key, fresh = asked
            _, answer = await phone.request("POST", "/shortcuts/chat", json={"message": text}, key=key)
            said = answer["error"]["message"] if "error" in answer else answer["text"]
            assert fresh or said in [one.text for one in self._screens[where]]
            if fresh:
                self._screens[where].append(Shown(said))

    def give(self, name: str, content: bytes) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def shown(self, where: Where = Where.HOME) -> list[Shown]:
        """See `Driver`. What the phone said, and the chat holds whole, is one message."""
        return [one for one in self._screens[where] if not one.text.startswith("You asked by Siri: ")]

    def progress(self) -> list[str]:
        """See `Driver`."""
        return []

    def alive(self) -> list[str]:
        """See `Driver`."""
        raise NotImplementedError

    def press(self, shown: Shown, label: str) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def down(self) -> None:
        """See `Driver`: nobody asks, and nobody is at home."""
        if self._line is not None:
            self._line.said.put_nowait(None)
            self._line = None
        for asked in self._asked.values():
            asked.put_nowait(None)
        self._asked.clear()

    def up(self) -> None:
        """See `Driver`."""
        loop = asyncio.get_running_loop()
        self._line = _HomeLine(self._screens[Where.HOME])
        self._tasks.append(loop.create_task(self.bot.app.console.serve(self._line)))
        for where, phone in self._devices.items():
            phone.base = self.bot.app.address
            line: asyncio.Queue[Asked] = asyncio.Queue()
            self._asked[where] = line
            self._tasks.append(loop.create_task(self._ask(where, line)))

    def stick(self) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def unstick(self) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def lose(self) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def flood(self, where: Where, seconds: int) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def calm(self, where: Where) -> None:
        """See `Driver`."""
        raise NotImplementedError


class _HomeLine(Line):
    """The console at home; what it shows stands beside what the phone says."""

    def __init__(self, shown: list[Shown]) -> None:
        super().__init__([], attached=True)
        self._shown = shown

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """See `Link`."""
        super().post(frame, sure=sure)
        if frame["kind"] in MESSAGES:
            self._shown.append(shown_on_console(frame))
