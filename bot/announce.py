"""Puts a message into a chat on the word of the data folder's owner: `notify`, over the owner's socket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from core.chat import MAX_TEXT, Reply, Role, readable
from core.errors import UserError
from core.tokens import CONSOLE_OWNER, home_of, person_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bot.health import Surface
    from core.automation.notify import Notices, NoticeTx
    from core.chat import Outgoing
    from core.store import Store
    from core.tokens import Identities

EVERY_OWNER = "owner"
_CHAT = re.compile(r"(telegram:-?[1-9][0-9]*(?=/|$)|matrix:[!@][^\s/]+|console:owner)(?:/(?:[1-9][0-9]*|\$\S+))?")


class UnknownChat(UserError):
    """This hub talks in no chat {chat}. Name "owner", a paired person (telegram:12345), or a group that its settings list."""

    status = 404


class ChatIsOff(UserError):
    """{surface} is not set up in this hub, so {chat} cannot be told anything."""

    status = 409


class NothingToSay(UserError):
    """What is announced is a text of at most {most} bytes."""


def is_chat(text: str) -> bool:
    """Whether a text has the form of a chat's name."""
    return text == EVERY_OWNER or _CHAT.fullmatch(text) is not None


def calls(
    store: Store[NoticeTx],
    identities: Identities,
    notices: Notices,
    send: Callable[[Outgoing], None],
    surfaces: Sequence[Surface],
    listed: Collection[str],
) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]]:
    """The call. `surfaces` are those that are set up, `listed` the groups and rooms that the hub works in.

    The same `key` again does nothing: whoever had no answer asks again. Without a text it only says whether it would be told.
    """

    async def notify(frame: Mapping[str, Any]) -> dict[str, Any]:
        chat, text, key = str(frame.get("chat")), frame.get("text"), f"notify/{frame.get('key')}"
        if text is not None and (not isinstance(text, str) or not 0 < len(text.encode(errors="replace")) <= MAX_TEXT):
            raise NothingToSay(most=f"{MAX_TEXT:,}")

        def work(tx: NoticeTx) -> list[Outgoing]:
            rooms = _rooms(tx, identities, chat, {surface.name for surface in surfaces}, listed)
            if text is None or tx.applied(key) is not None:
                return []
            tx.mark(key, "")
            return notices.put(tx, rooms, Reply(readable(text)))

        for message in await store.write(work):
            send(message)
        return {"text": f"{chat} is told.", "data": {"ok": True}}

    return {"notify": notify}


def _rooms(
    tx: NoticeTx, identities: Identities, chat: str, on: Collection[str], listed: Collection[str]
) -> Sequence[str]:
    """The conversations in which a chat is told. Raises `UnknownChat`, `ChatIsOff`."""
    if chat == EVERY_OWNER:
        homes = {home for one in identities.everybody(CONSOLE_OWNER) if (home := home_of(one)) is not None}
        return sorted(home for home in homes if home.partition(":")[0] in on)
    found, person = _CHAT.fullmatch(chat), person_of(chat)
    known = chat == CONSOLE_OWNER or (
        identities.role_in(tx, person) is not Role.GUEST if person else found is not None and found[1] in listed
    )
    if found is None or not known:
        raise UnknownChat(chat=repr(chat[:100]))
    surface = chat.partition(":")[0]
    if surface not in on:
        raise ChatIsOff(surface=surface, chat=chat)
    return [chat]
