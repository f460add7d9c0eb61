"""The data folder and the workspace on disk: made private, owned by one process, seeded with samples once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "hub.lock"


class AlreadyRunning(Unavailable):
    """A hub (pid {pid}) already runs on {folder}. Use it with timmy console or timmy say, or set TIMMY_DATA_DIR."""


class NoFolder(UserError):
    """{folder} cannot be used as a folder: {why}. Choose another with TIMMY_{key}."""


@contextlib.contextmanager
def own(folder: Path) -> Iterator[Path]:
    """Make the data folder private (0700, what lies in it 0600), and hold its lock until the block ends.

    Raises `NoFolder`, and `AlreadyRunning`, naming the pid.
    """
    make(folder, "DATA_DIR")
    try:
        folder.chmod(0o700)
        for file in folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.chmod(0o600)
    except OSError as error:
        raise NoFolder(folder=folder, why=error.strerror or str(error), key="DATA_DIR") from error
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(pid=pid, folder=folder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield folder
    finally:
        os.close(descriptor)


def make(folder: Path, key: str) -> None:
    """Make a folder, if it is not there, and see that it can be used. Raises `NoFolder`."""
    with _named(folder, key):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NoFolder(folder=folder, why="it cannot be written to", key=key)


def seed_workspace(workspace: Path, samples: Path) -> None:
    """Make the workspace with its sample files, at the first start only; whole or, if it is killed, not at all."""
    with _named(workspace, "WORKSPACE"):
        if not workspace.exists():
            passing = workspace.with_name(f".{workspace.name}.new")
            shutil.rmtree(passing, ignore_errors=True)
            passing.mkdir(mode=0o700, parents=True)
            for sample in sorted(samples.iterdir()):
                shutil.copyfile(sample, passing / sample.name)
            passing.rename(workspace)
    make(workspace, "WORKSPACE")


@contextlib.contextmanager
def _named(folder: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoFolder(folder=folder, why=error.strerror or str(error), key=key) from error
