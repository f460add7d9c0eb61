"""The data folder and the workspace on disk: made private, owned by one process, seeded with samples once.

A folder that holds something else is nobody's data folder yet, and is left as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Broken, Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.ports import IdSource

LOCK = "hub.lock"
_OURS = frozenset({"hub.db", LOCK, "hub.sock", "scratch"})
"""One of these is in every data folder that was used."""

_NOTHING = frozenset({"lost+found", ".DS_Store"})
"""What systems put into an empty folder."""


class AlreadyRunning(Unavailable):
    """A hub (pid {pid}) already runs on {folder}. Use it with timmy console or timmy say, or set TIMMY_DATA_DIR."""


class NoFolder(UserError):
    """{folder} cannot be used as a folder: {why}. Choose another with TIMMY_{key}."""


class NotADataFolder(UserError):
    """{folder} holds other files ({found}, say), none of Timmy, and was left alone. Set TIMMY_DATA_DIR to a folder of its own."""


@contextlib.contextmanager
def own(folder: Path) -> Iterator[Path]:
    """Make the data folder private (0700, what lies in it 0600), and hold its lock until the block ends.

    The folder itself is locked, as its lock file could be removed while it is used; the file tells people the pid, and is all
    that is locked on a network disk, where a folder may not be. Raises `NoFolder`, `NotADataFolder`, and `AlreadyRunning`.
    """
    make(folder, "DATA_DIR")
    refuse_others(folder)
    with contextlib.ExitStack() as undo:
        with _named(folder, "DATA_DIR"):
            itself = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, itself)
        try:
            fcntl.flock(itself, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(pid=_pid(folder), folder=folder.absolute()) from None
        except OSError:
            pass  # NFS locks only what is open for writing
        with _named(folder, "DATA_DIR"):
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(pid=_pid(folder), folder=folder.absolute()) from None
        with _named(folder, "DATA_DIR"):
            _close(folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield folder


def _pid(folder: Path) -> str:
    """Of the hub that runs on a folder, if its lock file is still there."""
    with contextlib.suppress(OSError):
        return (folder / LOCK).read_text(errors="replace")[:20].strip() or "unknown"
    return "unknown"


class DataGone(Broken):
    """{path} was removed or replaced while the hub ran, and the hub ended: what it did since cannot be kept.

    Put a backup of the whole data folder back, and start the hub.
    """


class Held:
    """Files that a hub works on: whether each is still the one at its path. A file that is not there yet is known once it is."""

    def __init__(self, *paths: Path) -> None:
        self._known: dict[Path, tuple[int, int]] = {}
        self._paths = paths
        self.check()

    def check(self) -> None:
        """Raises `DataGone`. One stat a file; a path that cannot be looked at now is looked at the next time."""
        for path in self._paths:
            found = None
            try:
                status = path.stat()
                found = (status.st_dev, status.st_ino)
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError:
                continue
            if found != (self._known.setdefault(path, found) if found else self._known.get(path)):
                raise DataGone(path=path.absolute())


def refuse_others(folder: Path) -> None:
    """Raise `NotADataFolder` where something lies and nothing of ours: to make it private may lock others out."""
    with _named(folder, "DATA_DIR"):
        names = {file.name for file in folder.iterdir()} - _NOTHING
    if names and not names & _OURS:
        raise NotADataFolder(folder=folder.absolute(), found=min(names))


def is_data(folder: Path) -> bool:
    """Whether a folder is a hub's data folder, or was."""
    return (folder / LOCK).exists() or (folder / "hub.db").exists()


def _close(folder: Path) -> None:
    """What is in the folder is its owner's alone. A file of somebody else stays so, for whoever opens it to name."""
    folder.chmod(0o700)
    for file in folder.iterdir():
        if not file.is_symlink() and file.is_file():
            with contextlib.suppress(PermissionError):
                file.chmod(0o600)


def make(folder: Path, key: str, *, writes: bool = True) -> None:
    """Make a folder, if it is not there, and see that it can be used, also to write where that is done. Raises `NoFolder`."""
    with _named(folder, key):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, (os.W_OK if writes else os.R_OK) | os.X_OK):
            raise NoFolder(folder=folder, why=f"it cannot be {'written to' if writes else 'read'}", key=key)


def keep_apart(workspace: Path, data: Path) -> None:
    """Raise `NoFolder` for a workspace that is, or lies in, the data folder, which is closed to every task."""
    real = Path(os.path.realpath(workspace))
    if real.is_relative_to(os.path.realpath(data)):
        raise NoFolder(folder=workspace.absolute(), why="the hub keeps its own data there", key="WORKSPACE")


def secret(folder: Path, name: str, ids: IdSource) -> str:
    """A secret of the hub's own, made at first and kept in the data folder, for nobody else to read."""
    path = folder / name
    with _named(folder, "DATA_DIR"):
        if not path.exists():
            passing = path.with_suffix(".new")
            with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(ids.token())
            passing.replace(path)
        return path.read_text(encoding="utf-8").strip()


def strangers(data: Path) -> Path:
    """The folder whose files the tasks of strangers may read, in the data folder: empty, unless its owner puts something there."""
    make(data / "strangers", "DATA_DIR")
    return data / "strangers"


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


def newest(workspace: Path, limit: int) -> tuple[str, ...]:
    """The names of the plain files directly in the workspace, the newest first; none that is hidden."""
    found: list[tuple[float, str]] = []
    with contextlib.suppress(OSError), os.scandir(workspace) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name[0] != "." and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.name))
    return tuple(name for _, name in sorted(found, reverse=True)[:limit])
