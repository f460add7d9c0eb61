"""The one way in: dedupe, authorize, route, run, answer.

A message is stored before anything else; then it waits for its turn in a lane. Within a conversation commands keep
their order, and so do questions to the agent, but a command never waits for a model; control commands wait for nothing.
The answer and the message's "done" are one unit of work, so a crash repeats the turn or the sending, never the effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.delivery import patiently
from bot.replies import from_error
from core.access import authorize
from core.chat import Outgoing
from core.errors import HubError, WentWrong
from core.store import DiskFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.delivery import Delivery
    from bot.hub import Hub
    from bot.registry import Command
    from core.chat import Inbound, Reply
    from core.messages import MessageTx
    from core.ports import Spawner
    from core.store import Store

log = logging.getLogger(__name__)

MAX_WAITING = 200
"""Messages of one lane that may wait their turn; more are refused, with an answer that says so."""


class TooBusy(HubError):
    """You sent more messages than I can take at once; this one was not looked at. Wait for the answers and send it again."""


class Dispatcher:
    """Takes messages from every surface, one turn at a time per lane."""

    def __init__(self, hub: Hub, store: Store[MessageTx], delivery: Delivery, spawner: Spawner) -> None:
        self._hub = hub
        self._store = store
        self._delivery = delivery
        self._spawner = spawner
        self._lanes: dict[str, deque[tuple[Inbound, Command | HubError]]] = {}
        self._turns = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def receive(self, message: Inbound) -> None:
        """Store a message and queue its turn; returns once it is durable. The same update again does nothing."""
        number = await self._store.write(lambda tx: tx.messages.receive(message, tx.now))
        if number:
            self._queue(replace(message, id=number))

    async def recover(self) -> int:
        """Take up the messages that the last stop left unanswered; returns how many."""
        waiting: Sequence[Inbound] = await self._store.read(lambda tx: tx.messages.unanswered())
        for message in waiting:
            self._queue(message)
        return len(waiting)

    async def drain(self, seconds: float) -> None:
        """Let the turns under way end, for a while; what is left is taken up at the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _queue(self, message: Inbound) -> None:
        command: Command | HubError
        try:
            command = self._hub.registry.route(message)
        except HubError as error:
            command = error
        if not isinstance(command, HubError) and command.control:
            self._spawner.spawn(self._turn(message, command), f"control {message.key}")
            return
        talk = not isinstance(command, HubError) and command.talk
        if not isinstance(command, HubError) and command.interrupts:
            self._hub.assistant.stop(message.conversation)
        lane = f"{message.lane or message.conversation}{' talk' if talk else ''}"
        waiting = self._lanes.get(lane)
        if waiting is None:
            self._lanes[lane] = deque([(message, command)])
            self._spawner.spawn(self._run(lane), f"lane {lane}")
        else:
            waiting.append((message, command if len(waiting) < MAX_WAITING else TooBusy()))

    async def _run(self, lane: str) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                message, command = waiting[0]
                await self._turn(message, command)
                waiting.popleft()
        finally:
            del self._lanes[lane]

    async def _turn(self, message: Inbound, command: Command | HubError) -> None:
        talk = not isinstance(command, HubError) and command.talk
        if not talk:
            self._delivery.hold(message.conversation)
        self._turns += 1
        self._idle.clear()
        try:
            reply = await self._reply(message, command)

            def answer(tx: MessageTx) -> Outgoing:
                tx.messages.done(message.id)
                return tx.messages.queue(message.surface, message.conversation, reply, message.key, tx.now)

            try:
                outgoing = await self._store.write(answer)
            except DiskFull as error:
                self._tell(message, error)
                outgoing = await patiently(self._store, answer, self._hub.clock)
            self._delivery.send(outgoing)
        finally:
            self._turns -= 1
            if not self._turns:
                self._idle.set()
            if not talk:
                self._delivery.let_go(message.surface, message.conversation)

    def _tell(self, message: Inbound, error: HubError) -> None:
        """Say at once, unrecorded, that the answer cannot be written yet; it follows when it can."""
        self._delivery.send(Outgoing(0, message.surface, message.conversation, from_error(error), message.key))

    async def _reply(self, message: Inbound, command: Command | HubError) -> Reply:
        try:
            if isinstance(command, HubError):
                return from_error(command)
            caller = await self._hub.identities.caller(
                message.actor, private=message.private, acting_for=message.acting_for
            )
            if command.action is not None:
                authorize(caller, command.action)
            return await command.run(self._hub, self._hub.registry.call(command, message, caller))
        except HubError as error:
            return from_error(error)
        except Exception:
            log.exception("/%s failed", getattr(command, "name", "?"))
            return from_error(WentWrong())
