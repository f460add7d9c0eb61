"""What a test makes people do in the fake Telegram of `tests.telegram_server`, and what becomes of their chats.

Each puts an update in the bot's queue as Telegram does, or keeps it from the bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.telegram_objects import User
from tests.telegram_rules import units
from tests.telegram_text import typed
from tests.telegram_world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.telegram_objects import Chat, File, Message
    from tests.telegram_rules import Json
    from tests.telegram_world import Where, Who

ANONYMOUS = 1087968824
"""GroupAnonymousBot, who stands for administrators that write as their group."""


class People(World):
    """The people. `TelegramServer` serves them."""

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
        self.users[ANONYMOUS] = User(ANONYMOUS, "Group", "GroupAnonymousBot", is_bot=True)
        message = self._message(chat, ANONYMOUS, thread=how.get("thread"), reply_to=how.get("reply_to"))
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
