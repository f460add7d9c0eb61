"""Which room a conversation's name means: a room's own, the one where somebody is alone with the bot, or a thread of either."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import ClientError
from nio import EnableEncryptionBuilder

from adapters.matrix.calls import bounded, raise_for, words
from adapters.matrix.events import SURFACE, is_private, place
from core.chat import NotSent

if TYPE_CHECKING:
    from nio import AsyncClient, MatrixRoom


@dataclass(frozen=True, slots=True)
class _Thread:
    """The room of a thread, and the newest event in it."""

    room: str
    newest: str


class Rooms:
    """Where people are reached now, and where the threads are that were seen lately."""

    def __init__(self, *, encrypts: bool) -> None:
        self._encrypts = encrypts
        self._homes: dict[str, str] = {}
        self._made: set[str] = set()
        self._closed: set[str] = set()
        self._threads: OrderedDict[str, _Thread] = OrderedDict()

    def met(self, client: AsyncClient, user: str, room: MatrixRoom) -> None:
        """Somebody is reached where they spoke last; but who ever spoke in an encrypted room is not answered in a plain one."""
        self._closed.discard(room.room_id)
        known = self._homes.get(user, "")
        if room.encrypted or not (self._is_home(client, known, user) and client.rooms[known].encrypted):
            self._homes[user] = room.room_id

    def follow(self, root: str, room: str, event: str) -> None:
        """An event stands in the thread of `root` now, or may have one beneath it, as its own root."""
        bounded(self._threads, root, _Thread(room, event))

    def holding(self, event: str) -> str | None:
        """The room that an event is in, as far as it is known."""
        known = self._threads.get(event)
        return known.room if known is not None else None

    def newest(self, thread: str) -> str | None:
        """The newest event of a thread, as far as it was seen."""
        known = self._threads.get(thread)
        return known.newest if known is not None else None

    def close(self, room: str) -> bool:
        """Nothing can be sent to a room any more, until somebody speaks there; whether it makes sense to look for another."""
        self._closed.add(room)
        return room not in self._made

    def open(self, room: str) -> None:
        """The bot came into a room (again)."""
        self._closed.discard(room)

    async def find(self, client: AsyncClient, where: str, sent: tuple[str, ...]) -> tuple[str, str | None]:
        """The room (made, where a person has none) and the thread that a conversation's name means. Raises `NotSent`."""
        target, thread = place(where)
        if not target.startswith("@"):
            return target, thread
        if (known := self._threads.get(thread or "")) is not None:
            if self._is_home(client, known.room, target):
                return known.room, thread
            thread = None  # others came into its room, or it is gone: it goes where they are reached now
        room_id = self._homes.get(target) or ""
        is_new = room_id in self._made and room_id not in client.rooms  # the next sync brings it
        if not (is_new or self._is_home(client, room_id, target)):
            homes = [room for room in client.rooms.values() if self._is_home(client, room.room_id, target)]
            sealed_first = sorted(homes, key=lambda room: not room.encrypted)
            room_id = sealed_first[0].room_id if sealed_first else await self._new(client, target, sent)
        self._homes[target] = room_id
        return room_id, thread

    async def _new(self, client: AsyncClient, user: str, sent: tuple[str, ...]) -> str:
        try:
            locks = [EnableEncryptionBuilder().as_dict()] if self._encrypts else []
            answer = await client.room_create(is_direct=True, invite=[user], initial_state=locks)
        except (ClientError, TimeoutError) as error:
            raise NotSent(surface=SURFACE, why=words(error), sent=sent) from None
        raise_for(answer, sent)
        self._made.add(str(answer.room_id))
        return str(answer.room_id)

    def _is_home(self, client: AsyncClient, room_id: str, user: str) -> bool:
        """Whether the bot and this person are alone in a room, and the bot may write there."""
        room = client.rooms.get(room_id)
        return room is not None and room_id not in self._closed and is_private(room, user)
