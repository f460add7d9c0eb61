"""Spoken replies: where a conversation asked for it, each answer that has arrived is said too. The written one never waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.access import Action, authorize
from core.errors import HubError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.chat import CommandCall, Outgoing, Reply
    from core.messages import MessageTx
    from core.ports import Spawner
    from core.store import Store
    from core.voice.hearing import Mouth, Speaks

log = logging.getLogger(__name__)

MOST_WAITING = 50


class NoVoiceHere(UserError):
    """There are no voice notes on {surface}: answers are only written here. /voice on works on Telegram and Matrix."""


class CannotSpeak(UserError):
    """I cannot speak: {why}."""


class Speaking:
    """Says answers. `words` makes what is said of a reply."""

    def __init__(self, store: Store[MessageTx], mouth: Mouth, spawner: Spawner, words: Callable[[Reply], str]) -> None:
        self._store = store
        self._mouth = mouth
        self._spawner = spawner
        self._words = words
        self._surfaces: dict[str, Speaks] = {}
        self._waiting = 0

    def attach(self, surface: str, speaks: Speaks) -> None:
        """Speak on this surface from now on."""
        self._surfaces[surface] = speaks

    async def switch(self, call: CommandCall, *, on: bool) -> None:
        """Answer this conversation aloud too, or no longer. Raises `NoVoiceHere` and `CannotSpeak`.

        Anybody may end what all of a group hear; not anybody may begin it.
        """
        surface = call.conversation.partition(":")[0]
        if on and not call.caller.private:
            authorize(call.caller, Action.ALOUD)
        if on and surface not in self._surfaces:
            raise NoVoiceHere(surface=surface)
        if on and self._mouth.missing:
            raise CannotSpeak(why=self._mouth.missing)
        await self._store.write(lambda tx: tx.messages.speak(call.conversation, on=on))

    def told(self, message: Outgoing) -> None:
        """A message has arrived."""
        is_answer = message.cause is not None and "heard" not in message.reply.data
        if not is_answer or message.surface not in self._surfaces or self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        self._spawner.spawn(self._say(message), f"speech for {message.conversation}")

    async def _say(self, message: Outgoing) -> None:
        try:
            if not await self._store.read(lambda tx: tx.messages.speaks(message.conversation)):
                return
            if words := self._words(message.reply):
                voice = await self._mouth.say(words)
                await self._surfaces[message.surface].speak(message.conversation, voice)
        except HubError as error:
            log.info("the answer to %s was written and not spoken: %s", message.cause, error)
        finally:
            self._waiting -= 1
