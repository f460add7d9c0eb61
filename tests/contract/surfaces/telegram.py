"""Telegram under test: the hub's owner in a private chat, in a forum's General topic, and in another topic of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from adapters.telegram.parts import AGAIN
from tests.contract.surfaces.driver import Feat, Shown, Where
from tests.scenario.telegram import BOB, GROUP, OLGA, on_telegram
from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.telegram_objects import Chat, Message


class TelegramDriver:
    """See `Driver`."""

    name = "telegram"
    owner = f"telegram:{OLGA}"
    lacks = {Feat.EMPTY: "has no empty messages"}  # noqa: RUF012 - a constant
    bot: Bot

    def __init__(self, folder: Path, server: TelegramServer) -> None:
        self._folder = folder
        self._server = server
        home, bob = server.private(OLGA, "Olga"), server.private(BOB, "Bob")
        forum = server.group(GROUP, "The Group", forum=True, members=(OLGA, BOB))
        self._places: dict[Where, tuple[Chat, int, int | None]] = {
            Where.HOME: (home, OLGA, None), Where.OTHER: (forum, OLGA, None),
            Where.THREAD: (forum, OLGA, server.topic(forum, "Poems")), Where.STRANGER: (bob, BOB, None),
        }  # fmt: skip
        self._last: dict[str, Any] = {}

    @classmethod
    @asynccontextmanager
    async def ready(cls, folder: Path) -> AsyncIterator[TelegramDriver]:
        """A Telegram with people and no hub yet."""
        async with TelegramServer() as server:
            yield cls(folder, server)

    @asynccontextmanager
    async def hub(self, **how: Any) -> AsyncIterator[Bot]:
        """See `Driver`."""
        async with on_telegram(self._folder, self._server, **how) as talk:
            self.bot = talk.bot
            yield self.bot

    def say(self, text: str, where: Where = Where.HOME) -> None:
        """See `Driver`."""
        chat, user, thread = self._places[where]
        self._server.say(chat, user, text, thread=thread)
        self._last = self._server.queue[-1]

    def repeat(self) -> None:
        """See `Driver`."""
        self._server.malformed(self._last)

    def give(self, name: str, content: bytes) -> None:
        """See `Driver`."""
        chat, user, _ = self._places[Where.HOME]
        self._server.document(chat, user, name, content)

    def shown(self, where: Where = Where.HOME) -> list[Shown]:
        """See `Driver`."""
        chat, _, thread = self._places[where]
        return [_shown(one) for one in self._server.messages(chat) if one.thread == thread]

    def progress(self) -> list[str]:
        """See `Driver`."""
        chat, *_ = self._places[Where.HOME]
        return [text for one in self._server.messages(chat) for text in (*one.edits, one.text)]

    def alive(self) -> list[str]:
        """See `Driver`."""
        chat, *_ = self._places[Where.HOME]
        return self._server.actions(chat)

    def press(self, shown: Shown, label: str) -> None:
        """See `Driver`."""
        message: Message = shown.ref
        self._server.tap(message, label, OLGA)

    def down(self) -> None:
        """See `Driver`."""
        self._server.down()

    def up(self) -> None:
        """See `Driver`."""
        self._server.up()

    def stick(self) -> None:
        """See `Driver`."""
        self._server.hold("sendMessage")

    def unstick(self) -> None:
        """See `Driver`."""
        self._server.release("sendMessage")

    def lose(self) -> None:
        """See `Driver`."""
        self._server.drop_reply("sendMessage")

    def flood(self, where: Where, seconds: int) -> None:
        """See `Driver`."""
        self._server.flood(self._places[where][0], seconds)

    def calm(self, where: Where) -> None:
        """See `Driver`."""
        self._server.calm(self._places[where][0])


def _shown(message: Message) -> Shown:
    return Shown(
        message.text.removeprefix(AGAIN),
        [label for row in message.labels for label in row],
        {file.name: file.data for file in message.files},
        message.text.startswith(AGAIN),
        message,
    )
