"""What is remembered of Matrix over restarts: how far it was heard, which rooms were ever encrypted, whose keys are whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.messages import Mark
from core.store import patiently

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.messages import Pin, SurfaceTx
    from core.ports import Clock
    from core.store import Store


class Memory:
    """What the store said of one account at the start, and what is written since; a full disk is waited for."""

    def __init__(self, account: str, store: Store[SurfaceTx], clock: Clock) -> None:
        self._account = account
        self._store = store
        self.clock = clock
        self.mark = Mark("", "")
        self.latched: set[str] = set()
        self.pins: dict[str, Pin] = {}

    async def load(self, salt: str) -> None:
        """Read what is known; an account that is new gets the `salt`."""

        def work(tx: SurfaceTx) -> tuple[Mark, frozenset[str], Mapping[str, Pin]]:
            mark = tx.surfaces.mark(self._account)
            if mark is None:
                mark = Mark("", salt)
                tx.surfaces.save(self._account, mark)
            return mark, tx.surfaces.latched(self._account), tx.surfaces.pins(self._account)

        self.mark, latched, pins = await self._store.write(work)
        self.latched, self.pins = set(latched), dict(pins)

    async def save(self, token: str) -> None:
        """All that came before this sync token is durable."""
        mark = self.mark._replace(token=token)
        await patiently(self._store, lambda tx: tx.surfaces.save(self._account, mark), self.clock)
        self.mark = mark

    async def latch(self, place: str) -> None:
        """A room is encrypted, or somebody is in private, for ever."""
        if place not in self.latched:
            await patiently(self._store, lambda tx: tx.surfaces.latch(self._account, place), self.clock)
            self.latched.add(place)

    async def first(self, session: str, place: int, event: str) -> str:
        """Which event was the first to be opened from this place of a session; "" for one of long ago."""
        return await patiently(
            self._store, lambda tx: tx.surfaces.first(self._account, session, place, event, tx.now), self.clock
        )

    async def pin(self, user: str, pin: Pin) -> None:
        """Keep somebody's keys."""
        await patiently(self._store, lambda tx: tx.surfaces.pin(self._account, user, pin), self.clock)
        self.pins[user] = pin
