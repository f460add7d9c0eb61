"""How far the bot has read, for others to see: an answer says it by itself, so only what gets none for a while gets a receipt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from adapters.matrix.calls import beside

if TYPE_CHECKING:
    from nio import AsyncClient

    from core.ports import Clock, Spawner

PATIENCE_SECONDS = 2.0
"""A receipt at once would have the server wake everybody in the room twice, and the answer wait behind it."""


class Receipts:
    """The newest event of each room that was heard and not answered yet."""

    def __init__(self, clock: Clock, spawner: Spawner) -> None:
        self._clock = clock
        self._spawner = spawner
        self._due: dict[str, str] = {}

    def heard(self, client: AsyncClient, room: str, event: str) -> None:
        """An event was read."""
        if room not in self._due:
            self._spawner.spawn(self._later(client, room), "receipt")
        self._due[room] = event

    def answered(self, room: str) -> None:
        """Something was sent there."""
        if room in self._due:
            self._due[room] = ""

    async def _later(self, client: AsyncClient, room: str) -> None:
        await self._clock.sleep(PATIENCE_SECONDS)
        if event := self._due.pop(room, ""):
            await beside(partial(client.update_receipt_marker, room, event))
