"""Files that people send, in the workspace: never over another file, never under a name that could mean anything else."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.store import DiskFull

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAME = 80
MAX_SUFFIX = 10
MAX_BYTES = 180
"""Of a stem: a file system takes 255 bytes for a whole name."""
_UNSAFE = re.compile(r"[^\w.+-]+")


class Inbox:
    """Keeps files in a folder. All disk work is done in threads."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    async def keep(self, name: str, content: bytes) -> str:
        """Keep a file; returns the name it has. The same file under the same name is kept once. Raises `DiskFull`."""
        return await asyncio.to_thread(self._keep, plain_name(name), content)

    def _keep(self, name: str, content: bytes) -> str:
        try:
            return next(free for free in _free_names(name) if self._put(self._workspace / free, content))
        except OSError as error:
            raise DiskFull(why=error.strerror) from error

    def _put(self, path: Path, content: bytes) -> bool:
        """Whole or not at all; true if the file now holds the content."""
        if path.is_symlink() or path.exists():
            return path.is_file() and not path.is_symlink() and path.read_bytes() == content
        descriptor, passing = tempfile.mkstemp(prefix=".new-", dir=self._workspace)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(passing, path)  # unlike a rename, this never takes another file's place
        except FileExistsError:
            return False
        finally:
            Path(passing).unlink(missing_ok=True)
        return True


def plain_name(name: str) -> str:
    """A file name of letters, digits, dots and dashes, that is no path, not hidden, and not too long."""
    stem, dot, suffix = _UNSAFE.sub("-", re.split(r"[/\\]", name)[-1]).strip(".-").rpartition(".")
    stem, suffix = (stem, suffix[:MAX_SUFFIX]) if dot else (suffix, "")
    stem = stem.strip(".-")[:MAX_NAME].encode()[:MAX_BYTES].decode(errors="ignore")
    return f"{stem or 'file'}{dot}{suffix}"


def _free_names(name: str) -> Iterator[str]:
    stem, dot, suffix = name.rpartition(".")
    yield name
    for number in range(2, 10_000):
        yield f"{stem}-{number}{dot}{suffix}" if dot else f"{name}-{number}"
