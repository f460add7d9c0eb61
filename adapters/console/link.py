"""Frames between a console and the hub: JSON objects, one a line over the socket, or passed along inside the process."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Frame = dict[str, Any]
SOCKET = "hub.sock"
MAX_FRAME = 4 * 1024 * 1024
"""Bytes of a frame that the hub takes."""

MAX_ANSWER = 512 * 1024 * 1024
"""Bytes of a frame that a console takes: a list of a million tasks and more."""

BUFFER = 256 * 1024
"""Bytes that are read ahead; and bytes not yet taken by the other end above which what may be lost is not sent."""

WAITING = 1000
"""The same inside the process, in frames."""

STALL_SECONDS = 5.0
"""How long the other end may leave a full buffer unread before it counts as gone."""

SUN_PATH = 100
"""A Unix socket's path is limited to about 104 bytes; longer ones are reached through a shorter spelling."""

DESCRIPTORS = Path("/proc/self/fd")


class FrameTooLong(UserError):
    """What was sent at once is longer than the {limit} bytes that are taken. Ask for less, or send it in parts."""

    status = 413


class Link(Protocol):
    """One end of a conversation in frames."""

    async def send(self, frame: Frame) -> None:
        """Hand a frame over. Raises `ConnectionError` when the other end is gone."""

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """Hand over a frame that is lost where the other end does not keep up, unless it is to be `sure`."""

    async def receive(self) -> Frame | None:
        """The next frame, or None once the other end is gone. Raises `FrameTooLong`."""


class StreamLink:
    """A link over a stream: one JSON object a line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int) -> None:
        self._reader = reader
        self._writer = writer
        self._limit = limit

    async def send(self, frame: Frame) -> None:
        """See `Link`. Whoever does not read is gone: nobody else waits for it."""
        self.post(frame, sure=True)
        waits = STALL_SECONDS if self._writer.transport.get_write_buffer_size() else None
        try:
            async with asyncio.timeout(waits):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise ConnectionAbortedError from None

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """See `Link`."""
        if sure or self._writer.transport.get_write_buffer_size() < BUFFER:
            self._writer.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> Frame | None:
        """See `Link`. A line that is not an object ends the link."""
        try:
            line = await self._line()
            frame = json.loads(line) if line else None
        except (ValueError, ConnectionError):
            return None
        return frame if isinstance(frame, dict) else None

    async def _line(self) -> bytes:
        """A whole line, however much longer than what is read ahead; empty at the end."""
        line = bytearray()
        while not line.endswith(b"\n"):
            try:
                line += await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                line += await self._reader.read(error.consumed)
            except asyncio.IncompleteReadError:
                return b""
            if len(line) > self._limit:
                raise FrameTooLong(limit=f"{self._limit:,}")
        return bytes(line)


class QueueLink:
    """A link inside the process. `pair` makes both ends."""

    def __init__(self, inbox: asyncio.Queue[Frame | None], outbox: asyncio.Queue[Frame | None]) -> None:
        self._inbox = inbox
        self._outbox = outbox

    @classmethod
    def pair(cls) -> tuple[QueueLink, QueueLink]:
        """Both ends of a new link."""
        one: asyncio.Queue[Frame | None] = asyncio.Queue(WAITING)
        other: asyncio.Queue[Frame | None] = asyncio.Queue(WAITING)
        return cls(one, other), cls(other, one)

    async def send(self, frame: Frame) -> None:
        """See `Link`."""
        await self._outbox.put(frame)

    def post(self, frame: Frame, *, sure: bool = False) -> None:
        """See `Link`."""
        if sure and self._outbox.full():
            self._outbox.get_nowait()
        if not self._outbox.full():
            self._outbox.put_nowait(frame)

    async def receive(self) -> Frame | None:
        """See `Link`."""
        return await self._inbox.get()

    def close(self) -> None:
        """Tell the other end that this one is gone; what it has not read is for nobody any more."""
        while self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(None)


@contextmanager
def socket_path(folder: Path, name: str) -> Iterator[str]:
    """A spelling of `folder/name` short enough for a Unix socket, for as long as the block lasts."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= SUN_PATH:
        yield path
    elif DESCRIPTORS.is_dir():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"{DESCRIPTORS}/{descriptor}/{name}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory(prefix="timmy-", dir="/tmp") as short:  # macOS's own one has a long name
            link = Path(short) / "d"
            link.symlink_to(folder.absolute())
            yield str(link / name)


@asynccontextmanager
async def dial(folder: Path, name: str) -> AsyncIterator[StreamLink]:
    """Connect to the hub that owns `folder`. Raises `OSError` when none listens."""
    with socket_path(folder, name) as path:
        reader, writer = await asyncio.open_unix_connection(path, limit=BUFFER)
    try:
        yield StreamLink(reader, writer, MAX_ANSWER)
    finally:
        writer.close()
