"""What strangers are told: a pairing code, and only where nobody else reads it; then nothing more for an hour."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

from bot.proxies import DeviceGone
from bot.replies import from_error
from bot.routing import refuse_unread
from core.chat import Mark, Reply, Style
from core.pairing import HOUR_MS, TooManyCodes
from core.tokens import BadActor, home_of

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.chat import Inbound
    from core.events import Json

_MANY = 1000
_LINKS = "/link"
_JOINS = re.compile(r"/link(?:@\w+)?\s+([A-Za-z2-9]{4}-?[A-Za-z2-9]{4})\s*", re.IGNORECASE)


def joining(message: Inbound) -> str:
    """`/link CODE`, where a person says nothing else and nobody else reads it: all that is heard of a stranger; else nothing."""
    found = _JOINS.fullmatch(message.text)
    alone = (
        home_of(message.actor) is not None
        and message.private
        and message.admitted
        and not (message.tap or message.files or message.unread or message.sealed)
    )
    return f"/link {found[1].upper()}" if found and alone else ""


class Strangers:
    """Answers people who have no role. Whoever was told the last word is not heard for an hour: nothing of it is stored."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()

    def ignored(self, message: Inbound) -> bool:
        """Whether this was written by somebody who had the last word there, and was not let in since."""
        place = (message.actor, _LINKS if joining(message) else message.conversation)
        if self._hub.identities.known(message.actor):
            self._told.pop(place, None)
        return self._told.get(place, 0) > self._hub.clock.now()

    async def welcome(self, message: Inbound) -> Reply:
        """The answer to anything a stranger writes. Raises `CannotRead` and `DeviceGone` for what comes from no person."""
        if home_of(message.actor) is None:
            raise DeviceGone
        refused: dict[str, Json] = {"ok": False, "error": "not_paired"}
        if not message.private:
            self.silence(message)
            refuse_unread(message)
            who = f", {message.name}" if message.name else ""
            return Reply(f"I do not know you yet{who}. Write to me in private, and I give you a pairing code.", refused)
        try:
            code = await self._hub.pairing.code(message.actor, message.name, message.conversation)
        except (TooManyCodes, BadActor) as error:
            self.silence(message)
            return from_error(error)
        words = "I do not know you yet. Your pairing code, good for an hour:\n"
        rest = f"\nGive it to this hub's owner, who lets you in with: timmy pair {code}\nYou are {message.actor} to this hub."
        return Reply(words + code + rest, refused, marks=(Mark(len(words), len(words) + len(code), Style.CODE),))

    def silence(self, message: Inbound) -> None:
        """That was the last word to them there, for an hour."""
        self._silence(message.actor, message.conversation)

    def bar(self, message: Inbound) -> None:
        """They have tried too many link codes: no more are heard, for an hour."""
        self._silence(message.actor, _LINKS)

    def _silence(self, actor: str, place: str) -> None:
        self._told[actor, place] = self._hub.clock.now() + HOUR_MS
        while len(self._told) > _MANY:
            self._told.popitem(last=False)
