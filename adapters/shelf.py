"""Result files on disk, under the hash of what they hold; and the scratch folders they are made in.

A file lies at `files/<2 digits>/<hash>/<name>`, so that programs open it by its name; the same content under another
name is a hard link beside it. A row may name a file only once it is whole and durable: it is copied under a passing
name, synced, renamed, and the folders synced. What made it is not trusted: links and anything else that is no plain file
inside its folder are refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.errors import UserError
from core.store import DiskFull
from core.swarm.ports import ResultFile

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_RESULT = 20 * 2**20
"""The most that the files of one result may hold together, bytes."""

MAX_FILES = 50
"""The most files one result may have."""

_CHUNK = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING = ".new-"


class ResultTooLarge(UserError):
    """The result is larger than the {limit} that are kept. Ask for less, or for a part at a time."""

    status = 413


class ResultUnusable(UserError):
    """The result has a file {name} that cannot be kept: it is {what}."""


class Shelf:
    """`core.agent.persona_worker.Shelf` in the data folder. All disk work is done in threads.

    `scratch` is where unfinished work lies; whatever is in it at a start is swept away.
    """

    def __init__(self, data_dir: Path, *, limit: int = MAX_RESULT) -> None:
        self._files = data_dir / "files"
        self.scratch = data_dir / "scratch"
        self._limit = limit

    async def sweep(self) -> None:
        """Remove what a crash left behind. Only at start, before anything works here."""
        await asyncio.to_thread(self._sweep)

    async def folder(self) -> Path:
        """See `Shelf`."""
        return await asyncio.to_thread(self._folder)

    async def keep(self, paths: Sequence[Path]) -> tuple[ResultFile, ...]:
        """See `Shelf`. All or none is named. Raises `ResultTooLarge`, `ResultUnusable`, `DiskFull`."""
        return await asyncio.to_thread(self._keep, paths) if paths else ()

    async def put(self, files: Sequence[tuple[str, bytes]]) -> tuple[ResultFile, ...]:
        """Keep what is in memory, each under its name. All or none is named. Raises `ResultTooLarge`, `DiskFull`."""
        if not files:
            return ()
        folder = await self.folder()
        try:
            return await self.keep(await asyncio.to_thread(_write, folder, files))
        finally:
            await self.discard(folder)

    async def discard(self, folder: Path) -> None:
        """See `Shelf`."""
        await asyncio.to_thread(self._discard, folder)

    def path(self, sha256: str, name: str) -> Path:
        """Where the file with this hash (64 lower-case hex digits) is kept under this name."""
        if _SHA256.fullmatch(sha256) is None:
            raise ValueError(f"not a SHA-256: {sha256[:80]!r}")
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise ValueError(f"not a name of a file: {name[:80]!r}")
        place = self._files / sha256[:2] / sha256
        return place if place.is_file() else place / name  # kept without a name by an earlier version

    def _sweep(self) -> None:
        _remove(self.scratch)
        for left in self._files.glob(f"{_PASSING}*"):
            left.unlink(missing_ok=True)

    def _folder(self) -> Path:
        try:
            self.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=self.scratch))
        except OSError as error:
            raise DiskFull(why=error.strerror) from error

    def _discard(self, folder: Path) -> None:
        if folder.parent != self.scratch:
            raise ValueError(f"not a folder of this shelf: {folder}")
        _remove(folder)

    def _keep(self, paths: Sequence[Path]) -> tuple[ResultFile, ...]:
        if len(paths) > MAX_FILES:
            raise ResultTooLarge(limit=f"{MAX_FILES} files")
        kept: list[ResultFile] = []
        left = self._limit
        try:
            for path in paths:
                name = _free_name(path.name, {file.name for file in kept})
                kept.append(self._keep_one(path, name, left))
                left -= kept[-1].size
        except OSError as error:
            raise DiskFull(why=error.strerror) from error
        return tuple(kept)

    def _keep_one(self, path: Path, name: str, left: int) -> ResultFile:
        self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._open(path) as source:
            descriptor, passing = tempfile.mkstemp(prefix=_PASSING, dir=self._files)  # 0600
            try:
                with os.fdopen(descriptor, "wb") as target:
                    digest, size = self._copy(source, target, left)
                    target.flush()
                    os.fsync(target.fileno())
                self._shelve(Path(passing), self.path(digest, name))
            finally:
                Path(passing).unlink(missing_ok=True)
        path.unlink()
        return ResultFile(name, digest, size)

    def _open(self, path: Path) -> BinaryIO:
        """The file itself, never what a link leads to; what is no plain file inside the scratch folder is refused."""
        if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(self.scratch)):
            raise ResultUnusable(name=path.name, what="outside its folder")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise ResultUnusable(name=path.name, what="missing or a link") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ResultUnusable(name=path.name, what="no plain file")
        return os.fdopen(descriptor, "rb")

    def _copy(self, source: BinaryIO, target: BinaryIO, left: int) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise ResultTooLarge(limit=f"{self._limit // 2**20} MB")
            digest.update(chunk)
            target.write(chunk)
        return digest.hexdigest(), size

    def _shelve(self, passing: Path, place: Path) -> None:
        """Put a synced file in its place, as one more name of the same content where that is kept already."""
        home = place.parent
        for folder in (home.parent, home):
            folder.mkdir(mode=0o700, exist_ok=True)
        twin = None if home.parent == self._files else next((one for one in home.iterdir() if one != place), None)
        if twin is None or not _linked(twin, place):
            passing.replace(place)
        for folder in (home, home.parent, self._files):
            _sync_folder(folder)


def _write(folder: Path, files: Sequence[tuple[str, bytes]]) -> list[Path]:
    """Each in a folder of its own: two may have the same name."""
    paths = [folder / str(number) / name for number, (name, _) in enumerate(files)]
    try:
        for path, (_, content) in zip(paths, files, strict=True):
            path.parent.mkdir()
            path.write_bytes(content)
    except OSError as error:
        raise DiskFull(why=error.strerror) from error
    return paths


def _linked(twin: Path, place: Path) -> bool:
    """Whether a file could be given a second name; some file systems have none, and keep the same twice."""
    with suppress(OSError):
        os.link(twin, place)
    return place.exists()


def _free_name(name: str, taken: set[str]) -> str:
    """A name for people that no other file of the result has: `chart.png`, `chart-2.png`."""
    stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    return free


def _remove(top: Path) -> None:
    """Remove a folder with all that is in it, however deep it is nested; what cannot be removed stays."""
    with suppress(RecursionError):
        shutil.rmtree(top, ignore_errors=True)
    with suppress(OSError):
        if top.is_dir() and not top.is_symlink():
            _flatten(top)


def _flatten(top: Path) -> None:
    """Remove a folder level by level, by lifting the folders of the next level up into it."""
    names = (top / f".lifted-{number}" for number in count())
    while folders := [Path(entry) for entry in os.scandir(top) if _is_folder_or_gone(entry)]:
        for folder in folders:
            for below in [Path(entry) for entry in os.scandir(folder) if _is_folder_or_gone(entry)]:
                below.rename(next(names))
            folder.rmdir()
    top.rmdir()


def _is_folder_or_gone(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder; anything else is removed."""
    if entry.is_dir(follow_symlinks=False):
        return True
    Path(entry).unlink()
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # some file systems cannot; the rename is then as durable as they make it
        os.fsync(descriptor)
    os.close(descriptor)
