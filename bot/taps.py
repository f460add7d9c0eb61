"""Pressed buttons: each acts under its own name, so that it acts once, whoever presses it how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import Refused, UserError

if TYPE_CHECKING:
    from core.chat import Inbound
    from core.messages import MessageTx
    from core.store import Store


class UnknownButton(UserError):
    """I no longer know this button. /tasks shows what there is to do."""

    status = 404


class NotYourQuestion(Refused):
    """This question is not for you to answer."""


class Answered(UserError):
    """This question has been answered, or its time is over. Nothing was done."""

    status = 409


@dataclass(frozen=True, slots=True)
class Tap:
    """A button's command (empty: nothing is to be done), the key it acts under, and the message its outcome replaces."""

    command: str
    key: str
    replaces: str | None


class Taps:
    """Finds what a button means."""

    def __init__(self, store: Store[MessageTx]) -> None:
        self._store = store

    async def take(self, message: Inbound) -> Tap:
        """What the pressed button means; a question is answered by it. Raises this module's errors."""

        def work(tx: MessageTx) -> Tap:
            found = tx.messages.tap(message.tap, message.conversation)
            if found is None:
                raise UnknownButton
            if found.choice is None:
                return Tap(found.command, f"tap/{message.tap}", None)
            if found.choice.actor != message.actor:
                raise NotYourQuestion
            if not tx.messages.choose(message.tap, tx.now):
                raise Answered
            stands = message.tapped and (found.message or message.tapped)  # a client may say any message's id
            return Tap(found.command, f"tap/{message.tap}", stands or None)

        return await self._store.write(work)

    async def open_question(self, message: Inbound, *, yes: bool) -> str | None:
        """The button that a spoken yes or no means: of the newest question to this person here, if one is open."""
        taps = await self._store.read(lambda tx: tx.messages.question(message.conversation, message.actor, tx.now))
        return None if not taps else taps[0] if yes else taps[-1]
