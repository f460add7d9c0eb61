"""Summing up conversations behind their back: one after the other, never while somebody waits for it, and again after a crash.

What is to be done is told by the rows alone: a conversation that has grown too long is found at its next turn. A summary is
written once it is whole; /new while it is made makes it nothing.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from core.agent.model import ModelOverfull, Unsaid, fitting
from core.agent.session import HISTORY_TURNS
from core.agent.summary import due, limit, made, noted, request
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.agent.memory import Notes
    from core.agent.model import Bounds, ChatMessage, Model
    from core.agent.summary import Said, Summary, SummaryTx
    from core.ports import Spawner
    from core.store import Store

log = logging.getLogger(__name__)

MOST_WAITING = 100
"""Conversations that may wait; another comes again with its next turn."""

SECONDS = 180.0
"""How long a summary may take."""

LEAST = 8
"""A model that counts more tokens is given one part in this many of what would else be summed up at once, at least."""


class Summaries:
    """Makes summaries with `model`, and gives them to whoever speaks."""

    def __init__(self, store: Store[SummaryTx], model: Model, spawner: Spawner, *, bounds: Bounds) -> None:
        self._store = store
        self._model = model
        self._spawner = spawner
        self._bounds = bounds
        self._waiting: dict[str, None] = {}
        self.rested = asyncio.Event()
        """Set while nothing is being summed up, nor waits for it."""
        self.rested.set()

    async def notes(self, speaker: str, conversation: str, num_ctx: int | None = None) -> Notes:
        """What the model, whose window this is, is given of what was said before, when the account `speaker` speaks."""
        return noted(await self._store.read(lambda tx: tx.summaries.of(conversation)), speaker, num_ctx)

    def look(self, conversation: str) -> None:
        """A turn of this conversation is over: sum its older part up if it is time, by and by."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting[conversation] = None
        if self.rested.is_set():
            self.rested.clear()
            self._spawner.spawn(self._run(), "summaries")

    async def _run(self) -> None:
        try:
            while self._waiting:
                conversation = next(iter(self._waiting))
                del self._waiting[conversation]
                await self._looked(conversation)
        finally:
            self.rested.set()

    async def _looked(self, conversation: str) -> None:
        """Sum up until the rest fits easily. What fails is tried again after the next turn."""
        try:
            while await self._part(conversation):
                pass
        except TimeoutError:
            log.info("a conversation was not summed up within %.0f s", SECONDS)
        except HubError as error:
            log.info("a conversation was not summed up: %s", error)

    async def _part(self, conversation: str) -> bool:
        """Sum up the oldest turns, if it is time; False: it is not."""
        before, said, name = await self._store.read(lambda tx: _recall(tx, conversation))
        summary = await self._summed(before, said, name)
        if summary is None or not summary.text:
            return False
        await self._store.write(lambda tx: tx.summaries.put(conversation, summary, tx.now))
        return True

    async def _summed(self, before: Summary | None, said: Sequence[Said], name: str | None) -> Summary | None:
        """The oldest turns in short; None: it is not time. A model that counts more tokens is given fewer of them."""
        room = window = fitting(self._bounds.window, await self._model.card(name))
        while old := due(said, room):
            try:
                return made(before, old, await self._asked(request(before, old, room), name, window))
            except ModelOverfull:
                room = room * 3 // 4
                if room < window // LEAST:
                    raise
        return None

    async def _asked(self, messages: Sequence[ChatMessage], name: str | None, window: int) -> str:
        text = ""
        async with asyncio.timeout(SECONDS):
            async with aclosing(self._model.chat(messages, model=name, num_ctx=window)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Unsaid):
                        text = ""
                    text += piece if isinstance(piece, str) else ""
                    if len(text) >= limit(window):
                        break
        return text[: limit(window)]


def _recall(tx: SummaryTx, conversation: str) -> tuple[Summary | None, Sequence[Said], str | None]:
    before = tx.summaries.of(conversation)
    said = tx.summaries.after(conversation, before.upto if before else 0, 2 * HISTORY_TURNS)
    return before, said, tx.conversations.model(conversation)
