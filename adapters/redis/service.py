"""What a gateway's request does: a call of the desk in the name of its worker, whose token the hub looks up each time."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from adapters.redis.wire import PIECE
from core.chat import MAX_TEXT
from core.errors import Unavailable, UserError
from core.tokens import BadToken, TokenKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from adapters.redis.news import Ask
    from adapters.redis.wire import Keys, Link, Redis
    from core.swarm.desk import Desk
    from core.swarm.ports import ResultFile
    from core.swarm.task import Task
    from core.tokens import TokenRow

LARGEST_FILES = 21 * 2**20
"""Bytes that the files of one result may have together on their way; what is kept of them, the shelf decides."""

FETCHES = 2
"""Results with files that are fetched at a time."""


class FilesLost(Unavailable):
    """The files of this result did not arrive whole. Send it again."""


class FilesTooLarge(UserError):
    """The files of this result are larger than the {limit} that are taken."""

    status = 413


class ResultTooLong(UserError):
    """The text of this result is longer than the {limit} bytes that are taken."""

    status = 413


class Service:
    """Answers requests. `check` finds a live credential by its hash; `keep` puts files on the shelf, all or none."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        desk: Desk,
        check: Callable[[str], Awaitable[TokenRow | None]],
        keep: Callable[[Sequence[tuple[str, bytes]]], Awaitable[tuple[ResultFile, ...]]],
    ) -> None:
        self._link = link
        self._keys = keys
        self._desk = desk
        self._check = check
        self._keep = keep
        self._fetches = asyncio.Semaphore(FETCHES)
        self._does: dict[str, Callable[..., Awaitable[Any]]] = {
            "enrol": desk.enrol, "bid": self._bid, "refuse": desk.refuse, "beat": self._beat, "progress": self._progress,
            "holds": desk.holds, "deliver": self._deliver, "give_up": self._give_up,
        }  # fmt: skip

    async def do(self, ask: Ask) -> Any:
        """What the hub says to a request, as JSON has it. Raises `BadToken`, and what the desk refuses."""
        row = await self._check(ask.digest)
        if ask.op == "check":
            return None if row is None else [row.kind, row.name]
        if row is None or (row.kind, row.name) != (TokenKind.WORKER, ask.name):
            raise BadToken
        return await self._does[ask.op](ask.name, *ask.args)

    async def _bid(self, name: str, number: int, sats: int, eta: int | None, note: str) -> str:
        return await self._desk.bid(name, number, sats, eta=eta, note=note)

    async def _beat(self, name: str, number: int, lease: str, instance: str) -> list[Any]:
        beat = await self._desk.beat(name, number, lease, instance)
        return [beat.lease_until, beat.cancel]

    async def _progress(self, name: str, number: int, lease: str, text: str) -> list[Any]:
        return _standing(await self._desk.progress(name, number, lease, text))

    async def _deliver(self, name: str, number: int, lease: str, text: str, files: list[Any]) -> list[Any]:
        """What a gateway looks at first is looked at here, too: whoever writes in Redis is perhaps none."""
        if len(text.encode(errors="replace")) > MAX_TEXT:
            raise ResultTooLong(limit=f"{MAX_TEXT:,}")
        if files:
            await self._desk.holds(name, number, lease, text, [digest for _, digest, *_ in files])
        return _standing(await self._desk.deliver(name, number, lease, text, await self._kept(files)))

    async def _give_up(self, name: str, number: int, lease: str, why: str, blame: bool) -> list[Any]:  # noqa: FBT001
        return _standing(await self._desk.give_up(name, number, lease, why, blame=blame))

    async def _kept(self, files: list[Any]) -> tuple[ResultFile, ...]:
        """The files of a result, on the shelf. Raises `FilesTooLarge`, `FilesLost`, and what the shelf does."""
        if not files:
            return ()
        if any(size < 0 for _, _, size, _ in files) or sum(size for _, _, size, _ in files) > LARGEST_FILES:
            raise FilesTooLarge(limit=f"{LARGEST_FILES >> 20} MB")
        async with self._fetches:
            async with self._link.opened() as (redis, _):
                contents = [(name, await self._fetched(redis, digest, size, key)) for name, digest, size, key in files]
            return await self._keep(contents)

    async def _fetched(self, redis: Redis, digest: str, size: int, key: str) -> bytes:
        content = bytearray()
        while len(content) < size:
            at = len(content) // PIECE
            pieces = await redis.say("LRANGE", self._keys.file(key), at, at)
            if not pieces or len(pieces[0]) != min(PIECE, size - len(content)):
                raise FilesLost
            content += pieces[0]
        if await asyncio.to_thread(_digest, content) != digest:
            raise FilesLost
        return bytes(content)


def _digest(content: bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


def _standing(task: Task) -> list[Any]:
    return [task.id, task.status.value]
