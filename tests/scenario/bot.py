"""A person at the console of a whole hub: `say()` a line, read what came back.

The hub is `bot.app.build` on a folder of its own. Its clock moves only when told, its agents work as scripted (`Hands`),
and the person sits at one end of the same link that the terminal uses.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import deque
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from adapters.clockwork import running
from adapters.console.link import QueueLink
from adapters.sqlite.connection import connect_reader
from adapters.sqlite.offline import look
from bot.app import build
from bot.parts.looks import DATABASE
from config.settings import PREFIX, Auction, Http, Ollama, Settings, WalletGroup
from core.chat import Role
from core.money import to_msat
from core.swarm.persona import Persona
from core.swarm.ports import Decline, Delivery, Offer
from tests.blank import blank, blank_node
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from adapters.console.link import Frame
    from bot.app import App
    from core.swarm.ports import Agent
    from core.swarm.task import Task

PATIENCE = 10
"""Real seconds until a test gives up on what it waits for."""

HASTY, LONG, MOMENT = 20, 1.0, 0.002
"""After so many looks, or seconds, something takes real time: so many seconds lie between two looks from then on."""

_STARTS = itertools.count()

OWNER = "console:owner"
NOBODY = "http://127.0.0.1:9"
"""Where no model answers."""

ECHO = Persona("echo", "research", ("research",), 45, ("find",))
QUILL = Persona("quill", "writing", ("writing",), 40, ("write",))


def settings(folder: Path, *, ollama: str = NOBODY, grant: int = 10_000, **auction: int) -> Settings:
    """Settings for a hub in `folder`, whatever the environment says."""
    own = {
        "data_dir": folder / "data", "workspace": folder / "workspace", "http": Http(port=0),
        "ollama": Ollama(url=ollama), "auction": Auction(**auction), "wallet": WalletGroup(grant=grant),
    }  # fmt: skip
    return _defaults().model_copy(update=own)


@cache
def _defaults() -> Settings:
    """To look through the environment takes longer than most of a start."""
    kept = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX)}
    try:
        return Settings(_env_file=None)
    finally:
        os.environ.update(kept)


@dataclass
class Hands:
    """The hub's own agents, scripted by name: what each asks for any task, and what its work comes to.

    An agent that is not scripted asks its persona's rate and does the work at once. An event in `does` is a gate: the
    work waits there until it is set, then is done, or what `does` says by then.
    """

    asks: dict[str, int | Decline | Exception | None] = field(default_factory=dict)
    does: dict[str, str | Exception | asyncio.Event] = field(default_factory=dict)
    began: list[tuple[str, str, int]] = field(default_factory=list)
    stopped: list[tuple[str, str]] = field(default_factory=list)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ready(self, agent: Agent) -> str | None:
        """See `Worker`."""
        asks = self.asks.get(agent.name)
        return asks.why if isinstance(asks, Decline) else None

    async def appraise(self, agent: Agent, description: str) -> Offer | Decline | None:
        """See `Worker`."""
        asks = self.asks.get(agent.name, agent.persona.rate)
        if isinstance(asks, Exception):
            raise asks
        return Offer(to_msat(asks)) if isinstance(asks, int) else asks

    async def work(self, agent: Agent, task: Task) -> Delivery:
        """See `Worker`."""
        await self._note(lambda: self.began.append((task.name, agent.name, task.attempt)))
        outcome = self.does.get(agent.name, "")
        try:
            if isinstance(outcome, asyncio.Event):
                await outcome.wait()
                outcome = self.does.get(agent.name, "")
        except asyncio.CancelledError:
            await self._note(lambda: self.stopped.append((task.name, agent.name)))
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return Delivery(outcome if isinstance(outcome, str) and outcome else f"{agent.name} did {task.description}")

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something about the work is true."""
        async with asyncio.timeout(PATIENCE), self.moved:
            await self.moved.wait_for(true)

    async def at_work(self, task: str, agent: str) -> None:
        """Wait until an agent has begun a task."""
        await self.until(lambda: any(one[:2] == (task, agent) for one in self.began))

    async def _note(self, change: Callable[[], None]) -> None:
        async with self.moved:
            change()
            self.moved.notify_all()


class Console:
    """One end of a link to the hub, and what came over it and was not read yet."""

    def __init__(self, link: QueueLink) -> None:
        self.link = link
        self.unread: deque[Frame] = deque()

    async def say(self, text: str, **more: Any) -> Frame:
        """Send a line and return its answer."""
        await self.post(text, **more)
        return await self.until(kind="reply")

    async def data(self, text: str, **more: Any) -> dict[str, Any]:
        """Send a line and return the facts of its answer."""
        found: dict[str, Any] = (await self.say(text, **more))["data"]
        return found

    async def post(self, text: str, **more: Any) -> None:
        """Send a line and wait for nothing. `id` names the message, `acting_for` is `--as`."""
        renamed = {"as" if key == "acting_for" else key: value for key, value in more.items()}
        await self.link.send({"op": "say", "text": text, **renamed})

    async def until(self, **facts: Any) -> Frame:
        """The next frame with these facts (in the frame or its data; `text` need only be in it). Others stay unread."""
        return await self._first(lambda frame: _has(frame, facts), str(facts))

    async def ends(self, task: str) -> Frame:
        """What is told of a task's end."""
        return await self._first(
            lambda frame: _has(frame, {"kind": "more", "task": task}) and frame["data"]["status"] in OVER,
            f"{task}'s end",
        )

    async def _first(self, wanted: Callable[[Frame], bool], what: str) -> Frame:
        for earlier in self.unread:
            if wanted(earlier):
                self.unread.remove(earlier)
                return earlier
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while (frame := await self.link.receive()) is not None:
                    if wanted(frame):
                        return frame
                    self.unread.append(frame)
        message = f"waited for {what}; unread: {list(self.unread)}"
        raise AssertionError(message)

    async def settled(self, task: str) -> Frame:
        """What is told of a task's happy end."""
        frame = await self.ends(task)
        assert frame["data"]["status"] == "settled", frame["text"]
        return frame

    def kinds(self) -> list[str]:
        """The kinds of what is unread."""
        return [frame["kind"] for frame in self.unread]


OVER = frozenset({"settled", "failed", "cancelled", "expired"})


def _has(frame: Frame, facts: dict[str, Any]) -> bool:
    known = {**frame.get("data", {}), **{key: value for key, value in frame.items() if key != "data"}}
    return all(
        str(value) in str(known.get("text")) if key == "text" else known.get(key) == value
        for key, value in facts.items()
    )


class Bot(Console):
    """The first console of a hub, and the hub itself."""

    def __init__(self, link: QueueLink, app: App, clock: FakeClock, hands: Hands) -> None:
        super().__init__(link)
        self.app = app
        self.clock = clock
        self.hands = hands
        self._asks = ExitStack()
        self._ask: Callable[..., list[tuple[Any, ...]]] | None = None

    def close(self) -> None:
        """It is over: what asked the database is closed."""
        self._asks.close()
        self._ask = None

    @asynccontextmanager
    async def another(self, *, attach: bool = False) -> AsyncIterator[Console]:
        """One more console of this hub."""
        async with _served(self.app, attach=attach) as link:
            yield Console(link)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(round(seconds * 1000))

    async def see(self, true: Callable[[], Any], what: str = "it", *, pace: float = 0.05) -> Any:
        """Wait until something is true outside; the hub's clock runs ahead by `pace` seconds a look (0: it stands still).

        A look waits for what is being written, so that a slow disk costs no time by the hub's clock. Where the clock stands still,
        or it takes long, something real is awaited: soon a moment is left to it between two looks, since it may need this very
        processor.
        """
        looks, loop = 0, asyncio.get_running_loop()
        soon = loop.time() + LONG
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := true()):
                    await self.app.store.write(lambda tx: None)
                    self.pass_time(pace)
                    looks += 1
                    if (not pace and looks > HASTY) or loop.time() > soon:
                        await asyncio.sleep(MOMENT)  # noqa: TID251
        except TimeoutError:
            raise AssertionError(f"never saw {what}") from None
        return found

    async def barrier(self) -> None:
        """Return once everything said before was answered and its answers are here."""
        await self.say("/whoami")

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the hub but messages, the keys of finished commands, and what follows events a little later."""
        trails = {"cursor", "spark_field", "spark_advice"}
        return tables(self.app.settings, but={"inbound", "outgoing", "applied", *trails})

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database; over one connection, since it is asked again and again."""
        if self._ask is None:
            self._ask = self._asks.enter_context(asking(self.app.settings))
        return self._ask(query, *values)


@asynccontextmanager
async def hub(
    folder: Path,
    *,
    hands: Hands | None = None,
    clock: FakeClock | None = None,
    attach: bool = True,
    personas: Sequence[Persona] = (ECHO, QUILL),
    ollama: str = NOBODY,
    grant: int = 10_000,
    auction: dict[str, int] | None = None,
    found: Settings | None = None,
    **parts: Any,
) -> AsyncIterator[Bot]:
    """A running hub with somebody at its console. `parts` go to `build`; `worker=None` gives the real agents."""
    clock, hands = clock or FakeClock(), hands or Hands()
    parts = {"worker": hands, "roster": personas, "ids": FakeIds(f"start {next(_STARTS)}"), **parts}
    found = found or settings(folder, ollama=ollama, grant=grant, **(auction or {}))
    if "node" not in parts and not (found.data_dir / DATABASE).exists():
        blank_node(found.data_dir / "node.db")
    blank(found.data_dir / DATABASE)
    async with build(found, clock=clock, **parts) as app, _served(app, attach=attach) as link:
        with closing(Bot(link, app, clock, hands)) as bot:
            yield bot


@asynccontextmanager
async def _served(app: App, *, attach: bool) -> AsyncIterator[QueueLink]:
    near, far = QueueLink.pair()
    async with running(app.console.serve(far), "a console"):
        if attach:
            await near.send({"op": "attach"})
        try:
            yield near
        finally:
            near.close()


async def let_in(bot: Bot, actor: str, role: str = Role.MEMBER, name: str = "") -> None:
    """Somebody has this role from now on, as after /pair."""
    await bot.app.store.write(lambda tx: tx.tokens.give(actor, Role(role), name, tx.now))
    await bot.app.hub.identities.refresh()


@contextmanager
def asking(found: Settings) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Ask a data folder's database several things, whether its hub runs or not."""
    with closing(connect_reader(found.data_dir / DATABASE)) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


def rows(found: Settings, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask it one thing."""
    with asking(found) as ask:
        return ask(query, *values)


def tables(found: Settings, *, but: frozenset[str] | set[str] = frozenset()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with asking(found) as ask:
        names = [name for (name,) in ask("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: ask(f"SELECT * FROM {name}") for name in names if name not in but}  # noqa: S608


def prove(found: Settings) -> None:
    """Walk the books of a data folder as `timmy ledger verify` does."""
    look(found.data_dir / DATABASE, lambda tx: tx.books.prove())


def balances(found: Settings) -> dict[str, tuple[int, int]]:
    """(posted, held) of every account in whole sats; what the node had when the books were opened is left out."""
    query = """
        WITH opening AS (SELECT account, amount FROM posting JOIN txn ON txn.id = posting.txn WHERE key = 'book:opening')
        SELECT name, (posted - coalesce(amount, 0)) / 1000, held / 1000 FROM account LEFT JOIN opening ON account = name
        WHERE posted <> coalesce(amount, 0) OR held <> 0
    """
    return {name: (posted, held) for name, posted, held in rows(found, query)}
