"""What comes by itself at times: loaded for the first who plans or is briefed, and never by a hub where nobody does."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from bot.later import Later
from bot.parts import chats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.sqlite.writer import Database
    from config.settings import Settings
    from core.automation.briefing import Briefings
    from core.automation.schedule import Calendar
    from core.automation.schedules import Schedules
    from core.chat import Caller, Inbound, Outgoing
    from core.ports import Clock
    from core.swarm.stuck import Stuck
    from core.tokens import Identities


@cache
def calendar() -> Calendar:
    """APScheduler's triggers."""
    from adapters.timer import WallCalendar  # noqa: PLC0415 - see above

    return WallCalendar()


class Timetable(Later["Schedules"]):
    """The schedules of a hub, which are there once something is planned."""

    def __init__(
        self,
        settings: Settings,
        store: Database,
        clock: Clock,
        identities: Identities,
        send: Callable[[Outgoing], None],
    ) -> None:
        def make() -> Schedules:
            from core.automation.schedules import Schedules  # noqa: PLC0415 - see above

            return Schedules(
                store, clock, identities, calendar, zone=settings.timezone or "", send=send, take=self.take,
                listed=partial(chats.works_in, chats.listed(settings)),
            )  # fmt: skip

        super().__init__(make)
        self._store = store
        self.take: Callable[[Inbound], None] = lambda _: None
        """Takes the message that a run is, once it is kept; set before the first schedule."""

    async def run(self) -> None:
        """Carry out what comes round, for ever."""
        if not await self._store.read(lambda tx: tx.keeps_schedules()):
            await self.needed.wait()
        await self().run()

    async def look(self) -> Sequence[Stuck]:
        """Those that hang."""
        return () if self.made is None else await self.made.look()


def briefings(
    store: Database,
    identities: Identities,
    person: Callable[[Caller], str],
    troubles: Callable[[], Sequence[str]],
    away: Callable[[], Sequence[str]],
) -> Later[Briefings]:
    """See `core.automation.briefing.Briefings`."""

    def make() -> Briefings:
        from core.automation.briefing import Briefings  # noqa: PLC0415 - see above

        return Briefings(store, identities, person, troubles, away)

    return Later(make)
