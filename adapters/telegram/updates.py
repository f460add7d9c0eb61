"""What an update means: a message for the hub, a chat that moved, or nothing. No rule of who may do what lives here.

Only what the sender typed, now, as a person, is taken as said: forwarded and edited messages, those of bots and channels,
and those made through another bot never are. In a group the bot is spoken to by a command, a mention, or an answer to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telegram.constants import ChatType

from core.chat import Attachment, Inbound

if TYPE_CHECKING:
    from collections.abc import Container

    from telegram import CallbackQuery, Message, Update, User

SURFACE = "telegram"
ALLOWED = ("message", "callback_query")
"""The kinds of updates asked for. Edits, channel posts and reactions are not."""

_COMMAND_FOR = re.compile(r"/[A-Za-z0-9_]+@([A-Za-z0-9_]+)")
_GENERAL_TOPIC = 1
_UNREAD = {
    "sticker": "stickers", "location": "locations",
    "contact": "contacts", "poll": "polls", "dice": "dice", "venue": "places", "game": "games", "story": "stories",
    "paid_media": "paid media", "invoice": "invoices", "checklist": "checklists",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """A group became a supergroup and has another id from now on."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A message for the hub, and what its answer is bound to on Telegram."""

    inbound: Inbound
    message: int | None = None
    query: str | None = None


def conversation(chat: int, thread: int | None) -> str:
    """The name of a chat, or of a topic in it."""
    return f"{SURFACE}:{chat}/{thread}" if thread else f"{SURFACE}:{chat}"


def place(name: str) -> tuple[int, int | None]:
    """The chat and the topic that a conversation's name means."""
    chat, _, thread = name.partition(":")[2].partition("/")
    return int(chat), int(thread) if thread else None


def stamped(chat: int, message: int) -> str:
    """The name under which a message is remembered: with its chat, for a group that moves numbers its messages anew."""
    return f"{message}@{chat}"


def number(name: str, said_in: int, chat: int) -> int | None:
    """The number that a message has in `chat`; None if it is not of that chat. A name without a chat is of `said_in`."""
    digits, _, where = name.partition("@")
    return int(digits) if digits.isdecimal() and int(where or said_in) == chat else None


def read(update: Update, me: User, listed: Container[int]) -> Heard | Moved | None:
    """What an update means to the bot `me`; groups that are not `listed` are marked as such."""
    if update.callback_query is not None:
        return _tapped(update.callback_query, update.update_id, me, listed)
    message = update.message
    if message is None or message.is_automatic_forward:
        return None
    if message.migrate_to_chat_id is not None:
        return Moved(message.chat.id, message.migrate_to_chat_id)
    if message.from_user is None or (message.from_user.is_bot and message.sender_chat is None):
        return None
    text = _said(message, me)
    return None if text is None else _heard(message, text, update.update_id, me, listed)


def _heard(message: Message, text: str, update: int, me: User, listed: Container[int]) -> Heard | None:
    files, user = _files(message), message.from_user
    unread = _unread(message, empty=not text and not files)
    if user is None or not (text or files or unread):
        return None  # a service message: somebody joined, a title changed
    inbound = Inbound(
        SURFACE, str(me.id), str(update), conversation(message.chat.id, _thread(message)), _actor(message),
        "" if unread else text, private=_private(message), home=conversation(user.id, None),
        files=() if unread else files, unread=unread, admitted=_private(message) or message.chat.id in listed,
        name=_name(user),
    )  # fmt: skip
    return Heard(inbound, message=message.message_id)


def _said(message: Message, me: User) -> str | None:
    """What was said to the bot, without its name; None when it was said to somebody else."""
    text = _plain(message.text or message.caption or "").strip()
    if (named := _COMMAND_FOR.match(text)) is not None and named[1].casefold() != (me.username or "").casefold():
        return None
    if _private(message) or text.startswith("/"):
        return text
    answered = message.reply_to_message
    mention = re.compile(rf"@{re.escape(me.username or '')}(?![A-Za-z0-9_])[\s,:]*", re.IGNORECASE)
    if mention.search(text):
        return mention.sub("", text, count=1).strip()
    return text if answered is not None and answered.from_user is not None and answered.from_user.id == me.id else None


def _tapped(query: CallbackQuery, update: int, me: User, listed: Container[int]) -> Heard | None:
    message = query.message
    if message is None or query.from_user.is_bot or not query.data:
        return None
    private = message.chat.type == ChatType.PRIVATE
    inbound = Inbound(
        SURFACE, str(me.id), str(update), conversation(message.chat.id, _thread(message)),
        f"{SURFACE}:{query.from_user.id}", "", private=private, home=conversation(query.from_user.id, None),
        tap=query.data, tapped=stamped(message.chat.id, message.message_id), admitted=private or message.chat.id in listed,
        name=_name(query.from_user),
    )  # fmt: skip
    return Heard(inbound, message=message.message_id, query=query.id)


def _thread(message: object) -> int | None:
    """The topic; the General topic has no number of its own when sending, and a group's reply threads are no topics."""
    thread = getattr(message, "message_thread_id", None) if getattr(message, "is_topic_message", None) else None
    return None if thread == _GENERAL_TOPIC else thread


def _private(message: Message) -> bool:
    return message.chat.type == ChatType.PRIVATE


def _actor(message: Message) -> str:
    """A person by number; for an anonymous post the chat it was made as, which is nobody this hub can know."""
    sender = message.sender_chat or message.from_user
    return f"{SURFACE}:{sender.id if sender else 0}"


def _name(user: User) -> str:
    return _plain(user.full_name or "").strip()[:64] or (user.username or str(user.id))


def _plain(text: str) -> str:
    """A text that can be stored: JSON may hold halves of surrogate pairs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unread(message: Message, *, empty: bool) -> str:
    """What it is that the hub does not take from this message, in words; empty if it takes it."""
    if message.sender_chat is not None:
        return "anonymous posts, since I cannot tell who writes: post as yourself"
    if message.forward_origin is not None:
        return "forwarded messages as something you say: write it yourself"
    if message.via_bot is not None:
        return "messages made through another bot: write it yourself"
    return next((words for kind, words in _UNREAD.items() if empty and getattr(message, kind, None)), "")


def _files(message: Message) -> tuple[Attachment, ...]:
    if (note := message.voice or message.video_note) is not None:
        return (Attachment(f"voice-{message.message_id}.oga", note.file_size or 0, note.file_id, spoken=True),)
    if message.photo:
        best = message.photo[-1]
        return (Attachment(f"photo-{message.message_id}.jpg", best.file_size or 0, best.file_id),)
    for kind, suffix in (("document", "bin"), ("video", "mp4"), ("audio", "mp3"), ("animation", "mp4")):
        found = getattr(message, kind, None)
        if found is not None:
            name = _plain(found.file_name or f"{kind}-{message.message_id}.{suffix}")
            return (Attachment(name, found.file_size or 0, found.file_id),)
    return ()
