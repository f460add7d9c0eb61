"""What changes in a project, but for what no test depends on: caches, build folders, and what .gitignore names."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, DefaultFilter, awatch

from core.errors import Unavailable, cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from core.ports import Clock

_CACHES = {
    *DefaultFilter.ignore_dirs,
    ".cache",
    ".nox",
    ".ruff_cache",
    ".import_linter_cache",
    ".gradle",
    ".next",
    "htmlcov",
}
_BUILDS = {"build", "dist", "target"}
"""Where Git does not say what is made."""

_NAMES = DefaultFilter(ignore_dirs=())
_LEFT_OUT = (".coverage", "pytest-cache-files-")
_LATEST_MS, _STEP_MS, _LOOK_MS = 800, 100, 1000
_NEWS_MS = 5000
"""News is no older; where a file system says so, its clock goes wrong."""

_GIT = (
    "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "check-ignore", "-z", "--stdin",
)  # fmt: skip


class NotWatched(Unavailable):
    """Changes in {folder} are not seen: {why}. Tests run by --interval alone."""


async def changes(
    folder: Path, clock: Clock, stop: asyncio.Event, left_out: Callable[[Path], bool] = lambda _: False
) -> AsyncIterator[dict[str, int | None]]:
    """Batches of paths below `folder` that changed, until `stop`, or the folder is gone. A burst is one batch.

    `left_out`: whether a folder in it is none of the project's.

    With each comes how many ms ago it changed, None where that is not known. The first batch is empty: whatever changes after it
    will be told. Raises `NotWatched` where the system gives no news.
    """
    if (of := _inode(folder)) is None:
        return
    yield {}
    try:
        seen = awatch(
            folder, watch_filter=None, debounce=_LATEST_MS, step=_STEP_MS, stop_event=stop, rust_timeout=_LOOK_MS,
            yield_on_timeout=True, ignore_permission_denied=True,
        )  # fmt: skip
        async for batch in seen:
            names = await _kept(folder, await asyncio.to_thread(_lasting, folder, batch, left_out))
            if names:
                yield {name: _age(folder / name, clock.now()) for name in names}
            if _inode(folder) != of:
                return
    except (OSError, RuntimeError) as error:  # the second is what the library makes of the system's limits
        raise NotWatched(folder=folder, why=cause(error)) from error


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except OSError:
        return None


def _age(path: Path, now: int) -> int | None:
    """How long ago a path changed, ms: the kernel says when, and nobody can set that; of one that is gone, its folder's says."""
    for place in (path, path.parent):
        with suppress(OSError):
            age = now - place.lstat().st_ctime_ns // 1_000_000
            return age if 0 <= age <= _NEWS_MS else None
    return None


def _lasting(folder: Path, batch: Iterable[tuple[Change, str]], left_out: Callable[[Path], bool]) -> set[str]:
    """What changed, from the folder on; without what came and went, as editors and caches have it."""
    came = {path for change, path in batch if change is Change.added}
    went = {path for change, path in batch if change is Change.deleted} - came
    found = {path for _, path in batch if path in went or os.path.lexists(path)}
    names = {name for path in found if not _is_left_out(name := os.path.relpath(path, folder))}
    places = {place for name in names for place in _places(name)}
    others = {place for place in places if left_out(folder / place)}
    return {name for name in names if others.isdisjoint(_places(name))}


def _places(name: str) -> list[Path]:
    """A path and the folders that it is in, below the project's."""
    return [Path(name), *Path(name).parents[:-1]]


async def _kept(folder: Path, names: set[str]) -> frozenset[str]:
    if not names:
        return frozenset()
    ignored = await _ignored(folder, names)
    if ignored is None:
        return frozenset(name for name in names if _BUILDS.isdisjoint(Path(name).parts))
    return frozenset(names - ignored)


def _is_left_out(name: str) -> bool:
    parts = Path(name).parts
    return (
        not parts or parts[0] == ".." or not _CACHES.isdisjoint(parts)
        or any(part.startswith(_LEFT_OUT) or part.endswith(".egg-info") for part in parts)
        or not _NAMES(Change.modified, parts[-1])
    )  # fmt: skip


async def _ignored(folder: Path, names: Iterable[str]) -> frozenset[str] | None:
    """Those that .gitignore names; None where this is no checkout, or Git cannot tell."""
    asked = "\0".join(names).encode(errors="surrogateescape")
    with suppress(OSError):
        git = await asyncio.create_subprocess_exec(
            *_GIT, cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        told, _ = await git.communicate(asked)
        if git.returncode in {0, 1}:
            return frozenset(told.decode(errors="surrogateescape").rstrip("\0").split("\0")) - {""}
    return None
