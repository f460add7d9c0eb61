"""People on Telegram before a whole hub: `bot.app.build` with the real surface, against the fake Telegram on loopback.

What they are shown is read from the fake: its messages as they stand now, what was sent, edited and answered.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from config.settings import Telegram
from tests.scenario.bot import NOBODY, hub, let_in, rows, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.app import App
    from config.settings import Matrix, Settings
    from tests.scenario.bot import Bot
    from tests.telegram_objects import Chat, Message
    from tests.telegram_server import TelegramServer

ANN, BOB, OLGA = 11, 12, 13
"""Ann is a member, Bob is nobody, Olga owns the hub by its settings."""
GROUP = -1001234567890


@dataclass
class Telegrams:
    """A hub on Telegram, a member (Ann), a stranger (Bob), its owner there (Olga), and a listed group with all three."""

    server: TelegramServer
    bot: Bot
    ann: Chat
    bob: Chat
    olga: Chat
    group: Chat

    @property
    def app(self) -> App:
        """The hub."""
        return self.bot.app

    async def told(self, chat: Chat, words: str, *, after: int = 0) -> Message:
        """Wait for a message that holds these words, however it came to say them; time passes while it waits."""
        found: Message = await self.until(
            lambda: next((one for one in self.server.messages(chat) if words in one.text and one.id > after), None),
            f"{words!r} in the chat with {chat.title}",
        )
        return found

    async def says(self, chat: Chat, user: int, text: str, **how: Any) -> Message:
        """Say something and wait for what is answered next in that chat."""
        before = max((one.id for one in self.server.messages(chat)), default=0)
        self.server.say(chat, user, text, **how)
        return await self.told(chat, "", after=before)

    async def until(self, true: Callable[[], Any], what: str = "it", *, pace: float = 0.05) -> Any:
        """Wait until something is true on Telegram's side; the hub's clock runs ahead so that paces cost no time."""
        return await self.bot.see(true, what, pace=pace)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return rows(self.app.settings, query, *values)


@asynccontextmanager
async def on_telegram(
    folder: Path, server: TelegramServer, *, ollama: str = NOBODY, token: str = "", chats: str = str(GROUP),
    matrix: Matrix | None = None, **how: Any,
) -> AsyncIterator[Telegrams]:  # fmt: skip
    """A running hub on this Telegram, and perhaps on Matrix. People and chats are made once; a hub that comes again finds them."""
    ann, bob, olga = (_chat(server, *who) for who in ((ANN, "Ann"), (BOB, "Bob"), (OLGA, "Olga")))
    group = server.chats.get(GROUP) or server.group(GROUP, "The Group", members=(ANN, BOB, OLGA))
    found = how.pop("found", None) or telegram_settings(folder, server, ollama=ollama, token=token, chats=chats)
    found = found.model_copy(update={"matrix": matrix or found.matrix})
    async with hub(folder, found=found, **how) as bot:
        await let_in(bot, f"telegram:{ANN}", name="Ann")
        yield Telegrams(server, bot, ann, bob, olga, group)


def telegram_settings(
    folder: Path, server: TelegramServer, *, ollama: str = NOBODY, token: str = "", chats: str = str(GROUP)
) -> Settings:
    """Settings for a hub on this Telegram."""
    root = server.base_url.removesuffix("/bot")
    found = Telegram(token=SecretStr(token or server.token), base_url=root, chats=chats)
    return settings(folder, ollama=ollama).model_copy(update={"telegram": found, "owner": f"telegram:{OLGA}"})


def _chat(server: TelegramServer, number: int, name: str) -> Chat:
    return server.chats.get(number) or server.private(number, name)
