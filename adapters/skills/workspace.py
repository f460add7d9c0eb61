"""The one path helper: from a name that somebody wrote to an open file inside the workspace, or a clear refusal.

A name is judged three times: as words (`closed.py`), as the real path behind its symlinks, and once more while it
is opened, folder by folder with `O_NOFOLLOW` from the workspace down, so that a path swapped between check and use
is refused and never followed. A file with a second name (a hard link) is refused too: whether the other name is a
private one cannot be told. Files are written the same way, under the very name that was said, whole or not at all.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import unicodedata
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from adapters.skills.closed import VENV_MARK, parts_of, refuse_closed, shown, why_closed
from adapters.skills.errors import (
    FileAmbiguous,
    FileChanged,
    FileClosed,
    FileMissing,
    FileTooLarge,
    NotAFile,
    OutsideWorkspace,
    WorkspaceMissing,
)
from adapters.skills.kinds import spoken_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

MOST_FILES = 5_000
"""How many files a walk looks at, at most; what is left out is counted."""

MOST_NAMES = 100_000
"""How many names of any kind a walk looks at, at most: closed names and empty folders cost time too."""

WALK_SECONDS = 5.0

DEEPEST = 40
"""How many folders deep a walk goes; each level costs an open descriptor."""

_NEAR = 0.75
"""How like a file's name another must be to be taken for it, misspelt (difflib's ratio), the suffix aside."""

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_RIGHTS = 0o777
_DATA = "the hub keeps its own data there"
_VENV = "it is a virtual environment"
_NOT_OURS = "nothing may be written into its folder"
_LINKED = "it has a second name (a hard link), which may be that of a private file"


@dataclass(frozen=True, slots=True)
class Walk:
    """The open files below a folder, as paths relative to the workspace, sorted; and how many names were left out.

    Not `is_whole` is a walk that ended at a limit; more may have been left out then. `passed_over` has those of the left
    out whose names are open (links, what is no plain file); `closed` has the closed names, those of folders with a slash.
    """

    files: tuple[str, ...]
    left_out: int
    is_whole: bool = True
    passed_over: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    """What a walk has found so far; it ends `until`, on the monotonic clock."""

    until: float
    files: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    names: int = 0
    left_out: int = 0
    is_cut: bool = False

    def is_full(self) -> bool:
        self.is_cut |= len(self.files) > MOST_FILES or self.names > MOST_NAMES or time.monotonic() > self.until
        return self.is_cut


class Workspace:
    """The folder that skills may read, without its closed parts.

    `closed` are folders of the hub itself (its data folder), wherever they lie. One that encloses the workspace
    closes nothing, since no path leads out of the workspace; one at or inside it is closed whole.
    """

    def __init__(self, root: Path, closed: Iterable[Path] = ()) -> None:
        self.root = Path(os.path.realpath(root))
        self._closed = frozenset(_identity(folder.stat()) for folder in closed if folder.exists())

    def find(self, name: str) -> str:
        """The relative real path of the file or folder that `name` means; "." is the workspace itself.

        A name that differs only by case or by its suffix, or that leaves out the folder, is found if it fits exactly
        one open file. Raises `FileMissing`, `FileAmbiguous`, `FileClosed`, `OutsideWorkspace`, `NameUnusable`.
        """
        written = parts_of(name, str(self.root))
        is_there = os.path.lexists(self.root.joinpath(*written))
        parts = written if is_there else parts_of(name.strip(), str(self.root))  # a name may begin with a blank
        real = Path(os.path.realpath(self.root.joinpath(*parts)))
        if not real.is_relative_to(self.root):
            raise OutsideWorkspace(path=shown(name))
        inside = real.relative_to(self.root)
        refuse_closed(inside.parts, name)
        with suppress(FileMissing), self._folder(inside.parts[:-1], name):
            pass  # before asking whether the name exists: what is missing in a closed folder is not told either
        return inside.as_posix() if real.exists() else self._guess(name, parts)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file by its relative real path (as `find` and `walk` give it). Raises like `find`, or `NotAFile`."""
        parts = parts_of(path, str(self.root))
        if not parts:
            raise NotAFile(path=shown(path), what="the workspace itself")
        with self._folder(parts[:-1], path) as folder:
            descriptor = _open(parts[-1], _FILE, folder, path)
        with _plain_file(descriptor, path) as file:
            yield file

    def held(self, path: str, most: int) -> bytes | None:
        """What the file of just this name holds, so many bytes at most; None of none. Raises like `open`, or `FileTooLarge`."""
        parts = self._named(path)
        try:
            with self._folder(parts[:-1], path) as folder:
                descriptor = _open(parts[-1], _FILE, folder, path)
        except FileMissing:
            return None
        with _plain_file(descriptor, path) as file:
            if (size := os.fstat(file.fileno()).st_size) > most:
                raise FileTooLarge(path=shown(path), size=spoken_size(size), limit=spoken_size(most))
            return file.read()

    def rights(self, path: str) -> int | None:
        """Who may do what with the file of just this name, as `chmod` has it; None of none. Raises like `open`."""
        parts = self._named(path)
        try:
            with (
                self._folder(parts[:-1], path) as folder,
                _plain_file(_open(parts[-1], _FILE, folder, path), path) as file,
            ):
                return stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _RIGHTS
        except FileMissing:
            return None

    def put(self, path: str, content: bytes, *, was: bytes | None, rights: int | None = None) -> None:
        """Write the file of just this name, which held `was` (None: there was none), and its folders, if they are not there.

        One that was there keeps its rights; a new one has `rights`.
        It is there whole and durable, or as before. Raises like `open`, or `FileChanged`: somebody else wrote it meanwhile.
        """
        self.may_put(path)
        parts = self._named(path)
        with self._folder(parts[:-1], path, make=True) as folder:
            passing = f".timmy-{os.urandom(8).hex()}"  # closed to everybody who might look meanwhile
            descriptor = os.open(passing, _NEW, 0o666, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    if was is None:
                        if rights is not None:
                            os.fchmod(file.fileno(), rights)
                        _named_first(passing, parts[-1], folder, path)
                    else:
                        self._replace(passing, file.fileno(), parts[-1], folder, path, was)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(passing, dir_fd=folder)
            os.fsync(folder)

    def remove(self, path: str, *, was: bytes) -> None:
        """Remove the file of just this name, which held `was`. Raises like `put`."""
        parts = self._named(path)
        with self._folder(parts[:-1], path) as folder:
            with _plain_file(_open(parts[-1], _FILE, folder, path), path) as there:
                if there.read() != was:
                    raise FileChanged(path=shown(path))
            os.unlink(parts[-1], dir_fd=folder)
            os.fsync(folder)

    def may_put(self, path: str) -> None:
        """Raise what `put` would by the look of the folder that the file is in, or the last of those to it that are there."""
        parts = self._named(path)[:-1]
        while True:
            try:
                with self._folder(parts, path) as folder:
                    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
                        raise FileClosed(path=shown(path), why=_NOT_OURS)
                    return
            except FileMissing:
                parts = parts[:-1]

    @staticmethod
    def _replace(passing: str, descriptor: int, name: str, folder: int, path: str, was: bytes) -> None:
        with _plain_file(_open(name, _FILE, folder, path), path) as there:
            if there.read() != was:
                raise FileChanged(path=shown(path))
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(there.fileno()).st_mode))
        os.replace(passing, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _named(self, path: str) -> tuple[str, ...]:
        parts = parts_of(path, str(self.root))
        if not parts:
            raise NotAFile(path=shown(path), what="the workspace itself")
        return parts

    def is_folder(self, path: str) -> bool:
        """Whether a relative real path is a folder; raises `FileClosed` if it leads through a closed one."""
        parts = parts_of(path, str(self.root))
        with self._folder(parts[:-1], path) as folder:
            status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False) if parts else os.fstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return False
        with self._folder(parts, path):
            return True

    def folder(self, path: str) -> AbstractContextManager[int]:
        """The descriptor of a folder, by its relative real path; raises `FileClosed` where it leads through a closed one."""
        return self._folder(parts_of(path, str(self.root)), path)

    def walk(self, path: str = ".") -> Walk:
        """All open files below a folder. Symlinks, closed names and what exceeds `MOST_FILES` count as left out."""
        parts = parts_of(path, str(self.root))
        tally = _Tally(time.monotonic() + WALK_SECONDS)
        with self._folder(parts, path) as top:
            self._collect(top, PurePosixPath(*parts), tally)
        left_out = tally.left_out + len(tally.files[MOST_FILES:])
        named = (tuple(sorted(names)) for names in (tally.passed_over, tally.closed))
        return Walk(tuple(sorted(tally.files[:MOST_FILES])), left_out, not tally.is_cut, *named)

    def _collect(self, folder: int, here: PurePosixPath, tally: _Tally) -> None:
        """Add what is below an open folder to the tally, until that is full."""
        if tally.is_full():
            return
        with os.scandir(folder) as entries:
            found = list(islice(entries, max(0, MOST_NAMES - tally.names) + 1))
        tally.names += len(found)
        folders = sorted(entry.name for entry in found if _is_folder(entry))
        names = [entry.name for entry in found if not _is_folder(entry)]
        opened = {name for name in names if _is_open_file(name, folder)}
        tally.files += [str(here / name) for name in names if name in opened]
        tally.passed_over += [str(here / name) for name in names if name not in opened and _is_open_name(name)]
        tally.closed += [str(here / name) for name in names if why_closed(name)]
        tally.closed += [f"{here / name}/" for name in folders if why_closed(name)]
        tally.left_out += len(names) - len(opened)
        for name in folders:
            if tally.is_full():
                break
            if not self._enters(name, folder):
                tally.left_out += 1
            elif len(here.parts) >= DEEPEST:
                tally.is_cut = True
            else:
                self._collect_in(name, folder, here / name, tally)
        tally.is_full()

    def _collect_in(self, name: str, parent: int, here: PurePosixPath, tally: _Tally) -> None:
        try:
            folder = os.open(name, _FOLDER, dir_fd=parent)
        except OSError:  # it was there a moment ago
            tally.left_out += 1
            return
        try:
            self._collect(folder, here, tally)
        finally:
            os.close(folder)

    def _guess(self, name: str, parts: tuple[str, ...]) -> str:
        """The one open file that a slightly wrong name means."""
        files = self.walk().files
        wanted = _folded("/".join(parts))
        for fits in (_same_path, _same_name, _same_stem):
            found = [file for file in files if fits(file, wanted)]
            if len(found) == 1:
                return found[0]
            if found:
                raise FileAmbiguous(path=shown(name), choices=", ".join(map(shown, found[:5])))
        if parts[:1] == ("~",):  # somebody's home folder, unless the workspace has a folder of that name
            raise OutsideWorkspace(path=shown(name))
        raise FileMissing(path=shown(name), hint=self._hint(parts, files))

    def _hint(self, parts: tuple[str, ...], files: Iterable[str]) -> str:
        """What to do about a name that means no file."""
        if self.root.joinpath(*parts).is_symlink():
            return "It is a link that leads nowhere."
        names = {_folded(PurePosixPath(file).stem): PurePosixPath(file).name for file in files}
        near = get_close_matches(_folded(PurePosixPath(*parts).stem), names, n=1, cutoff=_NEAR)
        if near:
            return f"The nearest name is {shown(names[near[0]])}."
        return "Put it there, or check its name; one with blanks in it goes in quotes."

    @contextmanager
    def _folder(self, parts: tuple[str, ...], name: str, *, make: bool = False) -> Iterator[int]:
        """The descriptor of a folder, reached (and made) from the root step by step and never through a symlink."""
        try:
            descriptor = os.open(self.root, _FOLDER)
        except OSError as error:
            raise WorkspaceMissing from error
        try:
            self._refuse_folder(descriptor, name, venv=False)
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = _open(part, _FOLDER, descriptor, name)
                os.close(descriptor)
                descriptor = below
                self._refuse_folder(descriptor, name, venv=True)
            yield descriptor
        finally:
            os.close(descriptor)

    def _refuse_folder(self, descriptor: int, name: str, *, venv: bool) -> None:
        if _identity(os.fstat(descriptor)) in self._closed:
            raise FileClosed(path=shown(name), why=_DATA)
        if venv and _holds(descriptor, VENV_MARK):
            raise FileClosed(path=shown(name), why=_VENV)

    def _enters(self, name: str, parent: int) -> bool:
        """Whether a walk goes into this folder."""
        if not _is_open_name(name):
            return False
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
        except OSError:
            return False
        try:
            return _identity(os.fstat(descriptor)) not in self._closed and not _holds(descriptor, VENV_MARK)
        finally:
            os.close(descriptor)


def _open(part: str, flags: int, folder: int, name: str) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        raise FileMissing(path=shown(name), hint="It was there a moment ago.") from None
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise NotAFile(path=shown(name), what="a socket or a device") from None
        # ELOOP and ENOTDIR: a symlink or a file where a folder was; EACCES: not ours to read
        raise FileClosed(path=shown(name), why=(error.strerror or "it cannot be opened").lower()) from None


def _named_first(passing: str, name: str, folder: int, path: str) -> None:
    """Give a file a name that nothing has."""
    try:
        os.link(passing, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise FileChanged(path=shown(path)) from None


def _plain_file(descriptor: int, name: str) -> BinaryIO:
    status = os.fstat(descriptor)
    if _is_single(status):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise FileClosed(path=shown(name), why=_LINKED)
    raise NotAFile(path=shown(name), what=_what(status.st_mode))


def _is_single(status: os.stat_result) -> bool:
    """Whether this is a plain file with one name."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_open_name(name: str) -> bool:
    return not why_closed(name) and name.isprintable()


def _is_open_file(name: str, folder: int) -> bool:
    if not _is_open_name(name):
        return False
    try:
        return _is_single(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return False


def _holds(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    """A folder by what it is, not by how it is spelt: bind mounts and case-blind disks change the spelling."""
    return status.st_dev, status.st_ino


def _what(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a socket or a device"


def _folded(name: str) -> str:
    """A name as it is compared: by its letters, however they and the quotes in it are typed."""
    return unicodedata.normalize("NFC", name).translate(_QUOTES).casefold()


def _same_path(file: str, wanted: str) -> bool:
    return _folded(file) == wanted


def _same_name(file: str, wanted: str) -> bool:
    return _folded(PurePosixPath(file).name) == wanted


def _same_stem(file: str, wanted: str) -> bool:
    return _folded(PurePosixPath(file).stem) == wanted
