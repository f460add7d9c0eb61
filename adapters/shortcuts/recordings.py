"""Recordings that came with a request: files of the data folder until they were heard, each small, and all of them together.

A file is named by the message it belongs to, so that the same request again finds or replaces its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from typing import TYPE_CHECKING

from core.errors import UserError
from core.store import DiskFull

if TYPE_CHECKING:
    from pathlib import Path

MAX_TOGETHER = 64 * 2**20
"""What may wait to be heard, bytes."""

OLDEST_MS = 24 * 3_600_000
_REF = re.compile(r"[0-9a-f]{64}")


class TooManyRecordings(UserError):
    """Too many recordings wait to be heard. Try again in a minute."""

    status = 429


class RecordingGone(UserError):
    """The recording is gone: it waited too long to be heard. Say it again."""

    status = 404


class Recordings:
    """Keeps them in a folder. All disk work is done in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[str] = set()

    @staticmethod
    def ref(key: str) -> str:
        """The name under which the recording of the message with this key is kept."""
        return hashlib.sha256(key.encode()).hexdigest()

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
        if ref in self._kept:
            self._kept.discard(ref)
            await asyncio.to_thread(self._path(ref).unlink, missing_ok=True)

    async def sweep(self, now: int) -> None:
        """Remove what nobody heard in a day (`now` in Unix ms), and what a crash left half written."""
        await asyncio.to_thread(self._sweep, now)

    def _path(self, ref: str) -> Path:
        if _REF.fullmatch(ref) is None:
            raise RecordingGone
        return self._folder / ref

    def _keep(self, ref: str, content: bytes, now: int) -> None:
        path = self._path(ref)
        self._sweep(now)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            waiting = sum(one.stat().st_size for one in self._folder.iterdir() if one != path)
            if waiting + len(content) > MAX_TOGETHER:
                raise TooManyRecordings
            passing = path.with_suffix(".new")
            with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.utime(passing, (now / 1000, now / 1000))
            passing.replace(path)
            self._kept.add(ref)
        except OSError as error:
            raise DiskFull(why=error.strerror) from error

    def _sweep(self, now: int) -> None:
        for file in self._folder.glob("*"):
            if file.suffix or file.stat().st_mtime * 1000 < now - OLDEST_MS:
                file.unlink(missing_ok=True)
        self._kept = {file.name for file in self._folder.glob("*")}
