"""Keeps the hub's parts running: a part that fails is shown as down and started again, later and later, alone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.health import Part
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.health import Health
    from core.ports import Clock, Spawner

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LAST_PAUSE = 60.0
CALM_MS = 60_000
"""A part that ran this long starts again without a pause the next time."""


class Supervisor:
    """Starts parts and restarts them."""

    def __init__(self, spawner: Spawner, clock: Clock, health: Health) -> None:
        self._spawner = spawner
        self._clock = clock
        self._health = health
        self._cancels: list[Callable[[], object]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]], *, abroad: bool = False) -> None:
        """Run a part until the hub stops; `abroad` as in `Part`."""
        self._begin(name, Part(since=self._clock.now(), abroad=abroad), run, LAST_PAUSE)

    def reach(
        self, name: str, run: Callable[[Callable[[], None]], Awaitable[None]], *, longest: float = LAST_PAUSE
    ) -> None:
        """Run a part that stands for something outside, and is up once it says so. `longest`: seconds between two tries."""
        part = Part(since=self._clock.now(), abroad=True)

        def reached() -> None:
            part.up = True

        async def tried() -> None:
            part.up = False
            part.why = part.why or "it has only begun"
            await run(reached)

        self._begin(name, part, tried, longest)

    def _begin(self, name: str, part: Part, run: Callable[[], Awaitable[None]], longest: float) -> None:
        self._health.parts[name] = part
        self._cancels.append(self._spawner.spawn(self._keep(name, run, longest), f"part {name}"))

    def stop(self) -> None:
        """Stop all parts: nothing new comes in."""
        for cancel in self._cancels:
            cancel()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]], longest: float) -> None:
        part, pause = self._health.parts[name], FIRST_PAUSE
        while True:
            part.up, part.since = True, self._clock.now()
            part.why = part.why if part.restarts else ""
            try:
                await run()
                part.why = "it ended"
            except HubError as error:
                log.log(logging.DEBUG if part.why == str(error) else logging.WARNING, "%s failed: %s", name, error)
                part.why = str(error)
            except Exception:
                log.exception("%s failed", name)
                part.why = "it broke off (the log says more)"
            if _is_told_to_end():
                return
            if self._clock.now() - part.since > CALM_MS:
                pause = FIRST_PAUSE
            part.up, part.since = False, self._clock.now()
            part.restarts += 1
            await self._clock.sleep(pause)
            pause = min(pause * 2, longest)


def _is_told_to_end() -> bool:
    """Whether a stop is under way: a part that failed in that moment ended by its own error, and nobody tells it twice."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
