"""For worktrees: a folder copied with all that is open in it, and what became of the copy.

The history of a copy is a Git repository beside it, never in it, which is fed with the files as they are: git itself looks at no
file of a worktree, so nothing that is written there can make it do anything.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.errors import FileMissing, ForkTooLarge, GitFailed, NameUnusable
from adapters.skills.job import counted, listed
from adapters.skills.kinds import spoken_size
from adapters.skills.repository import CONFIGURATION, ENVIRONMENT, ran
from core.agent.skill import Outcome
from core.agent.worktree import DIFF
from core.chat import readable
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.skills.job import Job
    from adapters.skills.workspace import Walk, Workspace

MOST_BYTES = 30_000_000
"""Of all files of a worktree."""

TREE, HISTORY = "tree", "history"
"""The copy and its repository, in the folder of a worktree."""

_MARKS = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "package.json",
    "Cargo.toml",
    "go.mod",
    "Makefile",
    "pytest.ini",
    "tox.ini",
)
BASE = "refs/base"
_AUTHOR = "Timmy <timmy@localhost> now"
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--binary", "--full-index")


def fork(job: Job) -> Outcome:
    """Do what the option `do` says: `open` a worktree of the folder `job.subject` in `job.out`; in it `remove`, `commit`, `diff`.

    Before that `project`: in which folder the first of the names lies that are the lines of `job.subject`.

    What is in a worktree already has that as its workspace, and its repository in the option `history`.
    """
    return _DOES[job.options["do"]](job)


def _project(job: Job) -> Outcome:
    names = job.subject.split("\n")
    for name in (*names, *filter(None, (name.rpartition("/")[0] for name in names))):
        with suppress(HubError):
            return Outcome(_top(job.workspace, _found(job.workspace, name)))
    return Outcome("")


def _found(workspace: Workspace, name: str) -> str:
    """What is there of a name; a bare word is a folder's, or means nothing."""
    path = workspace.find(name)
    if "." not in name and path != name.rstrip("/"):
        raise FileMissing(path=shown(name), hint="")
    return path


def _top(workspace: Workspace, path: str) -> str:
    """The nearest folder above that is a repository, or has what projects have; else the outermost."""
    place = PurePosixPath(path)
    above = [one for one in (place, *place.parents) if workspace.is_folder(one.as_posix())]
    for marks in ((".git",), _MARKS):
        for one in above:
            if any(os.path.lexists(workspace.root / one / mark) for mark in marks):
                return one.as_posix()
    return above[-2 if len(above) > 1 else -1].as_posix()


def _open(job: Job) -> Outcome:
    branch = job.options["branch"]
    history, tree = job.out / HISTORY, job.out / TREE
    _begin(history)
    try:
        _git(history, "check-ref-format", f"refs/heads/{branch}")
    except GitFailed:
        raise NameUnusable(path=shown(branch), why="Git takes no such name of a branch") from None
    top = job.workspace.find(job.subject or ".")
    walk = job.workspace.walk(top)
    _refuse_large(job, walk)
    tree.mkdir()
    room = MOST_BYTES
    for path in walk.files:
        copy = tree / PurePosixPath(path).relative_to(top)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with job.workspace.open(path) as file, copy.open("xb") as target:
            room -= file.seek(0, os.SEEK_END)
            if room < 0:
                raise ForkTooLarge(path=shown(job.subject), why=f"more than {spoken_size(MOST_BYTES)}")
            file.seek(0)
            shutil.copyfileobj(file, target)
            copy.chmod(0o700 if os.fstat(file.fileno()).st_mode & stat.S_IXUSR else 0o600)
    files = [PurePosixPath(path).relative_to(top).as_posix() for path in walk.files]
    stream = _head(f"refs/heads/{branch}", f"As it was: {shown(job.subject)}", None) + _tree(tree, files)
    _git(history, "fast-import", "--quiet", "--date-format=now", given=stream + b"\ndone\n")
    _git(history, "update-ref", BASE, f"refs/heads/{branch}")
    return Outcome(f"{counted(len(files), 'file')} copied, on branch {branch}.")


def _refuse_large(job: Job, walk: Walk) -> None:
    if not walk.is_whole:
        raise ForkTooLarge(path=shown(job.subject), why=f"more than {len(walk.files):,} files")


def _remove(job: Job) -> Outcome:
    path = PurePosixPath(job.subject)
    if job.workspace.held(job.subject, MOST_BYTES) is None:  # a plain file, an open one, and of just this name
        raise FileMissing(path=shown(job.subject), hint="Write the name just as list_files shows it.")
    with job.workspace.folder(path.parent.as_posix()) as folder:
        os.unlink(path.name, dir_fd=folder)
    return Outcome(f"{shown(path.as_posix())} is gone.")


def _commit(job: Job) -> Outcome:
    history, branch = Path(job.options[HISTORY]), f"refs/heads/{job.options['branch']}"
    return Outcome(_committed(job, history, branch, job.options["message"]))


def _diff(job: Job) -> Outcome:
    """`change.diff` against what was copied. The second line of the text has the names, apart by tabs."""
    history, now = Path(job.options[HISTORY]), "refs/now"
    _git(history, "update-ref", now, BASE)
    _committed(job, history, now, "Now")
    listed_names = _git(history, "diff", "--no-renames", "--name-only", "-z", BASE, now)
    names = [os.fsdecode(name) for name in listed_names.split(b"\0") if name]
    if not names:
        return Outcome("Nothing is changed.\n")
    (job.out / DIFF).write_bytes(_git(history, "diff", *_PLAIN, BASE, now))
    told = _git(history, "diff", "--no-renames", "--shortstat", BASE, now).decode().strip()
    return Outcome(f"{told}: {listed(names)}\n" + "\t".join(names), (job.out / DIFF,))


_DOES = {"project": _project, "open": _open, "remove": _remove, "commit": _commit, "diff": _diff}


def _committed(job: Job, history: Path, ref: str, message: str) -> str:
    """Commit the files as they are now to a branch; says what was changed."""
    walk = job.workspace.walk()
    _refuse_large(job, walk)
    before = _git(history, "rev-parse", ref).decode().strip()
    stream = _head(ref, message, before) + b"deleteall\n" + _tree(job.workspace.root, walk.files, job)
    passing = "refs/passing"
    _git(history, "update-ref", passing, before)
    stream = stream.replace(f"commit {ref}\n".encode(), f"commit {passing}\n".encode(), 1)
    _git(history, "fast-import", "--quiet", "--date-format=now", given=stream + b"\ndone\n")
    told = _git(history, "diff", "--no-renames", "--shortstat", before, passing).decode().strip()
    if not told:
        return "Nothing has changed."
    _git(history, "update-ref", ref, passing)
    return f"Committed: {told}."


def _head(ref: str, message: str, before: str | None) -> bytes:
    said = readable(message).encode()
    head = f"feature done\ncommit {ref}\ncommitter {_AUTHOR}\ndata {len(said)}\n".encode() + said + b"\n"
    return head + (f"from {before}\n".encode() if before else b"")


def _tree(root: Path, files: Iterable[str], job: Job | None = None) -> bytes:
    """The files as `git fast-import` takes them; those of a worktree are opened by the one way into it."""
    parts, room = [], MOST_BYTES
    for path in files:
        if job is None:
            content, mode = (root / path).read_bytes(), (root / path).stat().st_mode
        else:
            with job.workspace.open(path) as file:
                content, mode = file.read(room + 1), os.fstat(file.fileno()).st_mode
        room -= len(content)
        if room < 0:
            raise ForkTooLarge(path=shown(path), why=f"more than {spoken_size(MOST_BYTES)}")
        quoted = path.replace("\\", "\\\\").replace('"', '\\"')
        kind = "100755" if mode & stat.S_IXUSR else "100644"
        parts.append(f'M {kind} inline "{quoted}"\ndata {len(content)}\n'.encode() + content + b"\n")
    return b"".join(parts)


def _begin(history: Path) -> None:
    """A repository without files, and without what any configuration of this machine says."""
    for name in ("objects", "refs"):
        (history / name).mkdir(parents=True)
    (history / "HEAD").write_text("ref: refs/heads/none\n")
    lines = ['[core]\n\trepositoryformatversion = "0"\n']
    for key, value in {**CONFIGURATION, "core.bare": "true", "fastimport.unpackLimit": "1"}.items():
        section, _, name = key.partition(".")
        lines.append(f'[{section}]\n\t{name} = "{value}"\n')
    (history / "config").write_text("".join(lines))


def _git(history: Path, *words: str, given: bytes | None = None) -> bytes:
    place = str(history)
    own = {"GIT_DIR": place, "HOME": place, "XDG_CONFIG_HOME": place}
    return ran(words, {**ENVIRONMENT, **own}, history, given)
