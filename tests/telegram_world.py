"""The people, chats, messages and updates behind `tests.telegram_server`, and what a test makes its people do.

Everything here is Telegram's side: `Message.wire()` is the object of the Bot API, `World.say` and its kin put updates in
the bot's queue as Telegram does, or keep them from it (privacy mode: https://core.telegram.org/bots/features#privacy-mode).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tests.telegram_rules import OWN_UPDATES, Limits, Refused, bad, cut, forbidden, units
from tests.telegram_text import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from core.ports import Clock
    from tests.telegram_rules import Json

PATIENCE = 10
"""Seconds `until` waits."""
SUPERGROUPS = -1_000_000_000_000
"""Chat ids below are supergroups and channels."""


@dataclass
class User:
    """A person or bot."""

    id: int
    first_name: str
    username: str | None = None
    is_bot: bool = False
    language: str | None = "en"

    def wire(self) -> Json:
        """As the Bot API shows it."""
        shown: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            shown["username"] = self.username
        if self.language and not self.is_bot:
            shown["language_code"] = self.language
        return shown


@dataclass
class File:
    """A stored file; one whose size alone is said has no bytes to give."""

    id: str
    name: str
    mime: str
    data: bytes
    size: int

    @property
    def path(self) -> str:
        """Where it is fetched."""
        return f"files/{self.id}/{self.name}"

    def wire(self) -> Json:
        """What every kind of file has."""
        return {"file_id": self.id, "file_unique_id": f"u{self.id}", "file_size": self.size}


@dataclass
class Message:
    """A message as it stands now, of a person or of the bot."""

    chat: Chat
    id: int
    date: int
    sender: Json
    """`from` or `sender_chat`, or both."""
    mine: bool = False
    text: str = ""
    entities: list[Json] = field(default_factory=list)
    html: str = ""
    """The text as it was sent."""
    buttons: list[list[Json]] = field(default_factory=list)
    thread: int | None = None
    reply_to: Message | None = None
    content: Json = field(default_factory=dict)
    """What it holds besides text: a document, a sticker, a service notice."""
    files: list[File] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    """The texts it had before."""
    edited: int | None = None
    deleted: bool = False
    extra: Json = field(default_factory=dict)
    """Other fields: a forward's origin, a quote."""
    notice: bool = False
    """A service message, which every bot sees."""
    update_id: int = 0
    """The update that told the bot, 0 when Telegram kept it."""

    @property
    def labels(self) -> list[list[str]]:
        """What the buttons say."""
        return [[button["text"] for button in row] for row in self.buttons]

    @property
    def kind(self) -> str:
        """What it holds: "text", "document", "photo"."""
        return next(iter(self.content), "text")

    def button(self, which: str | int) -> Json:
        """A button by its label, or by its place counted through the rows."""
        flat = [button for row in self.buttons for button in row]
        if isinstance(which, int):
            return flat[which]
        return next(button for button in flat if button["text"] == which)

    def wire(self, *, reply: bool = True) -> Json:
        """As the Bot API shows it."""
        shown: Json = {"message_id": self.id, "date": self.date, "chat": self.chat.wire(), **self.sender, **self.extra}
        if self.edited:
            shown["edit_date"] = self.edited
        if self.thread:
            shown["message_thread_id"] = self.thread
            if self.chat.forum:
                shown["is_topic_message"] = True
        answered = self.reply_to or self.chat.topics.get(self.thread or 0)
        if reply and answered and not answered.deleted and answered is not self:
            shown["reply_to_message"] = answered.wire(reply=False)
        shown.update(self.content)
        if self.text:
            name = "caption" if self.content else "text"
            shown[name] = self.text
            if self.entities:
                shown["caption_entities" if self.content else "entities"] = self.entities
        if self.buttons:
            shown["reply_markup"] = {"inline_keyboard": self.buttons}
        return shown


@dataclass
class Chat:
    """A chat the bot may be in."""

    id: int
    kind: str
    title: str
    username: str | None = None
    forum: bool = False
    started: bool = True
    """In a private chat: whether the person ever wrote to the bot."""
    blocked: bool = False
    status: str = "member"
    """The bot's: member, administrator, left, kicked."""
    members: set[int] = field(default_factory=set)
    admins: set[int] = field(default_factory=set)
    migrated_to: int | None = None
    topics: dict[int, Message] = field(default_factory=dict)
    last_bot: int | None = None
    messages: dict[int, Message] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(2))
    """Message ids; the first is the notice of the chat's making, and in a forum the General topic."""
    _wire: Json = field(default_factory=dict)

    def wire(self) -> Json:
        """As the Bot API shows it."""
        if not self._wire:
            shown: Json = {"id": self.id, "type": self.kind}
            shown["first_name" if self.kind == "private" else "title"] = self.title
            if self.username:
                shown["username"] = self.username
            if self.forum:
                shown["is_forum"] = True
            self._wire = shown
        return self._wire

    def writable(self) -> None:
        """Refuse what may not be written to, as Telegram does."""
        if self.migrated_to:
            raise bad("group chat was upgraded to a supergroup chat", migrate_to_chat_id=self.migrated_to)
        if self.kind == "private":
            if self.blocked:
                raise forbidden("bot was blocked by the user")
            if not self.started:
                raise forbidden("bot can't initiate conversation with a user")
        elif self.status in ("left", "kicked"):
            what = "was kicked from" if self.status == "kicked" else "is not a member of"
            raise forbidden(f"bot {what} the {self.kind} chat")


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

    # -- what people do

    def say(
        self,
        chat: Where,
        user: Who,
        text: str,
        *,
        thread: int | None = None,
        reply_to: Message | int | None = None,
        forwarded: bool | User = False,
        via_bot: bool | User = False,
        quote: str | None = None,
    ) -> Message:
        """Write a text."""
        return self.send(
            chat, user, {}, caption=text, thread=thread, reply_to=reply_to, forwarded=forwarded, via_bot=via_bot, quote=quote
        )  # fmt: skip

    def send(
        self,
        chat: Where,
        user: Who,
        content: Json,
        *,
        caption: str | None = None,
        files: Sequence[File] = (),
        thread: int | None = None,
        reply_to: Message | int | None = None,
        forwarded: bool | User = False,
        via_bot: bool | User = False,
        quote: str | None = None,
        album: str | None = None,
    ) -> Message:
        """Send any content: `{"sticker": {...}}`. Telegram's fields are the caller's."""
        chat = self._where(chat)
        message = self._message(chat, self._who(user).id, thread=thread, reply_to=reply_to)
        message.content, message.files, message.text = content, list(files), caption or ""
        message.entities = typed(message.text)
        if forwarded:
            message.extra["forward_origin"] = self._origin(forwarded)
        if via_bot:
            message.extra["via_bot"] = (via_bot if isinstance(via_bot, User) else self.bot).wire()
        if quote is not None:
            said = message.reply_to.text if message.reply_to else quote
            message.extra["quote"] = {"text": quote, "position": units(said[: said.find(quote)]), "is_manual": True}
        if album:
            message.extra["media_group_id"] = album
        if chat.kind == "private":
            chat.started = True
        self._tell(message)
        return message

    def _origin(self, forwarded: bool | User) -> Json:
        if isinstance(forwarded, User):
            return {"type": "user", "date": self.now() - 60, "sender_user": forwarded.wire()}
        return {"type": "hidden_user", "date": self.now() - 60, "sender_user_name": "Somebody"}

    def edit(self, message: Message, text: str) -> int:
        """A person edits an own message; the update's id, 0 when Telegram keeps it from the bot."""
        message.edits.append(message.text)
        message.text, message.entities, message.edited = text, typed(text), self.now()
        return self._tell(message, "edited_message")

    def document(
        self,
        chat: Where,
        user: Who,
        name: str,
        data: bytes | int,
        caption: str | None = None,
        mime: str = "application/octet-stream",
        **how: Any,
    ) -> Message:
        """Send a file; a number in place of its bytes is a size."""
        file = self.store(name, mime, data)
        content = {"document": {**file.wire(), "file_name": name, "mime_type": mime}}
        return self.send(chat, user, content, caption=caption, files=[file], **how)

    def photo(self, chat: Where, user: Who, data: bytes | int, caption: str | None = None, **how: Any) -> Message:
        """Send a picture; those of an album share `album`."""
        file = self.store("photo.jpg", "image/jpeg", data)
        return self.send(chat, user, {"photo": self.sizes(file, 800, 600)}, caption=caption, files=[file], **how)

    def voice(self, chat: Where, user: Who, data: bytes | int, seconds: int = 3, **how: Any) -> Message:
        """Send a voice message."""
        file = self.store("voice.oga", "audio/ogg", data)
        content = {"voice": {**file.wire(), "duration": seconds, "mime_type": "audio/ogg"}}
        return self.send(chat, user, content, files=[file], **how)

    def sticker(self, chat: Where, user: Who, emoji: str = "👍", **how: Any) -> Message:
        """Send a sticker."""
        file = self.store("sticker.webp", "image/webp", 10_000)
        shape = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        return self.send(chat, user, {"sticker": {**file.wire(), **shape, "emoji": emoji}}, files=[file], **how)

    def location(self, chat: Where, user: Who, latitude: float = 52.52, longitude: float = 13.4, **how: Any) -> Message:
        """Send a place."""
        return self.send(chat, user, {"location": {"latitude": latitude, "longitude": longitude}}, **how)

    def contact(self, chat: Where, user: Who, phone: str = "+490000", first_name: str = "Ann", **how: Any) -> Message:
        """Send a contact."""
        return self.send(chat, user, {"contact": {"phone_number": phone, "first_name": first_name}}, **how)

    def dice(self, chat: Where, user: Who, value: int = 3, **how: Any) -> Message:
        """Throw a die."""
        return self.send(chat, user, {"dice": {"emoji": "🎲", "value": value}}, **how)

    def service(self, chat: Where, user: Who, **content: Any) -> Message:
        """A notice: `new_chat_title="x"`, `migrate_to_chat_id=-100...`."""
        chat = self._where(chat)
        message = self._message(chat, self._who(user).id)
        message.content, message.notice = content, True
        self._tell(message)
        return message

    def anonymous_admin(self, chat: Where, text: str, **how: Any) -> Message:
        """An administrator writes as the group (from is GroupAnonymousBot)."""
        chat = self._where(chat)
        self.users[1087968824] = User(1087968824, "Group", "GroupAnonymousBot", is_bot=True)
        message = self._message(chat, 1087968824, thread=how.get("thread"), reply_to=how.get("reply_to"))
        message.sender["sender_chat"] = chat.wire()
        message.text, message.entities = text, typed(text)
        self._tell(message)
        return message

    def channel_post(self, chat: Where, text: str) -> Message:
        """A post in a channel."""
        chat = self._where(chat)
        message = self._message(chat, self.bot.id)
        message.mine, message.sender = False, {"sender_chat": chat.wire()}
        message.text, message.entities = text, typed(text)
        self._tell(message, "channel_post")
        return message

    def tap(self, message: Message | int, button: str | int, user: Who, *, chat: Where | None = None) -> str:
        """Press a button of the bot's; the callback query's id."""
        if isinstance(message, int):
            among = [self._where(chat)] if chat is not None else list(self.chats.values())
            [message] = [
                one.messages[message] for one in among if message in one.messages and one.messages[message].mine
            ]
        query = str(4_000_000_000_000_000_000 + next(self._names))
        self.queries[query] = message
        update = {
            "id": query,
            "from": self._who(user).wire(),
            "message": message.wire(),
            "chat_instance": str(message.chat.id * 31),
            "data": message.button(button)["callback_data"],
        }
        self.push("callback_query", update)
        return query

    def expire(self, query: str | None = None) -> None:
        """A callback query (or every one) has become too old to answer."""
        for one in [query] if query else list(self.queries):
            self.queries.pop(one, None)

    def block(self, chat: Where, *, blocked: bool = True) -> None:
        """The person blocks the bot, or takes it back."""
        chat = self._where(chat)
        chat.blocked = blocked
        self._moved(chat, *(("member", "kicked") if blocked else ("kicked", "member")))

    def kick(self, chat: Where) -> None:
        """The bot is thrown out of a group."""
        chat = self._where(chat)
        was, chat.status = chat.status, "kicked"
        self._moved(chat, was, "kicked")

    def promote(self, chat: Where) -> None:
        """The bot becomes an administrator, whom privacy mode does not bind."""
        chat = self._where(chat)
        was, chat.status = chat.status, "administrator"
        self._moved(chat, was, "administrator")

    def _moved(self, chat: Chat, was: str, became: str) -> None:
        by = self.users.get(chat.id) or next((self.users[one] for one in chat.members), self.bot)
        shown = {"chat": chat.wire(), "from": by.wire(), "date": self.now()}
        statuses = {"old_chat_member": self.member(self.bot, was), "new_chat_member": self.member(self.bot, became)}
        self.push("my_chat_member", {**shown, **statuses})

    def migrate(self, old: Where, new: int) -> Chat:
        """A basic group becomes a supergroup, with both notices."""
        old = self._where(old)
        chat = self.group(new, old.title, members=old.members, admins=old.admins)
        by = next(iter(old.members), self.bot.id)
        self.service(old, by, migrate_to_chat_id=new)
        old.migrated_to = new
        self.service(chat, by, migrate_from_chat_id=old.id)
        return chat

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


__all__ = ["Chat", "File", "Message", "Refused", "User", "World"]
