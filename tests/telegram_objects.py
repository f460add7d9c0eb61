"""What the fake Telegram of `tests.telegram_server` is made of: users, files, messages, chats.

`wire()` is each one's object of the Bot API, https://core.telegram.org/bots/api#available-types.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.telegram_rules import bad, forbidden

if TYPE_CHECKING:
    from tests.telegram_rules import Json


@dataclass(eq=False)
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


@dataclass(eq=False)
class File:
    """A stored file; one whose size alone is said has no bytes to give."""

    id: str
    name: str
    mime: str
    data: bytes
    size: int

    @property
    def path(self) -> str:
        """Where it is fetched; Telegram makes such a path itself, of nothing that a person chose."""
        return f"files/{self.id}"

    def wire(self) -> Json:
        """What every kind of file has."""
        return {"file_id": self.id, "file_unique_id": f"u{self.id}", "file_size": self.size}


@dataclass(eq=False)
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


@dataclass(eq=False)
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
    topics: dict[int, Message] = field(repr=False, default_factory=dict)
    last_bot: int | None = None
    messages: dict[int, Message] = field(repr=False, default_factory=dict)
    numbers: itertools.count[int] = field(repr=False, default_factory=lambda: itertools.count(2))
    """Message ids; the first is the notice of the chat's making, and in a forum the General topic."""
    _wire: Json = field(repr=False, default_factory=dict)

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
