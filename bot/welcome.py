"""What a stranger is told: a pairing code, and only where nobody else reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.routing import CannotRead
from core.chat import Mark, Reply, Style

if TYPE_CHECKING:
    from core.chat import Inbound
    from core.events import Json
    from core.pairing import Pairing


async def welcome(pairing: Pairing, message: Inbound) -> Reply:
    """The answer to anything a stranger writes. Raises `TooManyCodes`, and in a group `CannotRead` (it may be no person)."""
    refused: dict[str, Json] = {"ok": False, "error": "not_paired"}
    if not message.private:
        if message.unread:
            raise CannotRead(what=message.unread)
        who = f", {message.name}" if message.name else ""
        return Reply(f"I do not know you yet{who}. Write to me in private, and I give you a pairing code.", refused)
    code = await pairing.code(message.actor, message.name, message.conversation)
    words = "I do not know you yet. Your pairing code, good for an hour:\n"
    rest = (
        f"\nGive it to this hub's owner, who lets you in with: timmy pair {code}\nYou are {message.actor} to this hub."
    )
    return Reply(words + code + rest, refused, marks=(Mark(len(words), len(words) + len(code), Style.CODE),))
