"""Watches the chat surfaces and the hub's own files.

A surface that stops hearing its people is told to the hub's owners where they still can be reached. A hub whose files are gone
ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.automation.topics import Notice, Topic
from core.chat import Reply
from core.errors import HubError
from core.events import Event, Kind
from core.store import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bot.health import Health
    from core.automation.notify import Notices, NoticeTx
    from core.chat import Outgoing
    from core.ports import Clock
    from core.store import Store

EVERY_SECONDS = 5.0


class Watch:
    """Looks every few seconds. `owners` are actor ids now; a surface's owner is reached in the conversation of that name.

    `intact` raises a `HubError` where the hub's files are gone; then `lost` is that, and `end` was called.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        health: Health,
        store: Store[NoticeTx],
        notices: Notices,
        clock: Clock,
        owners: Callable[[], Collection[str]],
        send: Callable[[Outgoing], None],
        intact: Callable[[], None],
    ) -> None:
        self._health = health
        self._store = store
        self._notices = notices
        self._clock = clock
        self._owners = owners
        self._send = send
        self._intact = intact
        self._down: dict[str, str] = {}
        self.lost: HubError | None = None
        self.end: Callable[[], object] = lambda: None

    async def tidy(self) -> None:
        """At a start: what waits to be told is for whoever owns the hub now, and about surfaces that there still are."""
        owners, names = set(self._owners()), {surface.name for surface in self._health.surfaces}

        def work(tx: NoticeTx) -> None:
            found = tx.messages.notices()
            tx.messages.withdraw(
                [
                    number
                    for number, where, about in found
                    if about not in names or (where not in owners and not self._notices.wanted_in(where))
                ]
            )

        await self._store.write(work)

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            self._look_at_files()
            await self._clock.sleep(EVERY_SECONDS)
            for surface in self._health.surfaces:
                why = self._health.surface_fault(surface)
                if (why is None) == (surface.name not in self._down):
                    continue
                if why is None:
                    await self._tell(surface.name, Kind.SURFACE_UP, f"{surface.name} hears again.")
                    del self._down[surface.name]
                else:
                    await self._tell(surface.name, Kind.SURFACE_DOWN, f"{why.rstrip('.')}.")
                    self._down[surface.name] = why

    def _look_at_files(self) -> None:
        try:
            self._intact()
        except HubError as error:
            self.lost = error
            self.end()
            raise

    async def warn(self, surface: str, key: str, words: str) -> None:
        """Tell the owners, elsewhere than on `surface`, what happened there: once for each `key`."""

        def work(tx: NoticeTx) -> list[Outgoing]:
            if tx.applied(key) is not None:
                return []
            tx.mark(key, "")
            return self._told(tx, Topic.SECURITY, surface, Reply(words, {"ok": False, "surface": surface}))

        for message in await patiently(self._store, work, self._clock):
            self._send(message)

    async def _tell(self, surface: str, kind: Kind, words: str) -> None:
        def work(tx: NoticeTx) -> list[Outgoing]:
            tx.emit(Event(kind, data={"surface": surface}))
            return self._told(
                tx, Topic.HEALTH, surface, Reply(words, {"ok": kind is Kind.SURFACE_UP, "surface": surface})
            )

        for message in await self._store.write(work):
            self._send(message)

    def _told(self, tx: NoticeTx, topic: Topic, surface: str, reply: Reply) -> list[Outgoing]:
        return self._notices.tell(tx, Notice(topic, reply, frozenset(self._owners()), but=surface))
