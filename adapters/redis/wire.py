"""The way to Redis: how one connects, which keys there are, and what goes wrong, in one clear line that shows no secret."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol, Self, cast
from urllib.parse import urlsplit

from redis import exceptions as wrong
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.errors import HubError, Unavailable, cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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

HUBS = "timmy:hubs"
"""When each hub was last here, by its id; Unix ms."""


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


class RedisUnfit(Unavailable):
    """Redis at {where} cannot do what is needed: {why}. It must be Redis 6.2 or newer."""


class Batch(Protocol):
    """Commands that are sent together."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def __len__(self) -> int: ...

    def execute_command(self, *words: bytes | str | float) -> object:
        """Add one."""

    async def execute(self) -> Any:
        """Send them, and read what Redis says to each."""


class Redis(Protocol):
    """What is used of the library's client, whose own types say less."""

    async def execute_command(self, *words: bytes | str | float) -> Any:
        """One command, and what Redis says to it."""

    def pipeline(self, *, transaction: bool) -> Batch:
        """Several; in a transaction all or none is done."""


class Keys:
    """The keys of one hub, so that several may share a Redis."""

    def __init__(self, hub: str) -> None:
        self.hub = hub
        self._prefix = f"timmy:{hub}:"
        self.asks = f"{self._prefix}asks"
        """What gateways ask: a stream, read by the hub through a group."""

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
            self._url, client_name=self._who, protocol=2, socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                yield cast("Redis", client), group
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


_MEANS: tuple[tuple[type[Exception], str, type[Unavailable]], ...] = (
    (wrong.AuthenticationError, "WRONGPASS", RedisRefuses),
    (wrong.AuthenticationWrongNumberOfArgsError, "NOAUTH", RedisRefuses),
    (wrong.NoPermissionError, "NOPERM", RedisForbids),
    (wrong.OutOfMemoryError, "OOM", RedisFull),
    (wrong.ReadOnlyError, "READONLY", RedisReadOnly),
    (wrong.ExecAbortError, "MISCONF", RedisCannotSave),
    (wrong.BusyLoadingError, "NOGROUP", RedisAway),
)


def _line(error: Exception) -> str:
    """In one line, of reasonable length; the library puts the address before the cause, whose words are the system's."""
    if isinstance(error, wrong.TimeoutError):
        return "it took too long"
    found = cause(error.__cause__ if isinstance(error.__cause__, OSError) else error)
    return " ".join(found.split())[:200].rstrip(".")
