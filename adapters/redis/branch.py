"""A gateway's side of Redis: the desk of the worker API, far from its hub.

Whoever waits for work waits here, on a copy of the hub's board. Everything else is a request to the hub, and what it answers is
what the worker is told. While the hub is not heard, nobody is told anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from adapters.redis import news
from adapters.redis.news import FIELD, Ask
from adapters.redis.wire import BLOCK_MS, HUBS, KEPT_SECONDS, PIECE, PULSE_SECONDS, Keys
from core.errors import HubError, Unavailable
from core.swarm.board import Board
from core.swarm.desk import Beat
from core.swarm.ports import ResultFile
from core.swarm.roll import Roll
from core.swarm.task import Status
from core.tokens import TokenKind, TokenRow, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.redis.wire import Link, Redis
    from core.ports import Clock, IdSource
    from core.swarm.task import Task

log = logging.getLogger(__name__)
Found = TypeVar("Found")

ANSWER_SECONDS = 10.0
"""How long a worker waits for what the hub says to it."""

STALE_SECONDS = 3 * PULSE_SECONDS
"""A hub that was not heard for so long is away."""

NEWS_SECONDS = 25.0
"""That a worker is here is told at once if it was not for so long: its hub may think that it is away."""

LOST_SECONDS = 15.0
"""And for so long: perhaps it is not where it is listened for."""

MOST_WAITING = 2048
"""Requests that wait for their answer at a time."""

MOST_KNOWN = 20_000
"""Tokens that are remembered, those that open nothing among them."""

LONGEST_ASKS = 100_000
"""Requests that Redis keeps for a hub that is away."""

FIRST_PAUSE, LAST_PAUSE = 0.25, 5.0
"""Seconds between tries to reach Redis."""


class HubNotReached(Unavailable):
    """The hub is not reached from here now ({why}). Nothing is lost; ask again in a moment."""


class TooMuch(Unavailable):
    """More is asked here at once than the hub has answered yet. Ask again in a moment."""


class NoHub(Unavailable):
    """Redis at {where} knows of no hub that is there now. Start it, with the same TIMMY_REDIS_URL; its /status says more."""


class SeveralHubs(Unavailable):
    """Several hubs use Redis at {where}: {hubs}. Say in TIMMY_REDIS_HUB whose gateway this is; each logs its id at its start."""


class _Missed(Unavailable):
    """Something that the hub said did not arrive ({what}); all is told anew."""


@dataclass(frozen=True, slots=True)
class _Sent(ResultFile):
    """A file that waits in Redis for the hub, under this key."""

    key: str = ""


class Branch:
    """A gateway. `hub`: the id of its hub; the one that there is, if not said. `chance`: from 0 to 1."""

    def __init__(
        self, link: Link, hub: str | None, *, clock: Clock, ids: IdSource, chance: Callable[[], float]
    ) -> None:
        self._link = link
        self._hub = hub
        self._keys = Keys(hub or "")
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._roll = Roll()
        self._board = Board(self._roll)
        self._numbers = itertools.count()
        self._name = ids.token(9)
        self._session = ""
        self._run = ""
        self._received = 0
        self._known = False
        self._hurry = False
        self._heard = 0.0
        self._there = asyncio.Event()
        self._wake = asyncio.Event()
        self._waiting: dict[str, tuple[Ask, asyncio.Future[Any]]] = {}
        self._outbox: list[Ask] = []
        self._seen: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._tokens: dict[str, TokenRow | None] = {}
        self._digests: dict[str, str] = {}
        self._sweep: tuple[set[str], set[int]] = set(), set()
        self._takes: dict[str, Callable[..., None]] = {
            "begin": self._begun, "end": self._whole, "pulse": self._pulsed, "answer": self._answered, "task": self._noted,
            "gone": self._gone, "answered": self._board.answered, "worker": self._enrolled, "left": self._left,
            "revoked": self._revoked,
        }  # fmt: skip
        self.why = "it has only begun"
        """Why nobody is served; empty where all is well."""

    # Connection ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep connected for ever."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._connected()
            except HubError as error:
                if self._there.is_set():
                    pause = FIRST_PAUSE
                log.log(logging.DEBUG if self.why == str(error) else logging.WARNING, "%s", error)
                self.why = str(error)
            self._there.clear()
            await self._clock.sleep(pause * (1 + self._chance()) / 2)
            pause = min(pause * 2, LAST_PAUSE)

    def close(self) -> None:
        """The gateway stops: whoever waits for work is answered."""
        self._board.close()

    async def _connected(self) -> None:
        async with self._link.opened() as (redis, group):
            self._keys = Keys(await self._only_hub(redis))
            self._session, self._run, self._received, self._known = self._ids.token(9), "", 0, False
            self._outbox.clear()
            self._heard = asyncio.get_running_loop().time()
            group.create_task(self._speak(redis))
            await self._hear(redis)

    async def _only_hub(self, redis: Redis) -> str:
        known = [name.decode() for name in await redis.say("SMEMBERS", HUBS)] if self._hub is None else [self._hub]
        live = [name for name in known if await redis.say("EXISTS", Keys(name).here)]
        if not live:
            raise NoHub(where=self._link.where)
        if len(live) > 1:
            raise SeveralHubs(where=self._link.where, hubs=", ".join(sorted(live)))
        return live[0]

    async def _hear(self, redis: Redis) -> None:
        key = self._keys.to(self._session)
        after: bytes | str = "0"
        while True:
            came = await redis.say("XREAD", "COUNT", 100, "BLOCK", BLOCK_MS, "STREAMS", key, after)
            for entry, fields in came[0][1] if came else ():
                after = entry
                self._heard = asyncio.get_running_loop().time()
                self._read(fields.get(FIELD.encode(), b""))

    async def _speak(self, redis: Redis) -> None:
        loop, pulsed = asyncio.get_running_loop(), 0.0
        while True:
            silent = loop.time() - self._heard
            if silent > LOST_SECONDS:
                raise HubNotReached(why="it says nothing")
            if silent > STALE_SECONDS and self._there.is_set():
                self._silent()
            asks, self._outbox = self._outbox, []
            if loop.time() - pulsed >= PULSE_SECONDS or self._hurry:
                pulsed, self._hurry = loop.time(), False
                asks.append(self._pulse())
            if asks:
                await redis.say_all(
                    ("XADD", self._keys.asks, "MAXLEN", "~", LONGEST_ASKS, "*", FIELD, ask.text()) for ask in asks
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, pulsed + PULSE_SECONDS - loop.time())):
                    await self._wake.wait()
            self._wake.clear()

    def _silent(self) -> None:
        self.why = "the hub says nothing"
        log.warning("%s", self.why)
        self._there.clear()

    def _pulse(self) -> Ask:
        seen, self._seen = self._seen, {}
        self._told.update(dict.fromkeys(seen, asyncio.get_running_loop().time()))
        return Ask(self._id(), self._session, "pulse", "", "", [[*map(list, seen.items())]])

    def _id(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    # What the hub says -----------------------------------------------------------------------------------------

    def _read(self, raw: bytes) -> None:
        try:
            run, number, parts = json.loads(raw)
            if number == 1:
                self._run, self._received = run, 0
            if (run, number) != (self._run, self._received + 1):
                raise _Missed(what=f"entry {self._received + 1}, and {number} came")
            self._received = number
            for kind, *facts in parts:
                self._takes[kind](*facts)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise news.OtherVersion(what=repr(error)[:200]) from None

    def _begun(self) -> None:
        """All of the board follows. A token may have been revoked meanwhile."""
        self._tokens, self._known = {}, False
        self._told.clear()
        self._sweep = {*self._roll}, {*self._board.all()}

    def _revoked(self, name: str) -> None:
        self._tokens = {}  # where one is looked up meanwhile, what is remembered now is another
        self._roll.gone(name)
        self._seen.pop(name, None)
        self._board.look(name)

    def _enrolled(self, *facts: Any) -> None:
        worker, instance = news.worker_of(facts)
        self._sweep[0].discard(worker.name)
        self._roll.put(worker, instance)
        self._board.look(worker.name)

    def _pulsed(self) -> None:
        if self._known:
            self._ready()

    def _whole(self) -> None:
        """All of the board was told: what was not is not there any more, and what was asked is asked again."""
        workers, tasks = self._sweep
        for number in tasks:
            self._gone(number)
        for name in workers:
            self._left(name)
        self._seen.update({name: self._roll.instance(name) for name in self._board.who_waits() if self._roll.has(name)})
        self._known, self._hurry, self._outbox = True, True, []
        for ask, _ in self._waiting.values():
            ask.to = self._session
            self._outbox.append(ask)
        self._ready()
        self._wake.set()

    def _ready(self) -> None:
        if not self._there.is_set():
            log.info("the hub is there")
        self.why = ""
        self._there.set()

    def _noted(self, *facts: Any) -> None:
        task, called, answered = news.task_of(facts)
        self._sweep[1].discard(task.id)
        known = self._board.shown(task.id)
        if known is not None and task.status is Status.BIDDING:
            self._board.note(known.but(status=Status.OPEN))  # it may be up for bids anew
        self._roll.calls(task, called)
        self._board.restore(task, set(answered))

    def _gone(self, number: int) -> None:
        if (known := self._board.shown(number)) is not None:
            self._board.note(known.but(status=Status.OPEN))
        self._roll.forget(number)

    def _left(self, name: str) -> None:
        self._roll.drop(name)
        self._told.pop(name, None)
        self._board.look(name)

    def _answered(self, ident: str, fine: bool, said: Any) -> None:  # noqa: FBT001 - as it comes
        _, answer = self._waiting.pop(ident, (None, None))
        if answer is not None and not answer.done():
            if fine:
                answer.set_result(said)
            else:
                answer.set_exception(news.raised(*said))

    # What the hub is asked -------------------------------------------------------------------------------------

    async def _ask(self, op: str, name: str, *args: Any, digest: str = "") -> Any:
        """What the hub says. Raises what it refuses, and `HubNotReached` where it says nothing."""
        if len(self._waiting) >= MOST_WAITING:
            raise TooMuch
        ask = Ask(self._id(), self._session, op, name, digest or self._digests.get(name, ""), [*args])
        answer = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = ask, answer
        if self._there.is_set():
            self._outbox.append(ask)
            self._wake.set()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise HubNotReached(why=self.why or "it takes long") from None
        finally:
            self._waiting.pop(ask.id, None)

    async def check(self, token: str) -> TokenRow | None:
        """The credential of a token, as the hub knows it. Raises `HubNotReached`."""
        await self._reached(ANSWER_SECONDS)
        digest = digest_of(token)
        if digest in self._tokens:
            return self._tokens[digest]
        tokens = self._tokens
        said = await self._ask("check", "", digest=digest)
        row = TokenRow(digest, said[0], said[1], None, None, 0) if said else None
        while len(tokens) >= MOST_KNOWN:
            del tokens[next(iter(tokens))]
        tokens[digest] = row  # where one was revoked meanwhile, what is remembered now is another
        if row is not None and row.kind == TokenKind.WORKER:
            self._digests[row.name] = digest
        return row

    async def _reached(self, seconds: float) -> float:
        """Wait so long for the hub to be there; how long is left. Raises `HubNotReached`."""
        loop = asyncio.get_running_loop()
        if self._there.is_set():
            if loop.time() - self._heard <= STALE_SECONDS:
                return seconds
            self._silent()  # as after this process was frozen
        end = loop.time() + seconds
        try:
            async with asyncio.timeout_at(end):
                await self._there.wait()
        except TimeoutError:
            raise HubNotReached(why=self.why.rstrip(".")) from None
        return max(0.0, end - loop.time())

    # The desk --------------------------------------------------------------------------------------------------

    def check_instance(self, name: str, instance: str) -> None:
        """See `Desk`."""
        self._roll.check_instance(name, instance)

    async def _waited(self, name: str, instance: str, look: Callable[[], Found], seconds: float) -> Found:
        def found() -> Found:
            self._roll.check_instance(name, instance)
            return look()

        seconds = await self._reached(seconds)
        self._roll.seen(name)
        self._roll.check_instance(name, instance)
        self._seen[name] = instance
        if asyncio.get_running_loop().time() - self._told.get(name, -NEWS_SECONDS) > NEWS_SECONDS:
            self._hurry = True
            self._wake.set()
        return await self._board.wait(name, found, seconds) if seconds else found()

    async def tasks(self, name: str, wanted: frozenset[str], seconds: float, instance: str) -> list[Task]:
        """See `Desk`."""
        return await self._waited(name, instance, lambda: self._board.tasks(name, wanted), seconds)

    async def given(self, name: str, seconds: float, instance: str) -> Task | None:
        """See `Desk`."""
        return await self._waited(name, instance, lambda: self._board.given(name), seconds)

    def calls_for(self, task: Task) -> list[str]:
        """See `Desk`."""
        return sorted(self._roll.called_for(task.description))

    async def enrol(self, name: str, capabilities: Sequence[str], concurrency: int, instance: str) -> None:
        """See `Desk`."""
        await self._ask("enrol", name, [*capabilities], concurrency, instance)

    async def bid(self, name: str, number: int, sats: int, *, eta: int | None, note: str) -> str:
        """See `Desk`."""
        return cast("str", await self._ask("bid", name, number, sats, eta, note))

    async def refuse(self, name: str, number: int, note: str) -> None:
        """See `Desk`."""
        await self._ask("refuse", name, number, note)

    async def beat(self, name: str, number: int, lease: str, instance: str) -> Beat:
        """See `Desk`."""
        return Beat(*await self._ask("beat", name, number, lease, instance))

    async def progress(self, name: str, number: int, lease: str, text: str) -> Task:
        """See `Desk`."""
        return news.standing(*await self._ask("progress", name, number, lease, text))

    async def holds(self, name: str, number: int, lease: str, text: str, digests: Sequence[str]) -> None:
        """See `Desk`."""
        await self._ask("holds", name, number, lease, text, [*digests])

    async def keep(self, files: Sequence[tuple[str, bytes]]) -> tuple[ResultFile, ...]:
        """Put files where the hub finds them, for a minute. Raises `Unavailable`s."""
        await self._reached(ANSWER_SECONDS)
        async with self._link.opened() as (redis, _):
            return tuple([await self._sent(redis, name, content) for name, content in files])

    async def _sent(self, redis: Redis, name: str, content: bytes) -> _Sent:
        sent = _Sent(name, await asyncio.to_thread(_digest, content), len(content), self._ids.token(12))
        key = self._keys.file(sent.key)
        for at in range(0, len(content), PIECE):
            piece = content[at : at + PIECE]
            await redis.say_all([("RPUSH", key, piece), ("EXPIRE", key, KEPT_SECONDS)], whole=True)
        return sent

    async def deliver(self, name: str, number: int, lease: str, text: str, files: Sequence[ResultFile]) -> Task:
        """See `Desk`."""
        sent = [[one.name, one.sha256, one.size, one.key] for one in cast("Sequence[_Sent]", files)]
        return news.standing(*await self._ask("deliver", name, number, lease, text, sent))

    async def give_up(self, name: str, number: int, lease: str, why: str, *, blame: bool) -> Task:
        """See `Desk`."""
        return news.standing(*await self._ask("give_up", name, number, lease, why, blame))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
