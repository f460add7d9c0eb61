"""Frames between a console and the hub: JSON objects, one a line over the socket, or passed along inside the process."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Frame = dict[str, Any]
SOCKET = "hub.sock"
MAX_FRAME = 4 * 1024 * 1024
SUN_PATH = 100
"""A Unix socket's path is limited to about 104 bytes; longer ones are reached through the folder's descriptor."""


class Link(Protocol):
    """One end of a conversation in frames."""

    async def send(self, frame: Frame) -> None:
        """Hand a frame over. Raises `ConnectionError` when the other end is gone."""

    def post(self, frame: Frame) -> None:
        """Hand over a frame that may be lost."""

    async def receive(self) -> Frame | None:
        """The next frame, or None once the other end is gone."""


class StreamLink:
    """A link over a stream: one JSON object a line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, frame: Frame) -> None:
        """See `Link`."""
        self.post(frame)
        await self._writer.drain()

    def post(self, frame: Frame) -> None:
        """See `Link`."""
        self._writer.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> Frame | None:
        """See `Link`. A line that is not an object, or is too long, ends the link."""
        try:
            line = await self._reader.readline()
            frame = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, ConnectionError):
            return None
        return frame if isinstance(frame, dict) else None


class QueueLink:
    """A link inside the process. `pair` makes both ends."""

    def __init__(self, inbox: asyncio.Queue[Frame | None], outbox: asyncio.Queue[Frame | None]) -> None:
        self._inbox = inbox
        self._outbox = outbox

    @classmethod
    def pair(cls) -> tuple[QueueLink, QueueLink]:
        """Both ends of a new link."""
        one: asyncio.Queue[Frame | None] = asyncio.Queue()
        other: asyncio.Queue[Frame | None] = asyncio.Queue()
        return cls(one, other), cls(other, one)

    async def send(self, frame: Frame) -> None:
        """See `Link`."""
        self.post(frame)

    def post(self, frame: Frame) -> None:
        """See `Link`."""
        self._outbox.put_nowait(frame)

    async def receive(self) -> Frame | None:
        """See `Link`."""
        return await self._inbox.get()

    def close(self) -> None:
        """Tell the other end that this one is gone."""
        self._outbox.put_nowait(None)


@asynccontextmanager
async def socket_path(folder: Path, name: str) -> AsyncIterator[str]:
    """A spelling of `folder/name` short enough for a Unix socket, for as long as the block lasts."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= SUN_PATH:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


@asynccontextmanager
async def dial(folder: Path, name: str) -> AsyncIterator[StreamLink]:
    """Connect to the hub that owns `folder`. Raises `OSError` when none listens."""
    async with socket_path(folder, name) as path:
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_FRAME)
    try:
        yield StreamLink(reader, writer)
    finally:
        writer.close()
