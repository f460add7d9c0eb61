"""The console under test: two terminals of the owner, one attached, at the ends of links that outlive the hub."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.contract.surfaces.driver import Feat, Shown, Where
from tests.scenario.bot import OWNER, hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.console.link import Frame
    from tests.scenario.bot import Bot

MESSAGES = frozenset({"reply", "more"})


class Line:
    """The hub's end of a terminal's link; what was shown on it is the terminal's."""

    def __init__(self, screen: list[Frame], *, attached: bool) -> None:
        self.screen = screen
        self.said: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.stuck: asyncio.Event | None = None
        if attached:
            self.said.put_nowait({"op": "attach"})

    async def send(self, frame: Frame) -> None:
        """See `Link`."""
        self.post(frame)
        if self.stuck is not None and frame["kind"] in MESSAGES:
            await self.stuck.wait()

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """See `Link`."""
        self.screen.append(frame)

    async def receive(self) -> Frame | None:
        """See `Link`."""
        return await self.said.get()


class ConsoleDriver:
    """See `Driver`."""

    name = "console"
    owner = OWNER
    lacks = {  # noqa: RUF012 - a constant
        Feat.STRANGERS: "is behind a socket that only its owner can open",
        Feat.THREADS: "is one conversation of one person, on as many terminals as they like",
        Feat.FILES_IN: "has the workspace folder at hand: a file is put there",
        Feat.OFFLINE: "is a part of the hub: nobody takes a line while that is down",
        Feat.EDITS: "is a stream of lines, and what was printed stays",
        Feat.DRAFTS: "shows drafts in its status line, as frames that are dropped",
        Feat.FLOOD: "is a local stream, which blocks and never asks to wait",
        Feat.LOST: "is a local stream, which has no answers to lose",
    }
    bot: Bot

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._screens: dict[Where, list[Frame]] = {Where.HOME: [], Where.OTHER: []}
        self._lines: dict[Where, Line] = {}
        self._served: list[asyncio.Task[None]] = []
        self._last: tuple[Where, Frame] = (Where.HOME, {})
        self._numbers = 0

    @classmethod
    @asynccontextmanager
    async def ready(cls, folder: Path) -> AsyncIterator[ConsoleDriver]:
        """A terminal in front of no hub yet."""
        yield cls(folder)

    @asynccontextmanager
    async def hub(self, **how: Any) -> AsyncIterator[Bot]:
        """See `Driver`."""
        async with hub(self._folder, attach=False, **how) as self.bot:
            self.up()
            try:
                yield self.bot
            finally:
                self.down()
                await asyncio.gather(*self._served)

    def say(self, text: str, where: Where = Where.HOME) -> None:
        """See `Driver`."""
        self._numbers += 1
        self._last = (where, {"op": "say", "text": text, "id": f"line {self._numbers}"})
        self.repeat()

    def repeat(self) -> None:
        """See `Driver`."""
        where, frame = self._last
        self._lines[where].said.put_nowait(frame)

    def give(self, name: str, content: bytes) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def shown(self, where: Where = Where.HOME) -> list[Shown]:
        """See `Driver`."""
        return [shown_on_console(frame) for frame in self._screens[where] if frame["kind"] in MESSAGES]

    def progress(self) -> list[str]:
        """See `Driver`."""
        return [frame["text"] for frame in self._screens[Where.HOME] if frame["kind"] == "progress"]

    def alive(self) -> list[str]:
        """See `Driver`."""
        return [frame["text"] for frame in self._screens[Where.HOME] if frame["kind"] == "draft"]

    def press(self, shown: Shown, label: str) -> None:
        """See `Driver`: a terminal names the command, and its owner types it."""
        self.say(next(button["command"] for button in shown.ref["buttons"] if button["label"] == label))

    def down(self) -> None:
        """See `Driver`: everybody has left."""
        for line in self._lines.values():
            line.said.put_nowait(None)
        self._lines.clear()

    def up(self) -> None:
        """See `Driver`."""
        for where, screen in self._screens.items():
            line = self._lines[where] = Line(screen, attached=where is Where.HOME)
            self._served.append(asyncio.get_running_loop().create_task(self.bot.app.console.serve(line)))

    def stick(self) -> None:
        """See `Driver`."""
        for line in self._lines.values():
            line.stuck = asyncio.Event()

    def unstick(self) -> None:
        """See `Driver`: the next hub has links of its own."""

    def lose(self) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def flood(self, where: Where, seconds: int) -> None:
        """See `Driver`."""
        raise NotImplementedError

    def calm(self, where: Where) -> None:
        """See `Driver`."""
        raise NotImplementedError


def shown_on_console(frame: Frame) -> Shown:
    """A frame as a person sees it."""
    labels = [button["label"] for button in frame.get("buttons", ())]
    files = {file["name"]: Path(file["path"]).read_bytes() for file in frame.get("files", ())}
    return Shown(frame["text"], labels, files, frame.get("again", False), frame)
