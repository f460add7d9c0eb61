"""A sign of life while an answer is made: "typing" at once, then the answer as far as it has come, edited as it grows.

Everything here may be dropped; the answer itself is sent by the surface, in the place of the draft if there is one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from telegram.constants import ChatAction
from telegram.error import BadRequest, NetworkError, TelegramError

from adapters.telegram.transport import NotReached
from adapters.telegram.updates import place, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from telegram.ext import ExtBot

    from core.ports import Clock, Spawner

log = logging.getLogger(__name__)

TYPING_SECONDS = 4.0
"""Telegram shows "typing" for five seconds."""

PACE_SECONDS = 1.5
GROUP_PACE_SECONDS = 3.5
"""Between edits: a group takes 20 messages a minute."""

FIRST_WORDS = 24
"""Characters that an answer must have before its draft is worth a message."""

_LONGEST = 3500


class Draft:
    """One answer in the making. The newest text counts; what was not shown in time is never shown."""

    def __init__(self, bot: ExtBot[None], clock: Clock, conversation: str) -> None:
        self._bot = bot
        self._clock = clock
        self._chat, self._thread = place(conversation)
        self._text = ""
        self._shown = ""
        self._message: int | None = None
        self._doubtful = False
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._done = asyncio.Event()

    def update(self, text: str) -> None:
        """The answer has come this far."""
        self._text = text
        if len(text) >= FIRST_WORDS:
            self._wake.set()

    async def finish(self) -> str | None:
        """No more: returns the name of the draft's message, if there is one, once nothing is under way for it."""
        self._over.set()
        self._wake.set()
        await self._done.wait()
        return None if self._message is None else stamped(self._chat, self._message)

    async def run(self) -> None:
        """Show signs of life until it is finished."""
        pace = GROUP_PACE_SECONDS if self._chat < 0 else PACE_SECONDS
        try:
            while not self._over.is_set():
                self._wake.clear()
                await self._show()
                await self._clock.until(self._clock.now() + round(TYPING_SECONDS * 1000), self._wake)
                if self._message is not None or self._doubtful:
                    await self._clock.until(self._clock.now() + round(pace * 1000), self._over)
        finally:
            self._done.set()

    async def _show(self) -> None:
        text = self._text[:_LONGEST].strip()
        try:
            if len(text) < FIRST_WORDS or text == self._shown or self._doubtful:
                await self._bot.send_chat_action(self._chat, ChatAction.TYPING, message_thread_id=self._thread)
            elif self._message is None:
                await self._begin(text)
            else:
                await self._bot.edit_message_text(f"{text} …", self._chat, self._message)
                self._shown = text
        except TelegramError as error:
            log.debug("a draft was dropped: %s", error)

    async def _begin(self, text: str) -> None:
        """Send the draft. One that may have arrived unseen is the last: a second would stand beside it."""
        try:
            sent = await self._bot.send_message(
                self._chat, f"{text} …", message_thread_id=self._thread, disable_notification=True
            )
        except NetworkError as error:
            self._doubtful = not isinstance(error, (NotReached, BadRequest))
            raise
        self._message, self._shown = sent.message_id, text


class Drafts:
    """The answers in the making, by the key of the message they answer."""

    def __init__(self, bot: Callable[[], ExtBot[None] | None], clock: Clock, spawner: Spawner) -> None:
        self._bot = bot
        self._clock = clock
        self._spawner = spawner
        self._drafts: dict[str, Draft] = {}

    def update(self, conversation: str, cause: str, text: str) -> None:
        """An answer has come this far ("": it is begun)."""
        draft, bot = self._drafts.get(cause), self._bot()
        if draft is None and bot is not None:
            draft = self._drafts[cause] = Draft(bot, self._clock, conversation)
            self._spawner.spawn(draft.run(), f"draft {cause}")
        if draft is not None:
            draft.update(text)

    async def finish(self, cause: str | None) -> str | None:
        """The answer is there: the name of the message that its draft stands in, if it has one; the same if it is asked again."""
        draft = self._drafts.get(cause or "")
        return None if draft is None else await draft.finish()

    def drop(self, cause: str | None) -> None:
        """The answer has arrived, or never will."""
        self._drafts.pop(cause or "", None)
