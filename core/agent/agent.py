"""The hub's agent: plain text and the conversation so far go to the model, its answer comes back piece by piece.

Conversations share nothing here, so a slow answer delays only its own. An exchange is written once, under the key of
the message behind it, when it is over; a crash before that leaves nothing, and the message is answered afresh.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from core.agent.model import BadModelName, Bounds, ModelRambled, ModelSaidNothing, ModelSlow, UnknownModel, named
from core.agent.prompt import AGENT_PROMPT, plain, window
from core.agent.session import HISTORY_TURNS, Turn
from core.chat import readable
from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from core.agent.model import ChatMessage, Model
    from core.agent.session import AgentTx
    from core.store import Store

STOPPED = "(stopped)"
"""The last words of an answer that /stop ended."""

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


class ModelChoice(NamedTuple):
    """Which models a conversation can have: `chosen` with /model (None: none), the hub's `default`, all `installed`."""

    chosen: str | None
    default: str
    installed: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Speech:
    """An answer from its question to its last word; `scope` ends it, by time or by /stop."""

    conversation: str
    speakers: Collection[str] = ()
    said: str = ""
    stopped: bool = False
    scope: asyncio.Timeout | None = None

    def stop(self) -> None:
        self.stopped = True
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(0)


class Assistant:
    """Answers people. Keeps conversations in `store`; asks `model` within `bounds`."""

    def __init__(self, store: Store[AgentTx], model: Model, *, bounds: Bounds | None = None) -> None:
        self._store = store
        self._model = model
        self._bounds = bounds or Bounds()
        self._speeches: set[_Speech] = set()

    async def answer(
        self, conversation: str, text: str, key: str, tell: Callable[[str], None], *, speakers: Collection[str] = ()
    ) -> str:
        """The agent's answer to `text` of `speakers`; `tell` is given what was said so far, piece by piece.

        A device speaks together with its person: where either is hushed, both are.
        A `key` that was answered before gets the same answer again, and the model is not asked. An answer that ends
        early (`stop`, a limit, a model that breaks off) is kept as far as it came, with its last line saying so.

        Raises the model's errors when not a word was said, and `TooLongForModel`. Cancelled, it keeps nothing.
        """
        speech = _Speech(conversation, speakers)
        self._speeches.add(speech)
        try:
            earlier, model, turns = await self._store.read(lambda tx: _recall(tx, conversation, key))
            if earlier is not None:
                return earlier
            messages = window(AGENT_PROMPT, turns, text, self._bounds.window)
            end = await self._speak(speech, messages, model, tell)
        finally:
            self._speeches.discard(speech)
        answer = "\n\n".join(filter(None, (plain(speech.said).strip(), end)))
        if not answer:
            raise ModelSaidNothing
        return await self._store.write(lambda tx: _keep(tx, conversation, text, answer, key))

    def stop(self, conversation: str) -> bool:
        """End what is being said: the model stops at once, `answer` returns what it has. False: nothing was."""
        speeches = [speech for speech in self._speeches if speech.conversation == conversation]
        for speech in speeches:
            speech.stop()
        return bool(speeches)

    def hush(self, speakers: Collection[str]) -> None:
        """End what is being said to any of these, wherever it is: they are nobody here any more."""
        for speech in self._speeches:
            if not frozenset(speakers).isdisjoint(speech.speakers):
                speech.stop()

    async def new(self, conversation: str) -> None:
        """Begin afresh: the model is not given what was said before. The chosen model stays."""
        await self._store.write(lambda tx: tx.conversations.renew(conversation))

    async def choose(self, conversation: str, name: str | None) -> str | None:
        """Choose a conversation's model; None goes back to the hub's own. Returns the full name.

        Raises `UnknownModel` (it lists those there are), `BadModelName`, or why the models cannot be listed.
        """
        model = None if name is None else await self._find(name.strip())
        await self._store.write(lambda tx: tx.conversations.choose(conversation, model))
        return model

    async def chosen(self, conversation: str) -> str | None:
        """The model chosen for a conversation, None for the hub's own. Asks no model server."""
        return await self._store.read(lambda tx: tx.conversations.model(conversation))

    async def models(self, conversation: str) -> ModelChoice:
        """What /model shows. Raises why the models cannot be listed."""
        return ModelChoice(
            await self.chosen(conversation), await self._model.default(), tuple(await self._model.models())
        )

    async def _find(self, name: str) -> str:
        if _MODEL_NAME.fullmatch(name) is None:  # a name is shown as part of a command to copy
            raise BadModelName(given=repr(name[:40]))
        installed = await self._model.models()
        found = named(name, installed)
        if found is None:
            raise UnknownModel(model=name, installed=", ".join(installed) or "none yet")
        return found

    async def _speak(
        self, speech: _Speech, messages: list[ChatMessage], model: str | None, tell: Callable[[str], None]
    ) -> str:
        """Let the model speak until it is done or ended; returns why it ended early, as its answer's last words."""
        if speech.stopped:
            return STOPPED
        try:
            async with asyncio.timeout(self._bounds.seconds) as speech.scope:
                await self._listen(speech, messages, model, tell)
        except TimeoutError:
            if speech.stopped:
                return STOPPED
            return _cut_short(speech, ModelSlow(seconds=round(self._bounds.seconds)))
        except Unavailable as error:
            return _cut_short(speech, error)
        return ""

    async def _listen(
        self, speech: _Speech, messages: list[ChatMessage], model: str | None, tell: Callable[[str], None]
    ) -> None:
        limit = self._bounds.characters
        async with aclosing(self._model.chat(messages, model=model, num_ctx=self._bounds.window)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, str):
                    continue
                speech.said = (speech.said + readable(piece))[:limit]
                tell(speech.said)
                if len(speech.said) == limit:
                    raise ModelRambled(limit=limit)


def _cut_short(speech: _Speech, error: Unavailable) -> str:
    """What was said is kept, with the error as its end; with nothing said, the error is the answer."""
    if not speech.said.strip():
        raise error
    return f"({error})"


def _recall(tx: AgentTx, conversation: str, key: str) -> tuple[str | None, str | None, list[Turn]]:
    conversations = tx.conversations
    return tx.applied(key), conversations.model(conversation), conversations.recent(conversation, HISTORY_TURNS)


def _keep(tx: AgentTx, conversation: str, text: str, answer: str, key: str) -> str:
    earlier = tx.applied(key)
    if earlier is not None:
        return earlier
    tx.conversations.add(conversation, Turn("user", text, key), tx.now)
    tx.conversations.add(conversation, Turn("assistant", answer, key), tx.now)
    tx.mark(key, answer)
    return answer
