"""Recordings that came with a request: files of the data folder until they were heard, each small, and all of them together.

A file is named by its device and by the message it belongs to, so that the same request again finds or replaces its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from typing import TYPE_CHECKING

from core.errors import UserError
from core.store import DiskFull

if TYPE_CHECKING:
    from pathlib import Path

MAX_TOGETHER = 64 * 2**20
"""What may wait to be heard, bytes."""

MAX_EACH = 24 * 2**20
"""What may wait of one device: no device has all the room."""

OLDEST_MS = 24 * 3_600_000
_REF = re.compile(r"[0-9a-f]{64}")
_DEVICE = 16
"""How many signs of a name say whose it is."""


class TooManyRecordings(UserError):
    """Too many recordings wait to be heard. Try again in a minute."""

    status = 429


class RecordingGone(UserError):
    """The recording is gone: it waited too long to be heard. Say it again."""

    status = 404


class Recordings:
    """Keeps them in a folder. All disk work is done in threads, one at a time: none sees what another has half done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[str] | None = None  # until it was looked, any may be there
        self._alone = threading.Lock()  # not asyncio's: a thread goes on when whoever waits for it is cancelled

    @staticmethod
    def ref(token: str, key: str) -> str:
        """The name under which a device (the hash of its `token`) has the recording of the message with this key."""
        return token[:_DEVICE] + hashlib.sha256(key.encode()).hexdigest()[_DEVICE:]

    async def keep(self, ref: str, content: bytes, now: int) -> None:
        """Keep one, durably. Raises `TooManyRecordings` and `DiskFull`."""
        await asyncio.to_thread(self._keep, ref, content, now)

    async def read(self, ref: str) -> bytes:
        """What was recorded. Raises `RecordingGone`."""
        try:
            return await asyncio.to_thread(self._path(ref).read_bytes)
        except OSError:
            raise RecordingGone from None

    async def discard(self, ref: str) -> None:
        """It was heard, if there is one."""
        if self._kept is None or ref in self._kept:
            await asyncio.to_thread(self._discard, ref)

    async def sweep(self, now: int) -> None:
        """Remove what nobody heard in a day (`now` in Unix ms), and what a crash left half written."""
        await asyncio.to_thread(self._sweep, now)

    def _path(self, ref: str) -> Path:
        if _REF.fullmatch(ref) is None:
            raise RecordingGone
        return self._folder / ref

    def _keep(self, ref: str, content: bytes, now: int) -> None:
        path = self._path(ref)
        passing = path.with_suffix(".new")
        with self._alone:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                sizes = self._swept(now)
                sizes[ref] = len(content)
                own = sum(size for name, size in sizes.items() if name[:_DEVICE] == ref[:_DEVICE])
                if own > MAX_EACH or sum(sizes.values()) > MAX_TOGETHER:
                    raise TooManyRecordings
                with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.utime(passing, (now / 1000, now / 1000))
                passing.replace(path)
                self._kept = set(sizes)
            except OSError as error:
                raise DiskFull(why=error.strerror) from error

    def _discard(self, ref: str) -> None:
        with self._alone:
            if self._kept is not None:
                self._kept.discard(ref)
            self._path(ref).unlink(missing_ok=True)

    def _sweep(self, now: int) -> None:
        with self._alone:
            self._kept = set(self._swept(now))

    def _swept(self, now: int) -> dict[str, int]:
        """The sizes of what is left, once what is too old or half written is removed: whoever holds the lock writes none."""
        found = {}
        for file in self._folder.glob("*"):
            state = file.stat()
            if file.suffix or state.st_mtime * 1000 < now - OLDEST_MS:
                file.unlink(missing_ok=True)
            else:
                found[file.name] = state.st_size
        return found
