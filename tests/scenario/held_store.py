"""A database that holds back chosen writes, so that a test decides which of two decisions is written first, or fails them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from adapters.sqlite.writer import Database
from tests.scenario.bot import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters.sqlite.unit_of_work import UnitOfWork

R = TypeVar("R")


class HeldDatabase(Database):
    """The real database. A write is named by the function that queued it: `Coordinator.cancel`."""

    _names: frozenset[str] = frozenset()
    _faults: Mapping[str, list[Exception]] = {}
    _gates: list[tuple[str, asyncio.Event]]
    _changed: asyncio.Condition

    def hold(self, *names: str) -> None:
        """Hold back what these functions write from now on."""
        self._names, self.held = frozenset(names), list[str]()
        self._gates, self._changed = [], asyncio.Condition()

    async def holding(self, *names: str) -> None:
        """Wait until exactly these writes are held, in this order."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.held == list(names))

    def release(self, *first: str) -> None:
        """Let them be written as one commit: those named first, then the others in the order in which they came."""
        self._names = frozenset()
        for _, gate in sorted(self._gates, key=lambda one: one[0] not in first):
            gate.set()

    def let(self, name: str) -> None:
        """Let what this function writes through, and go on holding the others."""
        self._names -= {name}
        for held, gate in self._gates:
            if held == name:
                gate.set()

    def fail(self, name: str, *errors: Exception) -> None:
        """What this function writes next fails: once with each of these errors."""
        self._faults = {**self._faults, name: list(errors)}

    async def write(self, work: Callable[[UnitOfWork], R], /) -> R:
        """See `core.store.Store`."""
        name = getattr(work, "func", work).__qualname__.partition(".<locals>")[0]
        if self._faults.get(name):
            raise self._faults[name].pop(0)
        if name in self._names:
            gate = asyncio.Event()
            async with self._changed:
                self.held.append(name)
                self._gates.append((name, gate))
                self._changed.notify_all()
            await gate.wait()
        return await super().write(work)


def held(store: object) -> HeldDatabase:
    """The database of a hub that was built with one of these."""
    assert isinstance(store, HeldDatabase)
    return store
