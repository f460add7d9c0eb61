"""The test watchdog at work: hears what changes, runs the suite, says what there is to say (`watchdog` decides all of it)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, assert_never

from core.automation.watchdog import Begin, Break, BrokenOff, Changed, Over, Say, Start, Watchdog, decide
from core.errors import HubError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from core.automation.verdict import Ran
    from core.automation.watchdog import Act, Event
    from core.ports import Clock, Spawner

AGAIN_SECONDS = 5.0
"""How often a folder that is gone is looked for."""


class Tests(Protocol):
    """The suite of a project."""

    async def run(self) -> Ran:
        """Run it to its end; cancelled, it has ended by the time this returns."""


class News(Protocol):
    """What changes in the project's folder."""

    def __call__(self) -> AsyncIterator[Mapping[str, int | None]]:
        """Batches of files, each with how many ms ago it changed (None: not known). The first batch is empty.

        They end once the folder is gone. Raises `Unavailable` where there is no news.
        """


class RunFailed(HubError):
    """The tests could not be run, for a fault of this program; the log says which."""


class SelfTdd:
    """The watchdog of one project. `interval`: seconds after a run until the next, though nothing changed; 0: none."""

    def __init__(
        self, tests: Tests, news: News, say: Callable[[Say], None], *, clock: Clock, spawner: Spawner, interval: float
    ) -> None:
        self._tests = tests
        self._news = news
        self._say = say
        self._clock = clock
        self._spawner = spawner
        self._interval = interval
        self._dog = Watchdog()
        self._events: asyncio.Queue[Event | HubError] = asyncio.Queue()
        self._break: Callable[[], object] = lambda: None
        self._unset: Callable[[], object] = lambda: None
        self._under_way = False

    async def run(self) -> None:
        """Watch for ever. What it starts ends with the spawner. Raises `Unavailable` where nothing would ever start a run."""
        self._spawner.spawn(self._listen(), "changes")
        while True:
            event = await self._events.get()
            if isinstance(event, HubError):
                raise event
            self._dog, acts = decide(self._dog, event)
            for act in acts:
                self._do(act)
            if isinstance(event, Over) and not self._dog.running and self._interval:
                self._unset = self._spawner.spawn(self._later(), "the next run")

    def _do(self, act: Act) -> None:
        match act:
            case Say():
                self._say(act)
            case Break():
                self._break()
                if not self._under_way:  # a task that is cancelled before its first step takes none
                    self._events.put_nowait(BrokenOff())
            case Start():
                self._unset()
                self._under_way = False
                self._break = self._spawner.spawn(self._run(), "a run")
            case _:
                assert_never(act)

    async def _run(self) -> None:
        self._under_way = True
        event: Event | HubError = RunFailed()
        try:
            ran = await self._tests.run()
            event = Over(ran, self._clock.steady())
        except asyncio.CancelledError:
            event = BrokenOff()
            raise
        finally:
            self._events.put_nowait(event)

    async def _later(self) -> None:
        await self._clock.sleep(self._interval)
        self._events.put_nowait(Begin())

    async def _listen(self) -> None:
        try:
            while True:
                async for files in self._news():
                    self._events.put_nowait(Changed(files, self._clock.steady()) if files else Begin())
                self._events.put_nowait(Begin())  # it will say that the folder is gone
                await self._clock.sleep(AGAIN_SECONDS)
        except Unavailable as error:
            if self._interval:
                self._say(Say(str(error), note=True))
            else:
                self._events.put_nowait(error)
