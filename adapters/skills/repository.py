"""A Git repository of the workspace, looked at by a git that reads nothing of it but data.

Whoever made a repository may have written into its configuration, hooks and attributes what git starts as programs, at a mere
`git status`. No list of such keys would be whole. So git is never run in that repository: it gets one of ours, with a
configuration of ours, where the branches and the index are copies, and the objects are borrowed. What it writes it writes into
ours; a commit is carried over by hand, as objects and a branch, through no link. A repository that leads elsewhere itself (links,
alternates, a `.git` that is a file) is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapters.skills.closed import shown, why_closed
from adapters.skills.errors import FileMissing, GitFailed, GitMissing, NoRepository, RepositoryStrange
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from adapters.skills.workspace import Workspace

PLACES = "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin"
"""Where git is looked for; no PATH of the hub's is believed."""

SECONDS = 40
MOST_NAMES = 200_000
MOST_REFS = 20_000
_LARGEST = {"HEAD": 4096, "packed-refs": 16_000_000, "index": 30_000_000, "shallow": 1_000_000, "config": 1_000_000}
_REF_BYTES = 1024
_REF = re.compile(rb"(?:ref: refs/(?!.*\.\.)[^\x00-\x20~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64})\n?")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KEPT = {
    "core.filemode": ("true", "false"), "core.ignorecase": ("true", "false"), "core.symlinks": ("true", "false"),
    "core.precomposeunicode": ("true", "false"), "core.autocrlf": ("true", "false", "input"),
    "core.eol": ("lf", "crlf", "native"), "extensions.objectformat": ("sha1", "sha256"),
}  # fmt: skip
"""All that is taken from a repository's configuration: how its files lie on the disk, in words of ours."""

_BORROWS = ("info/alternates", "info/http-alternates")
CONFIGURATION = {
    "core.bare": "false", "core.fsmonitor": "false", "core.hooksPath": os.devnull, "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull, "core.pager": "cat", "core.editor": "false", "core.logAllRefUpdates": "false",
    "core.untrackedCache": "false", "protocol.allow": "never", "gc.auto": "0", "maintenance.auto": "false",
    "submodule.recurse": "false", "diff.ignoreSubmodules": "all", "log.showSignature": "false", "color.ui": "false",
    "commit.gpgSign": "false", "fastimport.unpackLimit": "1000000", "advice.detachedHead": "false",
}  # fmt: skip
"""Ours: nothing in it starts a program, nor opens a connection."""

ENVIRONMENT = {
    "PATH": PLACES, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull, "GIT_ATTR_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false", "GIT_SSH_COMMAND": "false", "GIT_EDITOR": "false", "GIT_PAGER": "cat", "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_PROTOCOL_FROM_USER": "0", "GIT_LITERAL_PATHSPECS": "1",
}  # fmt: skip


def program() -> str:
    """Where git is. Raises `GitMissing`."""
    if (found := shutil.which("git", path=PLACES)) is None:
        raise GitMissing
    return found


def ran(
    words: Sequence[str],
    environment: Mapping[str, str],
    place: Path,
    given: bytes | None,
    allowed: Sequence[int] = (0,),
) -> bytes:
    """What git prints that is run in a folder of ours. Raises `GitMissing`, `GitFailed`."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - looked at below
            [program(), *words], input=given, stdin=None if given is not None else subprocess.DEVNULL, capture_output=True,
            env=environment, cwd=place, timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GitFailed(why=f"git {words[0]} took longer than {SECONDS} s, and was ended") from None
    if done.returncode not in allowed:
        raise GitFailed(why=_complaint(done.stderr))
    return done.stdout


class Repository:
    """One of the workspace. `path` is its folder there, `folder` the same on the disk."""

    def __init__(self, workspace: Workspace, path: str, scratch: Path) -> None:
        self._workspace = workspace
        self.path = path
        self.folder = workspace.root / path
        self.place = scratch / "repository"
        self._open: dict[str, bool] = {}

    @classmethod
    def of(cls, workspace: Workspace, name: str, scratch: Path) -> Repository:
        """The one that a folder of the workspace is in. Raises `NoRepository`, `RepositoryStrange`, and what `find` does."""
        path = PurePosixPath(workspace.find(name or "."))
        for folder in (path, *path.parents):
            if os.path.lexists(workspace.root / folder / ".git"):
                found = cls(workspace, folder.as_posix(), scratch)
                found._copy()
                return found
        raise NoRepository(path=shown(path.as_posix()))

    def run(self, *words: str, given: bytes | None = None, allowed: Sequence[int] = (0,)) -> bytes:
        """What git prints. Raises `GitFailed` with what it says, where it ends otherwise than is `allowed`."""
        return ran(words, self._environment(), self.place, given, allowed)

    def text(self, *words: str, allowed: Sequence[int] = (0,)) -> str:
        """The same as text, without the end of its last line."""
        return self.run(*words, allowed=allowed).decode(errors="replace").rstrip("\n")

    @property
    def current(self) -> str:
        """The branch that is checked out; empty where none is."""
        return self.text("symbolic-ref", "--quiet", "--short", "HEAD", allowed=(0, 1))

    def is_open(self, path: str) -> bool:
        """Whether a path of its own may be named: no part of it is private, nor any folder that it is in."""
        parts = PurePosixPath(path).parts
        if not path.isprintable() or any(map(why_closed, parts)):
            return False
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in self._open:
                self._open[folder] = self._leads_in(folder)
            if not self._open[folder]:
                return False
        return True

    def _leads_in(self, folder: str) -> bool:
        try:
            with self._workspace.folder((PurePosixPath(self.path) / folder).as_posix()):
                return True
        except FileMissing:
            return True  # it is gone with what was in it
        except UserError:
            return False

    def commit_of(self, revision: str) -> str | None:
        """The id of a branch's or a name's commit; None where there is none."""
        words = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        return self.text(*words, allowed=(0, 1, 128)) or None

    def _environment(self) -> Mapping[str, str]:
        own = {"HOME": str(self.place), "XDG_CONFIG_HOME": str(self.place), "GIT_DIR": str(self.place)}
        return ENVIRONMENT | own | {"GIT_WORK_TREE": str(self.folder), "TMPDIR": str(self.place)}

    # Taking over -----------------------------------------------------------------------------------------------

    def _copy(self) -> None:
        for name in ("objects/info", "refs/heads", "info"):
            (self.place / name).mkdir(parents=True)
        with self._inside() as top:
            self._refuse_strange(top)
            kept = self._kept(_content(top, "config", _LARGEST["config"]) or b"")
            _write_config(self.place / "config", kept)
            for name in ("HEAD", "packed-refs", "shallow", "index"):
                content = _content(top, name, _LARGEST[name])
                if content is not None:
                    (self.place / name).write_bytes(content)
                    _same_time(top, name, self.place / name)
                elif name == "HEAD":
                    raise self._strange("it has no HEAD")
            if not _REF.fullmatch((self.place / "HEAD").read_bytes()):
                raise self._strange("its HEAD is none")
            if (exclude := _content(top, "info/exclude", _REF_BYTES * 64)) is not None:
                (self.place / "info/exclude").write_bytes(exclude)
            for name in os.listdir(top):  # noqa: PTH208 - a descriptor; of an index in two parts, the one that is shared
                if re.fullmatch(r"sharedindex\.[0-9a-f]{40,64}", name):
                    (self.place / name).write_bytes(_content(top, name, _LARGEST["index"]) or b"")
            self._copy_refs(top)
        borrowed = self.folder / ".git/objects"
        (self.place / "objects/info/alternates").write_text(f"{borrowed}\n")

    @contextmanager
    def _inside(self) -> Iterator[int]:
        """The descriptor of the repository's own folder, `.git`, reached through no link."""
        with self._workspace.folder(self.path) as folder:
            try:
                top = os.open(".git", _FOLDER, dir_fd=folder)
            except OSError:
                raise self._strange("its .git is a link, or a file that leads elsewhere") from None
            try:
                yield top
            finally:
                os.close(top)

    def _strange(self, why: str) -> RepositoryStrange:
        return RepositoryStrange(path=shown(self.path), why=why)

    def _refuse_strange(self, top: int) -> None:
        """Raise `RepositoryStrange` for one that leads elsewhere."""
        for name in ("commondir", "reftable", *(f"objects/{borrows}" for borrows in _BORROWS)):
            if _there(top, name):
                raise self._strange(f"it has a .git/{name}, so a part of it lies elsewhere, or in another form")
        try:
            with _folder(top, "objects") as objects:
                odd = _odd(objects)
        except OSError:
            odd = "its objects are a link, or not there"
        if odd:
            raise self._strange(odd)

    def _kept(self, content: bytes) -> dict[str, str]:
        """What its configuration says of the few things that are taken from it. To list a file of keys starts nothing."""
        file = self.place / "theirs"
        file.write_bytes(content)
        words = ("config", "--file", str(file), "--no-includes", "--list", "-z")
        listed = self.run(*words, allowed=(0, 1, 3, 128)).decode(errors="replace")
        file.unlink()
        found = dict(entry.partition("\n")[::2] for entry in listed.split("\0") if entry)
        return {key: value for key, said in found.items() if (value := said.lower()) in _KEPT.get(key.lower(), ())}

    def _copy_refs(self, top: int) -> None:
        count = 0
        if not _there(top, "refs"):
            return
        for where, folders, names, folder in os.fwalk("refs", dir_fd=top, follow_symlinks=False):
            count += len(names) + len(folders)
            if count > MOST_REFS:
                raise self._strange("it has too many branches")
            (self.place / where).mkdir(exist_ok=True)
            for name in names:
                content = _content(folder, name, _REF_BYTES)
                if content is not None and _REF.fullmatch(content) and name.isprintable():
                    (self.place / where / name).write_bytes(content)

    # Giving back -----------------------------------------------------------------------------------------------

    def may_publish(self) -> None:
        """Raise `GitFailed` where nothing may be written into the repository."""
        with self._inside() as top:
            for name in (".", "objects", "refs", "refs/heads"):
                if _there(top, name) and not os.access(name, os.W_OK | os.X_OK, dir_fd=top):
                    raise GitFailed(why=f"nothing may be written into {shown(self.path)}/.git")

    def publish(self, branch: str, commit: str, before: str | None) -> None:
        """Let the repository have a branch at a commit of ours. Raises `GitFailed` where it moved meanwhile (from `before`)."""
        try:
            with self._inside() as top:
                for file in sorted((self.place / "objects").glob("[0-9a-f][0-9a-f]/*")):
                    _put_object(top, f"objects/{file.parent.name}", file)
                _put_ref(top, f"refs/heads/{branch}", commit, before)
        except OSError as error:  # a link among its folders, or a full disk
            raise GitFailed(why=f"{branch} cannot be written there ({error.strerror})") from None


def _odd(objects: int) -> str:
    """What keeps these objects from being borrowed; empty if nothing does."""
    count, until = 0, time.monotonic() + SECONDS / 2
    for _, folders, names, folder in os.fwalk(".", dir_fd=objects, follow_symlinks=False):
        count += len(folders) + len(names)
        if count > MOST_NAMES or time.monotonic() > until:
            return "it has too many files"
        modes = (os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode for name in (*folders, *names))
        if not all(stat.S_ISDIR(mode) or stat.S_ISREG(mode) for mode in modes):
            return "there are links among its objects, or what is no file"
    return ""


def _write_config(file: Path, kept: Mapping[str, str]) -> None:
    version = "1" if any(key.startswith("extensions.") for key in kept) else "0"
    lines = []
    for key, value in {"core.repositoryformatversion": version, **CONFIGURATION, **kept}.items():
        section, _, name = key.partition(".")
        lines.append(f'[{section}]\n\t{name} = "{value}"\n')
    file.write_text("".join(lines))


def _there(top: int, name: str) -> bool:
    with suppress(OSError):
        os.stat(name, dir_fd=top, follow_symlinks=False)
        return True
    return False


@contextmanager
def _folder(top: int, name: str, *, make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below, reached step by step and through no link."""
    descriptor = os.dup(top)
    try:
        for part in PurePosixPath(name).parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _content(top: int, name: str, most: int) -> bytes | None:
    """What a plain file holds; None where there is none, or none that is so small."""
    path = PurePosixPath(name)
    with suppress(OSError), _folder(top, str(path.parent)) as folder:
        descriptor = os.open(path.name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size <= most:
                return file.read(most + 1)
    return None


def _same_time(top: int, name: str, copy: Path) -> None:
    """An index says by its own time which of its files may have changed since, unseen."""
    with suppress(OSError):
        status = os.stat(name, dir_fd=top, follow_symlinks=False)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def _put_object(top: int, where: str, file: Path) -> None:
    with _folder(top, where, make=True) as folder:
        if _there(folder, file.name):
            return
        passing = f"tmp_obj_{file.name}"
        with suppress(FileNotFoundError):  # of a crash
            os.unlink(passing, dir_fd=folder)
        _put(folder, passing, file.read_bytes(), 0o444)
        os.rename(passing, file.name, src_dir_fd=folder, dst_dir_fd=folder)


def _put_ref(top: int, name: str, commit: str, before: str | None) -> None:
    """As git does it: under a lock, which is the new file itself."""
    path = PurePosixPath(name)
    with _folder(top, str(path.parent), make=True) as folder:
        lock = f"{path.name}.lock"
        try:
            _put(folder, lock, f"{commit}\n".encode(), 0o644)
        except FileExistsError:
            raise GitFailed(why=f"somebody else changes {path.name} just now") from None
        now = _content(folder, path.name, _REF_BYTES)
        if now is not None and now.decode(errors="replace").strip() != (before or ""):
            os.unlink(lock, dir_fd=folder)
            raise GitFailed(why=f"{path.name} has moved meanwhile")
        os.rename(lock, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _put(folder: int, name: str, content: bytes, mode: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def _complaint(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    first = next(
        (line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0] if lines else "it failed"
    )
    return first.removeprefix("fatal: ").removeprefix("error: ").rstrip(".")
