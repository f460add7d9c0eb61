"""The way to Redis: how one connects, which keys there are, and what goes wrong, in one clear line that shows no secret."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import exceptions as wrong
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.errors import HubError, Unavailable, cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    Word = bytes | str | float

BLOCK_MS = 1000
"""How long a read waits for something to come."""

SOCKET_SECONDS = 5.0
"""How long Redis may take to answer anything."""

GROUP = "hub"
"""The one group of the stream of requests, and its one consumer: what it left pending is its own to take up again."""

PULSE_SECONDS = 2.0
"""How often a gateway and the hub say that they are there."""

KEPT_SECONDS = 60
"""How long Redis keeps what nobody reads."""

PIECE = 2**20
"""Bytes of a file in one element of its list."""

HERE_SECONDS = 10
"""How long Redis believes that a hub is there which it has not heard."""

HUBS = "timmy:hubs"
"""The ids of all hubs that were ever here: a set."""


class RedisAway(Unavailable):
    """Redis at {where} does not answer: {why}. It is asked again."""


class RedisRefuses(Unavailable):
    """Redis at {where} refuses the name or password in TIMMY_REDIS_URL. Write there what its own settings say."""


class RedisForbids(Unavailable):
    """Redis at {where} forbids its user what is needed: {why}. Allow it every command on keys that begin with timmy:."""


class RedisFull(Unavailable):
    """Redis at {where} is full and takes nothing more. Raise its maxmemory, or give Timmy a Redis of its own."""


class RedisReadOnly(Unavailable):
    """Redis at {where} is a replica and takes no writes. Name the primary in TIMMY_REDIS_URL."""


class RedisCannotSave(Unavailable):
    """Redis at {where} takes no writes, as it cannot save to its disk. See to the disk of that machine."""


class RedisEmptied(Unavailable):
    """What Redis at {where} held is gone. All of it is told anew."""


class RedisTaken(Unavailable):
    """Redis at {where} holds something else under Timmy's keys ({why}). Delete what begins with timmy: there."""


class RedisUnfit(Unavailable):
    """Redis at {where} cannot do what is needed: {why}. It must be Redis 6.2 or newer."""


class Redis:
    """What is said to Redis over the library's client.

    Its time is kept here: with a timeout of its own, the library loses a cancellation now and then (`wait_for` before Python 3.12).
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, *words: Word) -> Any:
        """One command, and what Redis says to it."""
        async with asyncio.timeout(SOCKET_SECONDS):
            return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def say_all(self, commands: Iterable[Sequence[Word]], *, whole: bool = False) -> None:
        """Several at once; `whole`: all or none is done."""
        async with asyncio.timeout(SOCKET_SECONDS), self._client.pipeline(transaction=whole) as pipe:
            for words in commands:
                pipe.execute_command(*words)
            await pipe.execute()


class Keys:
    """The keys of one hub, so that several may share a Redis."""

    def __init__(self, hub: str) -> None:
        self.hub = hub
        self._prefix = f"timmy:{hub}:"
        self.asks = f"{self._prefix}asks"
        """What gateways ask: a stream, read by the hub through a group."""
        self.here = f"{self._prefix}here"
        """There as long as the hub serves gateways."""
        self.starts = f"{self._prefix}starts"
        """Who says that it is this hub, again and again: a stream of its starts. There is one, unless a data folder was copied."""

    def to(self, session: str) -> str:
        """What a gateway is told: a stream."""
        return f"{self._prefix}to:{session}"

    def file(self, name: str) -> str:
        """A file of a result on its way: a list of its pieces."""
        return f"{self._prefix}file:{name}"


class Link:
    """The way to the Redis at `url`. `who`: what it is to call its clients."""

    def __init__(self, url: str, who: str) -> None:
        self._url = url
        self._who = who
        parts = urlsplit(url)
        self.where = parts.path if parts.scheme == "unix" else f"{parts.hostname}, port {parts.port or 6379}"

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Redis, asyncio.TaskGroup]]:
        """Connections and a place to work over them, until the block ends; what fails first ends all.

        Whoever works there stays in the block: Python before 3.13 leaves a task that waits at the end of a group looking cancelled.
        Raises `Unavailable`s that say what is wrong with Redis.
        """
        client = Client.from_url(
            self._url, client_name=self._who, protocol=2, socket_timeout=None, socket_connect_timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                yield Redis(client), group
        except ExceptionGroup as failed:
            raise self.told(failed.exceptions[0]) from None
        finally:
            with contextlib.suppress(wrong.RedisError, OSError):
                await client.aclose()

    def told(self, error: Exception) -> Exception:
        """What went wrong, in words; what is not of Redis stays as it is."""
        if isinstance(error, HubError) or not isinstance(error, wrong.RedisError | OSError):
            return error
        said = _line(error)
        for kind, begins, means in _MEANS:
            if isinstance(error, kind) or said.startswith(begins):
                return means(where=self.where, why=said)
        if isinstance(error, wrong.ResponseError):
            return RedisUnfit(where=self.where, why=said)
        return RedisAway(where=self.where, why=said)


_MEANS: tuple[tuple[type[Exception] | tuple[()], str, type[Unavailable]], ...] = (
    (wrong.AuthenticationError, "WRONGPASS", RedisRefuses),
    (wrong.AuthenticationWrongNumberOfArgsError, "NOAUTH", RedisRefuses),
    (wrong.NoPermissionError, "NOPERM", RedisForbids),
    (wrong.OutOfMemoryError, "OOM", RedisFull),
    (wrong.ReadOnlyError, "READONLY", RedisReadOnly),
    ((), "MISCONF", RedisCannotSave),
    ((), "NOGROUP", RedisEmptied),
    ((), "WRONGTYPE", RedisTaken),
    (wrong.BusyLoadingError, "LOADING", RedisAway),
)
"""By the kind of an error, or, where the library has none, by its first word: what that means."""


def _line(error: Exception) -> str:
    """In one line, of reasonable length, with nothing of what was asked, which the library puts before the cause."""
    if isinstance(error, wrong.TimeoutError | TimeoutError):
        return "it took too long"
    found: BaseException | None = error if isinstance(error, wrong.ConnectionError | OSError) else None
    while found is not None and not (isinstance(found, OSError) and found.errno):
        found = found.__cause__ or found.__context__
    said = str(next(iter(error.args), type(error).__name__)) if found is None else cause(found)
    _, of_several, said = said.rpartition(" of pipeline caused error: ")
    said = said.strip("()\"',") if of_several else said  # as the arguments of an exception
    return " ".join(said.split())[:200].rstrip(".")
