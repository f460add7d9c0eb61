"""What an event of a room means: a message for the hub, or nothing. No rule of who may do what lives here.

Only what the sender typed, now, as a person, is taken as said: edits, notices, and quotes in a reply never are. In a room with
others the bot is spoken to by a command or by its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nio import (
    ReactionEvent,
    RoomEncryptedAudio,
    RoomEncryptedMedia,
    RoomMessage,
    RoomMessageAudio,
    RoomMessageMedia,
    RoomMessageText,
)

from adapters.matrix.content import VOICE, reference
from core.chat import Attachment, Inbound

if TYPE_CHECKING:
    from collections.abc import Container

    from nio import Event, MatrixRoom, MegolmEvent

SURFACE = "matrix"

_COMMAND = re.compile(r"!(?=[A-Za-z])")
_QUOTE = re.compile(r"(?:>[^\n]*(?:\n|\Z))+\n?")


def conversation(where: str, thread: str | None = None) -> str:
    """The name of a room, or for what is said in private of the person; or of a thread there."""
    return f"{SURFACE}:{where}/{thread}" if thread else f"{SURFACE}:{where}"


def place(name: str) -> tuple[str, str | None]:
    """The room or person and the thread's first event that a conversation's name means."""
    where, slash, thread = name.partition(":")[2].partition("/$")
    return where, f"${thread}" if slash else None


def is_private(room: MatrixRoom, user: str) -> bool:
    """Whether the bot and this one other are alone there. A room whose members the server no longer tells is not private."""
    return int(room.member_count) <= 2 and user in room.users  # noqa: PLR2004


def thread_of(event: Event) -> str | None:
    """The first event of the thread that an event is in."""
    relation = _relation(event)
    root = relation.get("event_id") if relation.get("rel_type") == "m.thread" else None
    return root if isinstance(root, str) and root.startswith("$") else None


def read(event: Event, room: MatrixRoom, listed: Container[str], tap: str = "") -> Inbound | None:
    """What an event means to the bot; rooms that are not `listed` are marked as such. `tap`: the button a reaction presses."""
    sender, private = event.sender, is_private(room, event.sender)
    relation = _relation(event)
    if sender == room.own_user_id or relation.get("rel_type") == "m.replace":
        return None
    thread = thread_of(event)
    inbound = Inbound(
        SURFACE, room.own_user_id, event.event_id, conversation(sender if private else room.room_id, thread),
        f"{SURFACE}:{sender}", "", private=private, home=conversation(sender), admitted=private or room.room_id in listed,
        name=str(room.user_name(sender) or sender)[:64],
    )  # fmt: skip
    if isinstance(event, ReactionEvent):
        return inbound._replace(tap=tap, tapped=event.reacts_to) if tap else None
    return _said(event, room, inbound) if isinstance(event, RoomMessage) else None


def sealed(event: MegolmEvent, room: MatrixRoom, listed: Container[str]) -> Inbound | None:
    """What is to be answered to messages that cannot be opened: once for each missing key, and only where the bot is at home."""
    sender, private = event.sender, is_private(room, event.sender)
    if sender == room.own_user_id or not (private or room.room_id in listed):
        return None
    name = f"sealed/{sender}/{room.room_id}/{event.session_id}"
    return Inbound(
        SURFACE, room.own_user_id, name, conversation(sender if private else room.room_id),
        f"{SURFACE}:{sender}", "", private=private, home=conversation(sender), name=str(room.user_name(sender) or sender)[:64],
        sealed="its key never came to me. Send it again; if that goes on, leave this chat and begin a new one with me.",
    )  # fmt: skip


def _said(event: RoomMessage, room: MatrixRoom, inbound: Inbound) -> Inbound | None:
    """A message with what it says to the bot; None if that is nothing."""
    text, files, unread = _taken(event)
    if not (text or files or unread):
        return None
    heard = _COMMAND.sub("/", text, count=1) if inbound.private else _addressed(text, event, room)
    return None if heard is None else inbound._replace(text=heard, files=files, unread=unread)


def _content(event: Event) -> dict[str, Any]:
    found = event.source.get("content")
    return found if isinstance(found, dict) else {}


def _relation(event: Event) -> dict[str, Any]:
    found = _content(event).get("m.relates_to")
    return found if isinstance(found, dict) else {}


def _taken(event: RoomMessage) -> tuple[str, tuple[Attachment, ...], str]:
    """The words, the files, and what is not taken, of a message."""
    content = _content(event)
    if isinstance(event, RoomMessageText):
        quotes = "m.in_reply_to" in _relation(event)
        return (_QUOTE.sub("", event.body, count=1) if quotes else event.body).strip(), (), ""
    if isinstance(event, (RoomMessageMedia, RoomEncryptedMedia)):
        info, named = content.get("info"), content.get("filename")
        size = info.get("size") if isinstance(info, dict) else 0
        name = named if isinstance(named, str) and named else event.body
        spoken = isinstance(event, (RoomMessageAudio, RoomEncryptedAudio)) and VOICE in content
        words = "" if spoken or name == event.body else event.body.strip()
        return words, (Attachment(name, size if isinstance(size, int) else 0, reference(content), spoken),), ""
    return "", (), ""


def _addressed(text: str, event: RoomMessage, room: MatrixRoom) -> str | None:
    """What was said to the bot among others, without its name; None when it was said to somebody else."""
    command = _COMMAND.match(text)
    if command is not None or text.startswith("/"):
        return _COMMAND.sub("/", text, count=1)
    names = {room.own_user_id, str(room.user_name(room.own_user_id) or room.own_user_id)}
    called = re.compile(
        rf"\s*@?(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})[\s,:]+", re.IGNORECASE
    )
    found = called.match(text)
    if found is not None:
        return _COMMAND.sub("/", text[found.end() :].strip(), count=1)
    mentions = _content(event).get("m.mentions")
    mentioned = mentions.get("user_ids") if isinstance(mentions, dict) else None
    return text if isinstance(mentioned, list) and room.own_user_id in mentioned else None
