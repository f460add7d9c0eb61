"""One data folder over several lives of a hub: what is said to it, when a life is over, and what is left in the end.

A surface's own story says how its people speak and what they were shown. What is left after crashes is compared with a calm
life, in which the same was said and nothing happened.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapters.sqlite.message_store import load
from bot.app import build
from bot.parts.looks import DATABASE
from bot.subscriptions import NOTIFIED
from core.agent.model import Card
from core.events import TERMINAL
from core.store import StoreClosed
from tests.blank import blank
from tests.fakes import EPOCH, FakeClock, FakeIds
from tests.kill.crash import Fate, mortal
from tests.scenario.bot import ECHO, PATIENCE, QUILL, Hands, asking, prove, rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from bot.app import App
    from config.settings import Settings
    from core.agent.model import ChatMessage, ToolCall, ToolSpec
    from core.chat import Reply


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in sorted(kinds))


# Everything that follows from what was said has happened, been told, and been marked as told.
QUIET = f"""
SELECT NOT EXISTS (SELECT 1 FROM inbound WHERE done = 0)
   AND NOT EXISTS (SELECT 1 FROM outgoing WHERE state <> 'sent')
   AND NOT EXISTS (SELECT 1 FROM approval WHERE state = 'approved')
   AND NOT EXISTS (SELECT 1 FROM task WHERE status = 'open' OR status IN ('awarded', 'running') AND agent NOT LIKE '%:%')
   AND NOT EXISTS (SELECT 1 FROM event, cursor WHERE handler = 'notify' AND id > event AND kind IN ({_listed(NOTIFIED)}))
   AND NOT EXISTS (SELECT 1 FROM event, cursor WHERE handler = 'spark' AND id > event AND kind IN ({_listed(TERMINAL)}))
   AND EXISTS (SELECT 1 FROM inbound WHERE update_id = ?)
"""  # noqa: S608 - constants

UNQUIET = """
SELECT 'heard', update_id, text FROM inbound WHERE done = 0
UNION SELECT 'to be told', state, body ->> '$.text' FROM outgoing WHERE state <> 'sent'
UNION SELECT 'task', status, agent FROM task WHERE status NOT IN ('settled', 'failed', 'cancelled', 'expired')
"""
LONG = 3 * PATIENCE
"""Seconds for a life: it does much, and a busy machine does it slowly."""


@dataclass
class Parrot:
    """A model that says what it was told last."""

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall, None]:
        """See `Model`."""
        for word in messages[-1].text.split():
            yield f"{word} "

    async def models(self) -> list[str]:
        """See `Model`."""
        return ["parrot:latest"]

    async def default(self) -> str:
        """See `Model`."""
        return "parrot:latest"

    async def card(self, model: str | None) -> Card:
        """See `Model`."""
        return Card()

    async def check(self) -> str | None:
        """See `Model`."""
        return None


class Story:
    """What was said stays said over the lives; `said` holds the update ids, in the order of the `lines`."""

    pace = 0
    """Milliseconds that pass at each look at whether all is quiet."""
    starts = EPOCH
    """When each life begins."""

    facts: dict[str, str] = {  # noqa: RUF012 - a constant
        "tasks": "SELECT id, status, agent, price, attempt, result, retry_of FROM task ORDER BY id",
        "accounts": "SELECT name, posted, held FROM account ORDER BY name",
        "holds": "SELECT account, amount, task, state FROM hold ORDER BY id",
        "entries": "SELECT key FROM txn ORDER BY key",
        "bids": "SELECT task, attempt, agent, price FROM bid ORDER BY task, attempt, agent",
        "agents": "SELECT name, live FROM agent ORDER BY name",
        "approvals": "SELECT kind, state, decided_by, outcome FROM approval ORDER BY id",
        "turns": "SELECT role, text FROM turn ORDER BY id",
        "answers": "SELECT body ->> '$.text', body ->> '$.data.ok', body ->> '$.data.error' FROM outgoing"
        " WHERE cause IS NOT NULL ORDER BY conversation, id",
        "told": "SELECT body ->> '$.text' FROM outgoing WHERE cause IS NULL ORDER BY conversation, id",
        "events": "SELECT kind, task, agent FROM event ORDER BY kind, task, agent",
        "foreseen": "SELECT task, field FROM forecast ORDER BY task",
        "learned": "SELECT field, known -> '$[6]', known -> '$[7]' FROM spark_field ORDER BY field",
    }
    """What is left in the end, apart from numbers and times."""

    def __init__(self, folder: Path, lines: Sequence[Any]) -> None:
        self.folder = folder
        self.lines = lines
        self.said: list[str] = []
        self.lives: list[Hands] = []
        self.deaths = 0
        self._store: Any = None
        self._clock = FakeClock()

    # What each surface has of its own ----------------------------------------------------------------------------

    def settings(self) -> Settings:
        """The settings of every life."""
        raise NotImplementedError

    def say(self, line: Any) -> str:
        """Say a line; returns the update's id."""
        raise NotImplementedError

    def amiss(self) -> str | None:
        """What is wrong with what people were shown."""
        raise NotImplementedError

    async def arrives_late(self) -> None:
        """Let arrive what had left the hub when it died, where a surface has such."""

    # Lives -------------------------------------------------------------------------------------------------------

    async def live(self, fate: Fate) -> None:
        """One life: until everything is said and all is quiet, or the hub is dead."""
        self._store = mortal(fate)
        life = asyncio.get_running_loop().create_task(self._live(fate))
        dying = asyncio.get_running_loop().create_task(fate.crashed.wait())
        await asyncio.wait({life, dying}, return_when=asyncio.FIRST_COMPLETED, timeout=LONG)
        dying.cancel()
        if fate.dead:
            self.deaths += 1
            await self.arrives_late()
            self._store.living.bury()
            await self._taken_apart(life)
        if not life.done():
            life.cancel()
            await asyncio.wait({life})
            raise AssertionError(f"never quiet: {self._unquiet()}")
        with suppress(StoreClosed):
            life.result()

    async def _taken_apart(self, life: asyncio.Task[None]) -> None:
        """Wait until nothing of a dead hub runs; it may wait for a time, which passes for nobody else."""
        for _ in range(1000):
            if life.done():
                return
            self._clock.advance(1000)
            await asyncio.wait({life}, timeout=LONG / 1000)

    def _unquiet(self) -> list[Any]:
        """What keeps it from being quiet."""
        return [self.said, *rows(self.settings(), UNQUIET)]

    async def _live(self, fate: Fate) -> None:
        async with self._hub() as (app, clock):
            await self._talk(app, fate, clock)

    async def _talk(self, app: App, fate: Fate, clock: FakeClock) -> None:
        """Say what was not said yet, one after another, and wait until all is quiet."""
        for number, line in enumerate(self.lines):
            if len(self.said) <= number and not fate.dead:
                self.said.append(self.say(line))
            await self._until(app, fate, clock, QUIET, *self.said[number : number + 1])

    @asynccontextmanager
    async def _hub(self, **parts: Any) -> AsyncIterator[tuple[App, FakeClock]]:
        found = self.settings()
        self._clock = clock = FakeClock(self.starts)
        self.lives.append(Hands())
        blank(found.data_dir / DATABASE)
        made = build(
            found, clock=clock, ids=FakeIds(f"life {len(self.lives)}"), worker=self.lives[-1], roster=(ECHO, QUILL),
            database=self._store, **{"model": Parrot(), **parts},
        )  # fmt: skip
        async with made as app:
            yield app, clock

    async def _until(self, app: App, fate: Fate, clock: FakeClock, query: str, *values: str) -> None:
        """Wait until a query says yes, or the hub is dead."""
        while not fate.dead:
            (true,) = await app.store.read(lambda tx: tx._connection.execute(query, values).fetchone())
            if true:
                return
            self.pass_time(app, clock)

    def pass_time(self, app: App, clock: FakeClock) -> None:
        """Time passes by a `pace`; not while something is being written, which may take long by a real clock."""
        if app.store.busy_since is None:
            clock.advance(self.pace)

    # The end -----------------------------------------------------------------------------------------------------

    @cached_property
    def ended(self) -> dict[str, Any]:
        """What is left, once the books were proved."""
        prove(self.settings())
        with asking(self.settings()) as ask:
            heard = ask("SELECT update_id, done FROM inbound")
            return {
                **{what: ask(query) for what, query in self.facts.items()},
                "messages": sorted((self.said.index(update), done) for update, done in heard),
            }

    def trouble(self, calm: Story) -> str | None:
        """What is wrong in the end, compared with a life in which nothing happened."""
        wanted, found = calm.ended, self.ended
        for what, one in wanted.items():
            if found[what] != one:
                return f"{what}: {found[what]} instead of {one}"
        return self.amiss()

    def sent(self) -> list[Reply]:
        """What has been shown, as the hub sees it."""
        return [
            load(body)
            for (body,) in rows(self.settings(), "SELECT body FROM outgoing WHERE state = 'sent' ORDER BY id")
        ]


async def calmly(story: Story, least: int) -> list[str]:
    """Live without a crash; returns every point that was met: `least` of them, or the harness has lost sight of the hub."""
    fate = Fate()
    await story.live(fate)
    assert len(fate.met) >= least, fate.met
    assert story.trouble(story) is None
    return fate.met


async def crashed(story: Story, calm: Story, *points: str) -> str | None:
    """Die at each of these points, one a life, then live on; returns what is wrong then.

    A point may not come: some do or do not as the loop has it.
    """
    try:
        for point in points:
            await story.live(Fate(frozenset({point})))
        await story.live(Fate())
    except AssertionError as error:
        return str(error)
    return story.trouble(calm)


def first(points: Sequence[str]) -> list[str]:
    """Each kind of point the first time it is met."""
    return [point for point in points if point.endswith(" 1")]
