"""The state behind `tests.telegram_server`: what there is, which updates wait, and what may be seen of it.

Privacy mode is that of https://core.telegram.org/bots/features#privacy-mode, with mentions, which BotFather names too.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from tests.telegram_objects import Chat, File, Message, User
from tests.telegram_rules import OWN_UPDATES, Limits, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from core.ports import Clock
    from tests.telegram_rules import Json

PATIENCE = 10
"""Seconds `until` waits."""
SUPERGROUPS = -1_000_000_000_000
"""Chat ids below are supergroups and channels."""
T = TypeVar("T")
Where = Chat | int
Who = User | int


class World:
    """What there is, and what its people do. `TelegramServer` serves it."""

    def __init__(self, clock: Clock, token: str, username: str) -> None:
        self.clock = clock
        self.token = token
        self.bot = User(int(token.split(":", maxsplit=1)[0]), "Timmy", username, is_bot=True)
        self.limits = Limits()
        self.privacy = True
        """Privacy mode: off, groups show the bot everything."""
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, File] = {}
        self.queue: deque[Json] = deque()
        """Updates not yet acknowledged."""
        self.allowed: list[str] = []
        self.queries: dict[str, Message] = {}
        """Callback queries that can still be answered."""
        self.answers: dict[str, dict[str, Any]] = {}
        """The first answer to each callback query: text, alert."""
        self.menus: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self.sent = 0
        """How many messages the bot has sent."""
        self.done: list[tuple[int, str, int | None]] = []
        """Chat, action and thread of every sendChatAction."""
        self._numbers = itertools.count(1)
        self._updates = itertools.count(700_000_001)
        self._names = itertools.count(1)
        self._last_update = 700_000_000
        self._watchers: list[asyncio.Future[None]] = []

    # -- what there is

    def now(self) -> int:
        """Unix seconds."""
        return self.clock.now() // 1000

    def user(self, user_id: int, first_name: str, username: str | None = None, *, is_bot: bool = False) -> User:
        """A person who exists, without a chat with the bot."""
        self.users[user_id] = made = User(user_id, first_name, username, is_bot)
        return made

    def private(
        self, user_id: int, first_name: str, username: str | None = None, *, started: bool = True, blocked: bool = False
    ) -> Chat:
        """A person and the private chat with the bot."""
        self.user(user_id, first_name, username)
        chat = Chat(user_id, "private", first_name, username, started=started, blocked=blocked, numbers=self._numbers)
        self.chats[user_id] = chat
        return chat

    def group(
        self, chat_id: int, title: str, *, forum: bool = False, members: Iterable[Who] = (), admins: Iterable[Who] = ()
    ) -> Chat:
        """A group with the bot in it: a supergroup when its id says so (-100...), else a basic one."""
        kind = "supergroup" if chat_id < SUPERGROUPS else "group"
        assert kind == "supergroup" or not forum, "only a supergroup has topics"
        chat = Chat(chat_id, kind, title, forum=forum, admins={self._who(one).id for one in admins})
        chat.members = {self._who(one).id for one in members} | chat.admins
        if kind == "group":
            chat.numbers = self._numbers
        self.chats[chat_id] = chat
        return chat

    def channel(self, chat_id: int, title: str) -> Chat:
        """A channel with the bot in it."""
        self.chats[chat_id] = chat = Chat(chat_id, "channel", title, status="administrator")
        return chat

    def topic(self, chat: Where, name: str) -> int:
        """Open a topic in a forum; its thread."""
        chat = self._where(chat)
        assert chat.forum, "topics are for forums"
        notice = self._message(chat, next(iter(chat.members), self.bot.id))
        notice.thread, notice.notice = notice.id, True
        notice.content = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        chat.topics[notice.id] = notice
        self._tell(notice)
        return notice.id

    def _where(self, chat: Where) -> Chat:
        return self.chats[chat] if isinstance(chat, int) else chat

    def _who(self, user: Who) -> User:
        return self.users[user] if isinstance(user, int) else user

    # -- what comes of it

    def store(self, name: str, mime: str, data: bytes | int) -> File:
        """Keep a file."""
        size, kept = (data, b"") if isinstance(data, int) else (len(data), data)
        file = File(f"AgAD{next(self._names):08}", name, mime, kept, size)
        self.files[file.id] = file
        return file

    def sizes(self, file: File, width: int, height: int) -> list[Json]:
        """A photo as Telegram shows it: a small one and the whole."""
        thumb = self.store(file.name, file.mime, file.data[:100] if file.data else min(file.size, 100))
        small = {**thumb.wire(), "width": max(1, width // 10), "height": max(1, height // 10)}
        return [small, {**file.wire(), "width": width, "height": height}]

    def member(self, user: User, status: str) -> Json:
        """A ChatMember."""
        shown: Json = {"user": user.wire(), "status": status}
        if status == "kicked":
            shown["until_date"] = 0
        if status == "administrator":
            rights = (
                "can_be_edited is_anonymous can_manage_chat can_delete_messages can_manage_video_chats can_restrict_members "
                "can_promote_members can_change_info can_invite_users can_post_stories can_edit_stories can_delete_stories"
            )
            shown |= dict.fromkeys(rights.split(), False)
        return shown

    def _message(
        self, chat: Chat, sender: int, *, thread: int | None = None, reply_to: Message | int | None = None
    ) -> Message:
        """A new message, with its place in the chat."""
        if isinstance(reply_to, int):
            reply_to = chat.messages[reply_to]
        by = self.users[sender]
        message = Message(chat, next(chat.numbers), self.now(), {"from": by.wire()}, mine=by is self.bot)
        message.reply_to = reply_to
        assert not thread or not chat.forum or thread in chat.topics, "open the topic first"
        if chat.forum:
            message.thread = thread or (reply_to.thread if reply_to else None)
        elif chat.kind == "supergroup" and reply_to:
            message.thread = reply_to.thread or reply_to.id
        if chat.kind != "private" and by.is_bot and chat.kind != "channel":
            chat.last_bot = sender
        elif chat.kind != "private":
            chat.members.add(sender)
        chat.messages[message.id] = message
        return message

    def _tell(self, message: Message, kind: str = "message") -> int:
        if message.mine or not self._shown(message):
            self.touch()
            return 0
        update = self.push(kind, message.wire())
        message.update_id = message.update_id or update
        return update

    def _shown(self, message: Message) -> bool:
        """Whether the bot gets to see a person's message."""
        chat = message.chat
        sender = message.sender.get("from", {})
        if sender.get("is_bot") and "sender_chat" not in message.sender:
            return False
        if chat.blocked or chat.status in ("left", "kicked"):
            return False
        if chat.kind not in ("group", "supergroup") or not self.privacy or chat.status == "administrator":
            return True
        if message.notice or message.extra.get("via_bot", {}).get("id") == self.bot.id:
            return True
        if message.reply_to and message.reply_to.mine:
            return True
        return any(self._meant(chat, cut_entity(message.text, entity), entity) for entity in message.entities)

    def _meant(self, chat: Chat, word: str, entity: Mapping[str, Any]) -> bool:
        name = f"@{self.bot.username}".lower()
        if entity["type"] == "mention":
            return word.lower() == name
        if entity["type"] != "bot_command":
            return False
        _, at, whose = word.lower().partition("@")
        return at + whose == name if at else entity["offset"] == 0 and chat.last_bot in (None, self.bot.id)

    def push(self, kind: str, shown: Json) -> int:
        """Put an update in the bot's queue, unless it asked for other kinds."""
        if kind not in self.allowed if self.allowed else kind in OWN_UPDATES:
            self.touch()
            return 0
        update = next(self._updates)
        self._queued({"update_id": update, kind: shown})
        return update

    def malformed(self, update: Json) -> int:
        """Put a raw update in the queue, numbered unless it has a number."""
        update = {"update_id": next(self._updates), **update}
        self._queued(update)
        return int(update["update_id"])

    def _queued(self, update: Json) -> None:
        self._last_update = update["update_id"]
        self.queue.append(update)
        self.touch()

    # -- looking on

    def messages(self, chat: Where, *, deleted: bool = False) -> list[Message]:
        """What the bot sent to a chat, as it stands now."""
        return [one for one in self._where(chat).messages.values() if one.mine and (deleted or not one.deleted)]

    def last(self, chat: Where) -> Message:
        """The newest of the bot's messages."""
        return self.messages(chat)[-1]

    def actions(self, chat: Where) -> list[str]:
        """The actions ("typing") shown in a chat."""
        chat = self._where(chat)
        return [action for where, action, _ in self.done if where == chat.id]

    def menu(self, scope: str | tuple[str, ...] = "default", language: str = "") -> list[tuple[str, str]]:
        """Names and descriptions of the commands of a scope: "default", or ("chat", "-100123")."""
        key = (scope,) if isinstance(scope, str) else tuple(str(part) for part in scope)
        return self.menus.get((language, *key), [])

    def touch(self) -> None:
        """Something changed."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def until(self, predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
        """Wait until something is true, and return it. It is asked again whenever something changed here."""
        async with asyncio.timeout(timeout):
            while not (found := predicate()):
                watcher = asyncio.get_running_loop().create_future()
                self._watchers.append(watcher)
                await watcher
            return found


def cut_entity(text: str, entity: Mapping[str, Any]) -> str:
    """The part of a text that an entity marks."""
    return cut(text, entity["offset"], entity["offset"] + entity["length"])
