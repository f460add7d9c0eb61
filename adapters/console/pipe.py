"""The console off a terminal: every line is answered, and the task it started awaited, before the next is read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from adapters.console.client import LEAVE, gone, show
from core.chat import MAX_TEXT

if TYPE_CHECKING:
    from adapters.console.link import Link

_CHUNK = 64 * 1024
_KEEP = MAX_TEXT + 1
"""Bytes of a line that are kept: enough for the hub to see that it is too long."""


async def talk(link: Link) -> None:
    """Feed standard input to the hub, line by line, until it ends or says so. Raises what `gone` gives."""
    lines = Lines(sys.stdin.fileno())
    while (line := await lines.next()) is not None:
        text = line.decode(errors="replace").rstrip("\r")
        if not text.strip():
            continue
        if text.strip().lower() in LEAVE:
            return
        await link.send({"op": "say", "text": text, "wait": "people"})
        task = None
        while (frame := await link.receive()) is not None and frame.get("kind") != "end":
            if frame.get("kind") == "draft":
                continue
            await show(frame, as_json=False)
            task = task or frame.get("task")
        if frame is None:
            raise gone(task)


class Lines:
    """The lines of a file descriptor of any kind, each cut to the bytes that are kept."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = b""
        self._over = False

    async def next(self) -> bytes | None:
        """The next line without its end, or None after the last."""
        line = b""
        while True:
            piece, newline, rest = self._waiting.partition(b"\n")
            line = (line + piece)[:_KEEP]
            self._waiting = rest
            if newline:
                return line
            if self._over:
                return line or None
            self._waiting = await _read(self._descriptor)
            self._over = not self._waiting


async def _read(descriptor: int) -> bytes:
    """Some bytes, none at the end. Nobody ever waits for the thread: one that waits for input outlives the hub's stop."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def tell(chunk: bytes) -> None:
        if not done.done():
            done.set_result(chunk)

    def read() -> None:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError:
            chunk = b""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has ended
            loop.call_soon_threadsafe(tell, chunk)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return await done
