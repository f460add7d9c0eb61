"""Which room a conversation's name means: a room's own, the one where somebody is alone with the bot, or a thread of either."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import ClientError
from nio import EnableEncryptionBuilder

from adapters.matrix.calls import bounded, raise_for
from adapters.matrix.events import SURFACE, is_private, place
from core.chat import NotSent
from core.errors import cause

if TYPE_CHECKING:
    from nio import AsyncClient, MatrixRoom

    from adapters.matrix.memory import Memory


YOUNG_MS = 60_000
"""How long a server may take to tell all of a room that it made."""


@dataclass(frozen=True, slots=True)
class _Thread:
    """The room of a thread, and the newest event in it that the bot had to do with."""

    room: str
    newest: str


class Rooms:
    """Where people are reached now, and where the threads are that were seen lately.

    Who ever spoke, or was spoken to, in an encrypted room is never reached in a plain one again: that is kept over restarts,
    as a latch of the person's own. What comes in moves nothing: a room that the bot has sent to is known from that alone.
    """

    def __init__(self, memory: Memory, *, encrypts: bool) -> None:
        self._memory = memory
        self._encrypts = encrypts
        self._homes: dict[str, str] = {}
        self._made: dict[str, int] = {}
        self._closed: set[str] = set()
        self._seeking: dict[str, asyncio.Lock] = {}
        self._sent: OrderedDict[str, str] = OrderedDict()
        self._threads: OrderedDict[str, _Thread] = OrderedDict()

    async def met(self, client: AsyncClient, user: str, room: MatrixRoom) -> None:
        """Somebody is reached where they spoke last; but who ever spoke in an encrypted room is not answered in a plain one."""
        self._closed.discard(room.room_id)
        is_sealed, home = self._is_sealed(client, room.room_id), self._homes.get(user, "")
        if is_sealed and self._encrypts:
            await self._memory.latch(user)
            self._homes[user] = room.room_id
        elif not (is_sealed or self._must_seal(user) or (self._encrypts and self._is_sealed(client, home))):
            self._homes[user] = room.room_id

    def heard(self, client: AsyncClient, where: str, room: str, event: str) -> None:
        """Somebody spoke in a thread. Where the bot knows its room, an event of another one says nothing of it."""
        known = self._threads.get(where)
        target, root = place(where)
        if target.startswith("@") and not self._fits(client, room, target):
            return
        if self._sent.get(root or "", room) == room and (known is None or known.room == room):
            bounded(self._threads, where, _Thread(room, event))

    def sent(self, where: str, room: str, event: str) -> None:
        """The bot sent an event there, which is the newest where that is a thread."""
        bounded(self._sent, event, room)
        if place(where)[1] is not None:
            bounded(self._threads, where, _Thread(room, event))

    def newest(self, where: str) -> str | None:
        """The newest event of a thread, as far as it is known."""
        known = self._threads.get(where)
        return known.newest if known is not None else None

    def close(self, room: str) -> bool:
        """Nothing can be sent to a room any more, until somebody speaks there; whether it makes sense to look for another."""
        self._closed.add(room)
        return room not in self._made

    def is_young(self, room: str) -> bool:
        """Whether a room was made only now: a sync may bring it before its encryption."""
        return self._memory.clock.now() < self._made.get(room, 0) + YOUNG_MS

    def open(self, room: str) -> None:
        """The bot came into a room (again)."""
        self._closed.discard(room)

    async def holding(self, client: AsyncClient, where: str, event: str) -> str:
        """The room of a message that the bot sent: as it remembers, else the conversation's own. Raises `NotSent`.

        What was said to somebody alone stays as it is where others came in since, or where they are gone.
        """
        room_id = self._sent.get(event) or (await self.find(client, where, (), makes=False))[0]
        target, room = place(where)[0], client.rooms.get(room_id)
        if target.startswith("@") and self._must_seal(target) and not self._is_sealed(client, room_id):
            raise NotSent(surface=SURFACE, why="the message is in a plain room, and who it is for has an encrypted one")
        if target.startswith("@") and room is not None and not is_private(room, target):
            raise NotSent(surface=SURFACE, why="the message is in a room that others came into")
        return room_id

    async def find(
        self, client: AsyncClient, where: str, sent: tuple[str, ...], *, makes: bool = True
    ) -> tuple[str, str | None]:
        """The room (made, where a person has none) and the thread that a conversation's name means. Raises `NotSent`."""
        target = place(where)[0]
        if not target.startswith("@"):
            return place(where)
        async with self._seeking.setdefault(target, asyncio.Lock()):  # two at a time would make two rooms
            return await self._private(client, where, sent, makes=makes)

    async def _private(
        self, client: AsyncClient, where: str, sent: tuple[str, ...], *, makes: bool
    ) -> tuple[str, str | None]:
        target, thread = place(where)
        if thread is not None and (known := self._room_of(where, thread)) is not None:
            if self._fits(client, known, target):
                return known, thread
            thread = None  # others came into its room, or it is gone: it goes where they are reached now
        room_id = self._homes.get(target) or ""
        is_new = room_id in self._made and room_id not in client.rooms  # the next sync brings it
        if not (is_new or self._fits(client, room_id, target)):
            homes = [room.room_id for room in client.rooms.values() if self._fits(client, room.room_id, target)]
            sealed_first = sorted(homes, key=lambda home: not self._is_sealed(client, home))
            if not (sealed_first or makes):
                raise NotSent(surface=SURFACE, why=f"{target} has no room with the bot any more")
            room_id = sealed_first[0] if sealed_first else await self._new(client, target, sent)
        if self._encrypts and self._is_sealed(client, room_id):
            await self._memory.latch(target)
        self._homes[target] = room_id
        return room_id, thread

    def reaches(self, client: AsyncClient, where: str, room: str) -> bool:
        """Whether what is said in a room may be said there to whom a conversation is with."""
        target = place(where)[0]
        return self._fits(client, room, target) if target.startswith("@") else room == target

    def _room_of(self, where: str, root: str) -> str | None:
        known = self._threads.get(where)
        return self._sent.get(root) or (known.room if known is not None else None)

    async def _new(self, client: AsyncClient, user: str, sent: tuple[str, ...]) -> str:
        try:
            locks = [EnableEncryptionBuilder().as_dict()] if self._encrypts else []
            answer = await client.room_create(is_direct=True, invite=[user], initial_state=locks)
        except (ClientError, TimeoutError) as error:
            raise NotSent(surface=SURFACE, why=cause(error), sent=sent) from None
        raise_for(answer, sent)
        room_id = str(answer.room_id)
        self._made[room_id] = self._memory.clock.now()
        if self._encrypts:  # whatever the server makes of it: nothing goes there in clear
            await self._memory.latch(room_id)
        return room_id

    def _must_seal(self, user: str) -> bool:
        return self._encrypts and user in self._memory.latched

    def _is_sealed(self, client: AsyncClient, room_id: str) -> bool:
        """Whether a room is encrypted, or was so once."""
        room = client.rooms.get(room_id)
        return room_id in self._memory.latched or (room is not None and room.encrypted)

    def _fits(self, client: AsyncClient, room_id: str, user: str) -> bool:
        """Whether somebody may be reached there: alone with the bot, which may write, and encrypted where that must be."""
        room = client.rooms.get(room_id)
        is_home = room is not None and room_id not in self._closed and is_private(room, user)
        return is_home and (self._is_sealed(client, room_id) or not self._must_seal(user))
