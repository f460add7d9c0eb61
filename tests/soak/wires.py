"""The fakes of Telegram and Matrix, watched: what the hub writes is shown to the tally, what it was refused is counted."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.matrix_server import BOT, MatrixServer
from tests.ollama_server import OllamaServer, Wire
from tests.soak.tally import SIGN, Shown
from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.matrix_server import Room
    from tests.ollama_server import Step
    from tests.soak.tally import Tally
    from tests.telegram_rules import Args

OK = 200
WRITES = frozenset({"sendmessage", "senddocument", "sendphoto", "editmessagetext"})
RECENT = 40
"""Messages of a room among which somebody looks for a button."""


class WatchedTelegram(TelegramServer):
    """Telegram."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(log=0)
        self.tally = tally
        self.refused: Counter[int] = Counter()
        """Answers of each HTTP status; 0: none, the connection was closed."""

    async def _call(self, name: str, args: Args) -> Any:
        found = await super()._call(name, args)
        if name in WRITES and isinstance(found, dict):  # whether or not the answer reaches the hub
            words = found.get("text") or found.get("caption") or ""
            self.tally.saw("telegram", str(found["chat"]["id"]), words)
        return found

    def _log(self, method: str, args: Args, status: int, answer: dict[str, Any]) -> None:
        super()._log(method, args, status, answer)
        if status != OK:
            self.refused[status] += 1

    def shown(self) -> list[Shown]:
        """Every message of the bot."""
        return [
            Shown("telegram", str(chat.id), f"{one.id}@{chat.id}", (*one.edits, one.text))
            for chat in self.chats.values()
            for one in self.messages(chat)
        ]


class WatchedMatrix(MatrixServer):
    """Matrix, which also breaks connections off."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally
        self.refused: Counter[int] = Counter()
        self.recent: dict[str, deque[tuple[str, dict[str, Any]]]] = defaultdict(lambda: deque(maxlen=RECENT))
        """The newest messages of the bot in each room, read: the event's id and its content."""
        self._cut = 0

    def cut(self, times: int) -> None:
        """Close the connection of so many requests before they do anything."""
        self._cut += times

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._cut > 0 and request.transport is not None:
            self._cut -= 1
            self.refused[0] += 1
            request.transport.close()
            return web.Response()
        answer = await super()._serve(request)
        if answer.status != OK:
            self.refused[answer.status] += 1
        return answer

    def _add(self, room: Room, sender: str, kind: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
        event = super()._add(room, sender, kind, content, **more)
        if sender == BOT and kind in {"m.room.message", "m.room.encrypted"}:
            asyncio.get_running_loop().call_soon(self._look, room, event)
        return event

    def _look(self, room: Room, event: dict[str, Any]) -> None:
        content = self._read(room, event)["content"]
        self.recent[room.id].append((event["event_id"], content))
        self.tally.saw("matrix", room.id, str(content["body"]))

    def shown(self) -> list[Shown]:
        """Every message of the bot."""
        return [
            Shown("matrix", room.id, one.id, (*one.edits, one.text))
            for room in self.rooms.values()
            for one in self.messages(room)
        ]


class BreakableModel(OllamaServer):
    """A model that repeats what it was asked, and breaks off answers to people (a task's would fail it) while it is `breaking`."""

    breaking = 0

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.at_it: set[str] = set()
        """The signs of what it has begun to answer, and means to end."""

    def _echo(self, text: str) -> Sequence[Step]:
        self.asked.clear()
        self.headers.clear()
        steps = super()._echo(text)
        if self.breaking <= 0 or not SIGN.search(text):
            self.at_it.update(SIGN.findall(text))
            return steps
        self.breaking -= 1
        return [*steps[:3], Wire.BREAK]
