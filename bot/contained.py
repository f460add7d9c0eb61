"""Agents in containers, for commands and the owner's calls. What keeps them is loaded by the first that is asked for."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from core.access import Action, authorize, judge
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.supervisor import Supervisor
    from core.chat import Caller
    from core.swarm.coordinator import Coordinator
    from core.swarm.keeper import Keeper
    from core.swarm.ports import Seat
    from core.swarm.roster import Roster

PART = "containers"
NOWHERE = "none"
"""What is said instead of an image for an agent in the hub's own process."""

LOOK_SECONDS = 2.0
"""How long whoever looks at an agent waits for what its container said last."""

_NEAR = 0.75
"""How like a persona's name another must be to be taken for it, misspelt (difflib's ratio)."""


class Contained:
    """Spawns, dismisses and looks at agents, in containers and not. `image`: what /spawn takes if none is said."""

    def __init__(
        self, make: Callable[[], Awaitable[Keeper]], supervisor: Supervisor, coordinator: Coordinator, roster: Roster,
        image: str | None,
    ) -> None:  # fmt: skip
        self._make = make
        self._supervisor = supervisor
        self._coordinator = coordinator
        self._roster = roster
        self._image = image
        self._keeper: Keeper | None = None
        self._lock = asyncio.Lock()
        self._begun = False

    async def begin(self, *, kept: bool) -> None:
        """The hub starts, whatever keeps its containers from it; `kept`: there were agents in some."""
        if kept:
            with suppress(HubError):  # its part says so, and tries again
                await self._made()
            self._start()

    async def _made(self) -> Keeper:
        async with self._lock:
            if self._keeper is None:
                keeper = await self._make()
                await keeper.load()
                self._keeper = keeper
            return self._keeper

    def _start(self) -> None:
        if not self._begun:
            self._begun = True
            self._supervisor.reach(PART, self._run)

    async def _run(self, reached: Callable[[], None]) -> None:
        await (await self._made()).run(reached)

    async def _opened(self) -> Keeper:
        """What keeps containers, which then is a supervised part."""
        keeper = await self._made()
        self._start()
        return keeper

    async def _there(self) -> Keeper | None:
        """What keeps containers, if there are or were any. Raises what keeps it from being there."""
        return await self._made() if self._begun else None

    async def spawn(
        self, caller: Caller, given: str, image: str | None, does: str | None, *, key: str
    ) -> tuple[str, str]:
        """One more agent; returns its name, and where it is, to follow that."""
        authorize(caller, Action.ROSTER)
        keeper = await self._there()
        kept = keeper and keeper.kept(given)
        elsewhere = kept is None and self._coordinator.crew.knows(given)
        chosen = image or (None if elsewhere or self._misspelt(given) else kept.image if kept else self._image)
        if chosen in {None, NOWHERE}:
            return await self._coordinator.spawn(caller, given, key=key), ""
        if chosen not in {self._image, kept and kept.image}:
            authorize(caller, Action.IMAGE)
        from core.swarm.container import names  # noqa: PLC0415 - for the first container

        persona, can = self._roster.personas.get(given.lower()), re.split(r"[,;]\s*", does) if does else []
        keeper = await self._opened()
        agent = await keeper.spawn(
            caller, names(persona.name) if persona else [given], chosen or "",
            can or (persona.capabilities if persona else kept.capabilities if kept else ()), key=key,
        )  # fmt: skip
        return agent, f", in a container of {chosen}"

    def _misspelt(self, given: str) -> bool:
        """Whether it was to be a persona's name: no agent of another name is begun for it."""
        import difflib  # noqa: PLC0415 - for the first who spawns an agent

        known = self._roster.personas
        return given.lower() not in known and bool(difflib.get_close_matches(given.lower(), known, n=1, cutoff=_NEAR))

    async def dismiss(self, caller: Caller, name: str, *, key: str) -> tuple[str, int]:
        """Take an agent off the roster, and end its container; returns as `Coordinator.dismiss`."""
        keeper = await self._there()
        if keeper is not None and (one := keeper.kept(name)) is not None and one.live:
            return await keeper.dismiss(caller, name, key=key)
        return await self._coordinator.dismiss(caller, name, key=key)

    async def log(self, name: str, lines: int) -> list[str]:
        """What the container of an agent said last. Raises `NoContainer`, `DockerAway`."""
        return await (await self._opened()).log(name, lines)

    async def ended(self, caller: Caller, seat: Seat) -> tuple[str, list[str]]:
        """Why the container of an agent ended lately, and what it said last, for those who may act; empty: it did not."""
        keeper = self._keeper
        one = keeper and keeper.kept(seat.name)
        if keeper is None or not one or not one.why or not judge(caller, Action.ROSTER).allowed:
            return "", []
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return one.why, await keeper.log(one.name)
        except (HubError, TimeoutError):  # Docker is away
            return one.why, []
