"""What comes in by a sync: each room's events in their order, opened, attributed, handed on; what it left out is fetched first."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import ClientError
from nio import ErrorResponse, InviteMemberEvent, MegolmEvent, MessageDirection, ReactionEvent, RoomMemberEvent

from adapters.matrix.calls import RETRY_SECONDS, TRIES, bounded, quietly, surely, why
from adapters.matrix.encryption import Forged, Refusal
from adapters.matrix.events import is_private, read, sealed, thread_of
from adapters.matrix.trust import CLEAR, FORGED, REACTION, UNKNOWABLE
from adapters.matrix.verification import Said
from core.errors import cause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nio import Event, InviteInfo, MatrixRoom, Response, RoomInfo, SyncResponse

    from adapters.matrix.encryption import Encryption
    from adapters.matrix.session import Parts, Session
    from adapters.matrix.verification import Verifications
    from core.chat import Inbound

log = logging.getLogger(__name__)

BACKFILL = 100
MOST_MISSED = 10_000
"""Events of one room that are fetched after a long absence, at most."""

KEY_SECONDS = 15.0
"""How long a message waits for the key that opens it; it comes by another way, often a moment later."""

EXPLAINED = 5
"""Answers in an hour, at most, to one sender in one room whose keys do not come."""

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A message whose key has not come yet, and until when it is waited for, Unix ms."""

    room: str
    event: MegolmEvent
    until: int


class Ear:
    """Hears for one signed-in session. `receive` returns once a message is durable."""

    def __init__(
        self,
        parts: Parts,
        session: Session,
        verifications: Verifications | None,
        receive: Callable[[Inbound], Awaitable[None]],
    ) -> None:
        self._access = parts.access
        self._rooms = parts.rooms
        self._buttons = parts.buttons
        self._receipts = parts.receipts
        self._clock = parts.clock
        self._client = session.client
        self._encryption = session.encryption
        self._verifications = verifications
        self._receive = receive
        self._explained: OrderedDict[str, list[int]] = OrderedDict()
        self.waiting: dict[str, _Sealed] = {}
        """Messages whose keys have not come, by their events."""

    async def take(self, answer: SyncResponse, since: str) -> None:
        """Make what a sync brought durable, room by room in its order. `since`: the token that it went on from (empty: none)."""
        for room_id, invite in answer.rooms.invite.items():
            await self._invited(room_id, invite)
        for room_id in answer.rooms.leave:  # it left, was sent out, or the room was closed
            self._client.rooms.pop(room_id, None)
            self._rooms.close(room_id)
        if self._encryption is not None:
            await self._encryption.latch(room.room_id for room in self._client.rooms.values() if room.encrypted)
        if since:  # what was said before it ever listened is none of its
            async with asyncio.TaskGroup() as rooms:
                for room_id, info in answer.rooms.join.items():
                    rooms.create_task(self._take_room(room_id, info, since))
        await self._open_late()

    async def _take_room(self, room_id: str, info: RoomInfo, since: str) -> None:
        """The messages of one room. What was said before the bot joined is none of its."""
        room: MatrixRoom = self._client.rooms[room_id]
        events: list[Event] = list(info.timeline.events)
        joined = next((at for at, event in enumerate(events) if _joins(event, self._client.user_id)), None)
        if joined is not None:
            events = events[joined + 1 :]
        elif info.timeline.limited:
            events = await self._missed(room_id, info.timeline.prev_batch, since) + events
        last = None
        for event in events:
            if isinstance(event, MegolmEvent) and self._encryption is not None:
                opened = self._encryption.opened(room_id, event)
                if opened is None:
                    until = self._clock.now() + round(KEY_SECONDS * 1000)
                    self.waiting.setdefault(event.event_id, _Sealed(room_id, event, until))
                    continue
                event = opened  # noqa: PLW2901
            if await self._heard(room, event):
                last = event.event_id
        if last is not None:
            self._receipts.heard(self._client, room_id, last)

    async def _heard(self, room: MatrixRoom, event: Event) -> bool:
        """Hand on what an event says to the hub; false if that is nothing."""
        client = self._client
        if self._encryption is not None and event.decrypted and await self._encryption.is_replay(event):
            log.warning("%s repeats an encrypted message that was read before; it is passed over", event.event_id)
            return False
        if self._verifications is not None and is_private(room, event.sender) and event.sender != client.user_id:
            said = Said(room.room_id, event.sender, event.event_id, event.server_timestamp)
            if await self._verifications.take(said, event.source):
                return False
        is_tap = isinstance(event, ReactionEvent)
        tap = await self._buttons.pressed(client, room.room_id, event) if is_tap else ""
        try:
            inbound = read(event, room, self._access.rooms, tap)
        except Exception:
            log.exception("Matrix sent an event that cannot be read; it is passed over")
            return False
        if inbound is None:
            return False
        if self._encryption is not None:
            found = await self._doubted(self._encryption, room, event, inbound)
            if found is None:
                return False
            inbound = found
        if inbound.admitted and not inbound.sealed:
            await self._placed(room, event, inbound)
        await self._receive(inbound)
        return True

    async def _placed(self, room: MatrixRoom, event: Event, inbound: Inbound) -> None:
        """What a message that is heard says of where its sender and its thread are."""
        if inbound.private:
            await self._rooms.met(self._client, event.sender, room)
        if thread_of(event) is not None:
            self._rooms.heard(self._client, inbound.conversation, room.room_id, event.event_id)

    async def _doubted(
        self, encryption: Encryption, room: MatrixRoom, event: Event, inbound: Inbound
    ) -> Inbound | None:
        """A message with what is to be doubted about it. In an encrypted room nobody speaks in clear, but by reactions."""
        is_sealed = encryption.is_sealed(room.room_id)
        if not is_sealed and self._access.encryption == "required":
            log.info(
                "%s is not encrypted, and TIMMY_MATRIX_ENCRYPTION requires it: what is said there is not heard",
                room.room_id,
            )
            return None
        if is_sealed and isinstance(event, ReactionEvent):
            return inbound._replace(doubt=REACTION if self._access.trust == "verified" else "")
        if is_sealed and not event.decrypted:
            return inbound._replace(text="", files=(), sealed=CLEAR)
        for _ in range(TRIES):
            try:
                return inbound._replace(doubt=await encryption.doubt(room.room_id, event))
            except Forged as forged:
                log.warning("Matrix: %s", forged)
                return inbound._replace(text="", files=(), sealed=FORGED)
            except (ClientError, TimeoutError, Refusal) as error:
                log.info("whose message it is cannot be found out yet: %s", cause(error))
                await self._clock.sleep(RETRY_SECONDS)
        return inbound._replace(doubt=UNKNOWABLE)

    async def _open_late(self) -> None:
        """Open what has its key by now; what has waited too long is answered with the cause, once for its key."""
        for name, waiting in list(self.waiting.items()):
            room, encryption = self._client.rooms.get(waiting.room), self._encryption
            if room is None or encryption is None:
                del self.waiting[name]
            elif (opened := encryption.opened(waiting.room, waiting.event)) is not None:
                del self.waiting[name]
                await self._heard(room, opened)
            elif self._clock.now() >= waiting.until:
                del self.waiting[name]
                message = sealed(waiting.event, room, self._access.rooms)
                if message is not None and self._may_explain(message):
                    await self._receive(message)

    def _may_explain(self, message: Inbound) -> bool:
        """Whether a sender is told once more that something cannot be read: who makes up keys is not answered for each."""
        who, hour_ago = f"{message.actor} {message.conversation}", self._clock.now() - HOUR_MS
        recent = [at for at in self._explained.get(who, ()) if at > hour_ago]
        if len(recent) >= EXPLAINED:
            return False
        bounded(self._explained, who, [*recent, self._clock.now()])
        return True

    async def _missed(self, room_id: str, start: str | None, since: str) -> list[Event]:
        """The events between the last sync and what this one brought of a busy room, oldest first."""
        found: list[Event] = []
        while start and len(found) < MOST_MISSED:
            ask = partial(self._client.room_messages, room_id, start, since, MessageDirection.back, BACKFILL)
            answer = await surely(self._clock, ask)
            if isinstance(answer, ErrorResponse):
                log.warning("what was missed of %s cannot be fetched: %s", room_id, why(answer))
                break
            for event in answer.chunk:
                if _joins(event, self._client.user_id):
                    return found[::-1]
                found.append(event)
            start = answer.end if answer.chunk else None
        return found[::-1]

    async def _invited(self, room_id: str, invite: InviteInfo) -> None:
        """Join where somebody invites who may; other invitations are declined."""
        client = self._client
        who = next(
            (
                event.sender
                for event in invite.invite_state
                if isinstance(event, InviteMemberEvent) and event.state_key == client.user_id
            ),
            "",
        )
        if who in self._access.inviters:
            answer: Response = await surely(self._clock, lambda: client.join(room_id))
            is_in = not isinstance(answer, ErrorResponse)
            log.info("joined %s, where %s invited: %s", room_id, who, "yes" if is_in else "no")
            if is_in:
                self._rooms.open(room_id)
        else:
            log.info("an invitation of %s to %s is declined; TIMMY_MATRIX_INVITERS names who may", who, room_id)
            await quietly(client.room_leave(room_id))


def _joins(event: object, user: str) -> bool:
    """Whether an event is the bot's own entry into a room."""
    return (
        isinstance(event, RoomMemberEvent)
        and event.state_key == user
        and event.membership == "join"
        and event.prev_membership != "join"
    )
