"""The hub's side of Redis: it takes what gateways ask and writes what they are told. Every decision is made in this process.

A request is taken through a consumer group and stays pending until its answer is committed and written, so that a hub that was
killed finds it again. An answer that was given is given again to the same request, whichever way that comes a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from redis import exceptions as wrong

from adapters.redis import news
from adapters.redis.bulletin import Bulletin
from adapters.redis.news import FIELD, Ask, OtherVersion
from adapters.redis.wire import BLOCK_MS, GROUP, HERE_SECONDS, HUBS, KEPT_SECONDS, PULSE_SECONDS
from core.errors import HubError, Unavailable, WentWrong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.redis.service import Service
    from adapters.redis.wire import Keys, Link, Redis, Word
    from core.events import Event
    from core.ports import Spawner
    from core.swarm.desk import Desk

log = logging.getLogger(__name__)

MOST_AT_ONCE = 512
"""Requests under way at a time."""

MOST_REMEMBERED = 20_000
"""Answers that are remembered, for requests that are sent again."""

LONGEST_BACKLOG = 10_000
"""Entries of what one gateway is told that are kept; one that missed some is told everything anew."""


LONGEST_STARTS = 100
"""Entries that are kept of who says that it is this hub."""


class SameHub(Unavailable):
    """Another hub is {hub} in Redis at {where}, too: one's data folder is a copy. Delete hub.id in the copy, and start it anew."""


class Office:
    """Serves gateways, over one connection that may break at any time."""

    def __init__(self, link: Link, keys: Keys, desk: Desk, service: Service, *, run: str, spawner: Spawner) -> None:
        """`run`: a text that this start of the hub alone has."""
        self._link = link
        self._keys = keys
        self._desk = desk
        self._service = service
        self._run = run
        self._spawner = spawner
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._bulletin = Bulletin(desk, run, self._wake.set)
        self._under_way: dict[str, Ask] = {}
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._held: set[bytes] = set()
        self._acks: list[bytes] = []
        self._spent: list[str] = []
        self._strange = False
        self._met: bytes = b""
        self._twin = False
        """Whether another hub of this id was there, and is not known to be gone."""

    def heard(self, events: Sequence[Event]) -> None:
        """Events were committed."""
        self._bulletin.heard(events)

    async def run(self, reached: Callable[[], None]) -> None:
        """Serve until something fails; `reached` is called once Redis answers.

        Raises what is wrong with it; what was under way goes on, and is answered later.
        """
        try:
            async with self._link.opened() as (redis, group):
                await self._enter(redis)
                reached()
                group.create_task(self._speak(redis))
                await self._hear(redis)
        finally:
            self._bulletin.clear()

    async def _enter(self, redis: Redis) -> None:
        try:
            await redis.say("XGROUP", "CREATE", self._keys.asks, GROUP, "0", "MKSTREAM")
        except wrong.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        await self._be_alone(redis)
        await redis.say("SADD", HUBS, self._keys.hub)
        await redis.say("SET", self._keys.here, "1", "EX", HERE_SECONDS)
        log.info("gateways reach this hub by way of Redis at %s; there it is %s", self._link.where, self._keys.hub)

    async def _be_alone(self, redis: Redis) -> None:
        """Where there was another hub of this id, wait until it is silent for so long that it is gone. Raises `SameHub`.

        What counts is how often nothing was heard, and no clock: while this process itself stood still, it heard nothing either.
        """
        self._met = b""
        await self._meet(redis)
        silences = 0.0
        while self._twin and silences < HERE_SECONDS:
            await self._read_starts(redis, "BLOCK", BLOCK_MS)
            await self._meet(redis)
            silences += BLOCK_MS / 1000
        self._twin = False

    async def _meet(self, redis: Redis) -> None:
        """Say that this hub is there, and hear whether another of its id says so. Raises `SameHub`."""
        said = await redis.say("XADD", self._keys.starts, "MAXLEN", "~", LONGEST_STARTS, "*", FIELD, self._run)
        await redis.say("EXPIRE", self._keys.starts, KEPT_SECONDS)
        self._met = self._met or said  # what was said before is perhaps of a hub that was killed
        await self._read_starts(redis)

    async def _read_starts(self, redis: Redis, *block: Word) -> None:
        came = await redis.say("XREAD", "COUNT", LONGEST_STARTS, *block, "STREAMS", self._keys.starts, self._met)
        for entry, fields in came[0][1] if came else ():
            self._met = entry
            if fields.get(FIELD.encode()) != self._run.encode():
                self._twin = True
                raise SameHub(hub=self._keys.hub, where=self._link.where)

    # What is asked ---------------------------------------------------------------------------------------------

    async def _hear(self, redis: Redis) -> None:
        after: bytes | str = "0"  # first what an earlier run left pending, or this one before the connection broke
        while True:
            while len(self._under_way) >= MOST_AT_ONCE:
                self._room.clear()
                await self._room.wait()
            block = ("BLOCK", BLOCK_MS) if after == ">" else ()
            came = await redis.say(
                "XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", 256, *block, "STREAMS", self._keys.asks, after
            )
            entries = came[0][1] if came else []
            if after != ">":
                after = entries[-1][0] if entries else ">"
            for entry, fields in entries:
                if entry not in self._held:
                    self._held.add(entry)
                    self._take(entry, fields)

    def _take(self, entry: bytes, fields: dict[bytes, bytes] | None) -> None:
        try:
            ask = Ask.read((fields or {}).get(FIELD.encode(), b""))
        except OtherVersion as error:
            log.log(logging.DEBUG if self._strange else logging.WARNING, "%s", error)
            self._strange = True
            return self._done(entry)
        if ask.op == "pulse":
            self._desk.seen(ask.args[0], ask.to)
            self._bulletin.pulse(ask.to, asyncio.get_running_loop().time())
        elif (answer := self._answered.get(ask.id)) is not None:
            self._bulletin.say(ask.to, answer)
        elif (same := self._under_way.get(ask.id)) is not None:
            same.to = ask.to
        else:
            self._under_way[ask.id] = ask
            self._spawner.spawn(self._serve(entry, ask), f"{ask.op} of {ask.name}")
            return None
        return self._done(entry)

    async def _serve(self, entry: bytes, ask: Ask) -> None:
        said: list[Any]
        try:
            said = ["answer", ask.id, True, await self._service.do(ask)]
        except HubError as error:
            said = ["answer", ask.id, False, news.problem(error)]
        except Exception:
            log.exception("%s of %s failed", ask.op, ask.name)
            said = ["answer", ask.id, False, news.problem(WentWrong())]
        self._desk.crew.came_by(ask.name, ask.to)
        answer = self._answered[ask.id] = json.dumps(said)
        while len(self._answered) > MOST_REMEMBERED:
            self._answered.popitem(last=False)
        del self._under_way[ask.id]
        self._room.set()
        self._spent += ask.keys
        if ask.op == "enrol":  # perhaps nothing about it is new, except to that gateway
            self._bulletin.looked(ask.name)
        self._bulletin.say(ask.to, answer)
        self._done(entry)

    def _done(self, entry: bytes) -> None:
        self._acks.append(entry)
        self._wake.set()

    # What is told ----------------------------------------------------------------------------------------------

    async def _speak(self, redis: Redis) -> None:
        loop, tidied = asyncio.get_running_loop(), 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            await self._write(redis)
            if loop.time() - tidied > PULSE_SECONDS:
                tidied = loop.time()
                await self._tidy(redis, tidied)

    async def _write(self, redis: Redis) -> None:
        """Write what is to be told, and let go of the requests that are answered: all or nothing."""
        acks, spent, written = self._acks, self._spent, False
        self._acks, self._spent = [], []
        try:
            commands: list[Sequence[Word]] = []
            for name, text in self._bulletin.letters():
                key = self._keys.to(name)
                commands.append(("XADD", key, "MAXLEN", "~", LONGEST_BACKLOG, "*", FIELD, text))
                commands.append(("EXPIRE", key, KEPT_SECONDS))
            if acks:
                commands.append(("XACK", self._keys.asks, GROUP, *acks))
                commands.append(("XDEL", self._keys.asks, *acks))
            if spent:
                commands.append(("DEL", *map(self._keys.file, spent)))
            if commands:
                await redis.say_all(commands, whole=True)
            written = True
            self._held.difference_update(acks)
        finally:
            if not written:  # they are let go of once Redis is back
                self._acks[:0], self._spent[:0] = acks, spent

    async def _tidy(self, redis: Redis, now: float) -> None:
        """Say that this hub is here, and forget gateways that are gone. Raises `SameHub`."""
        await self._meet(redis)
        await redis.say("SET", self._keys.here, "1", "EX", HERE_SECONDS)
        if gone := self._bulletin.gone(now):
            await redis.say("DEL", *map(self._keys.to, gone))
