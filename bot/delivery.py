"""The one way out: a sender per conversation, over rows that say what was sent.

A message is a row before it is sent and counts as delivered only with the platform's id. A conversation whose
surface cannot take it now parks alone and is tried again, later and later; nothing that follows from an event
overtakes the answer to the command that caused it.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from core.errors import HubError
from core.store import DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.chat import ChatAdapter, CommandCall, Outgoing
    from core.messages import MessageTx
    from core.ports import Clock, Spawner
    from core.store import Store

log = logging.getLogger(__name__)

BACKLOG = 1000
"""How many waiting messages of a surface are taken up at a time."""

R = TypeVar("R")

FIRST_RETRY = 1.0
LAST_RETRY = 60.0


@dataclass(slots=True)
class _Lane:
    """One conversation's messages; `held` while a command of it is being carried out."""

    waiting: deque[Outgoing] = field(default_factory=deque)
    held: int = 0
    sending: bool = False


@dataclass(frozen=True, slots=True)
class _Note:
    """What became of some messages, by number: the platform's id, or None where nobody was there. `back`: see `again`."""

    surface: str
    back: int | None
    outcome: list[tuple[int, str | None]]

    @property
    def missed(self) -> bool:
        """Whether nobody was there for one of them."""
        return any(platform_id is None for _, platform_id in self.outcome)


async def patiently(store: Store[MessageTx], work: Callable[[MessageTx], R], clock: Clock) -> R:
    """Write what must be written in the end, however long the disk is full: nothing waits for it but its own lane."""
    pause = FIRST_RETRY
    while True:
        try:
            return await store.write(work)
        except DiskFull as error:
            log.warning("%s", error)
        await clock.sleep(pause)
        pause = min(pause * 2, LAST_RETRY)


class Delivery:
    """Sends what is queued, conversation by conversation."""

    def __init__(self, store: Store[MessageTx], clock: Clock, spawner: Spawner) -> None:
        self._store = store
        self._clock = clock
        self._spawner = spawner
        self._surfaces: dict[str, ChatAdapter] = {}
        self._lanes: dict[str, _Lane] = {}
        self._flying: set[int] = set()
        self._notes: list[_Note] = []
        self._noting = False
        self._back: dict[str, int] = {}

    def attach(self, surface: ChatAdapter) -> None:
        """Send through this surface from now on."""
        self._surfaces[surface.name] = surface

    async def again(self, surface: str) -> None:
        """A surface is there (again): send what waits for it. It shows which may have arrived before a stop."""
        self._back[surface] = self._back.get(surface, 0) + 1

        def take(tx: MessageTx) -> list[Outgoing]:
            waiting = [one for one in tx.messages.waiting(surface, BACKLOG) if one.id not in self._flying]
            tx.messages.mark([one.id for one in waiting], "sending")
            return waiting

        for message in await self._store.write(take):
            self.send(message)

    def send(self, message: Outgoing) -> None:
        """Queue a message that has been written; id 0 is progress, which is shown or dropped."""
        if message.id:
            self._flying.add(message.id)
        self._lane(message.conversation).waiting.append(message)
        self._kick(message.surface, message.conversation)

    def draft(self, call: CommandCall, text: str) -> None:
        """Show the answer to a call as far as it is made; it may be lost, the answer itself is not."""
        adapter = self._surfaces.get(call.conversation.partition(":")[0])
        if adapter is not None:
            adapter.draft(call.conversation, call.key, text)

    def hold(self, conversation: str) -> None:
        """A command begins: what follows from it waits for its answer."""
        self._lane(conversation).held += 1

    def let_go(self, surface: str, conversation: str) -> None:
        """The command's answer is queued."""
        self._lane(conversation).held -= 1
        self._kick(surface, conversation)

    def _lane(self, conversation: str) -> _Lane:
        return self._lanes.setdefault(conversation, _Lane())

    def _kick(self, surface: str, conversation: str) -> None:
        lane = self._lane(conversation)
        if lane.sending:
            return
        if not lane.waiting:
            if not lane.held:
                self._lanes.pop(conversation, None)
            return
        lane.sending = True
        self._spawner.spawn(self._run(surface, conversation, lane), f"sender {conversation}")

    async def _run(self, surface: str, conversation: str, lane: _Lane) -> None:
        try:
            while batch := self._next(lane):
                await self._send_all(surface, batch)
        finally:
            lane.sending = False
            if not lane.waiting and not lane.held:
                self._lanes.pop(conversation, None)

    def _next(self, lane: _Lane) -> list[Outgoing]:
        """Answers first while a command is under way; everything in order otherwise."""
        ready = [message for message in lane.waiting if message.cause is not None] if lane.held else list(lane.waiting)
        for message in ready:
            lane.waiting.remove(message)
        return ready

    async def _send_all(self, surface: str, batch: list[Outgoing]) -> None:
        """Send, and have it noted beside what comes next: an answer does not wait for the note on the one before it."""
        back = self._back.get(surface)
        outcome = [(message.id, await self._send(surface, message)) for message in batch]
        self._notes.append(_Note(surface, back, [(number, platform_id) for number, platform_id in outcome if number]))
        if not self._noting:
            self._noting = True
            self._spawner.spawn(self._write_notes(), "notes of what was sent")

    async def _write_notes(self) -> None:
        """Until it is noted, a message counts as one that may have arrived, and a crash shows it so."""
        try:
            while notes := self._notes:
                self._notes = []
                outcome = [one for note in notes for one in note.outcome]
                await patiently(self._store, partial(_mark, outcome), self._clock)
                self._flying.difference_update(number for number, _ in outcome)
                for surface in {
                    note.surface for note in notes if note.missed and self._back.get(note.surface) != note.back
                }:
                    await self.again(surface)  # somebody came while these were put back
        finally:
            self._noting = False

    async def _send(self, surface: str, message: Outgoing) -> str | None:
        adapter = self._surfaces.get(surface)
        if adapter is None:
            return None
        pause = FIRST_RETRY
        while True:
            try:
                return await adapter.send(message)
            except HubError as error:
                log.warning("%s did not take message %s: %s", surface, message.id, error)
            if not message.id:
                return None
            await self._clock.sleep(pause)
            pause = min(pause * 2, LAST_RETRY)


def _mark(outcome: Sequence[tuple[int, str | None]], tx: MessageTx) -> None:
    for number, platform_id in outcome:
        tx.messages.mark((number,), "queued" if platform_id is None else "sent", platform_id)
