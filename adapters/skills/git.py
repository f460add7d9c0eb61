"""For tools: what a Git repository of the workspace says, and a branch or a commit in it, beside what is checked out."""

from __future__ import annotations

import os
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from adapters.skills.closed import shown
from adapters.skills.errors import (
    BranchNotYours,
    BranchThere,
    GitFailed,
    NameUnusable,
    NoCommits,
    NoRevision,
    NothingChanged,
    RepositoryStrange,
)
from adapters.skills.job import TEXT_LENGTH, counted, listed, shortened, written
from adapters.skills.repository import Repository
from core.agent.skill import Outcome
from core.chat import readable
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapters.skills.job import Job

MAIN = frozenset({"main", "master", "trunk", "HEAD"})
_MOST_BRANCHES = 30
_MOST_FILES = 500
_MOST_BYTES = 20_000_000
_EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SAFE = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")
_STATES = {
    "M": "changed",
    "A": "new",
    "D": "gone",
    "R": "renamed",
    "C": "copied",
    "T": "of another kind",
    "U": "in conflict",
}
_AUTHOR = "Timmy <timmy@localhost>"


class _Change(NamedTuple):
    """A file that is not as it was committed: what became of it, and whether it is part of the repository."""

    path: str
    what: str
    known: bool = True


class _Made(NamedTuple):
    """A commit that was found; `sure`: it was made after what was asked for began. Git tells whole seconds."""

    commit: str
    sure: bool


def git(job: Job) -> Outcome:
    """Do what the option `do` says in the repository that `job.subject`, a folder, is in."""
    repository = Repository.of(job.workspace, job.subject, job.scratch)
    return _DOES[job.options["do"]](job, repository)


def _status(_: Job, repository: Repository) -> Outcome:
    current, tip = repository.current, repository.commit_of("HEAD")
    where = f"on branch {shown(current)}" if current else f"at commit {(tip or '')[:10]}, on no branch"
    head = f"{_name(repository)} is {where}{'' if tip else ', without a commit yet'}."
    changes, closed = _changes(repository)
    lines = [f"{change.what}: {shown(change.path)}" for change in changes]
    others = [name for name in _branches(repository) if name != current]
    found = f"{counted(len(changes), 'file')} changed." if changes else "Nothing is changed."
    rest = [f"{counted(closed, 'private name')} left out."] if closed else []
    branches = [f"Other branches: {listed(others[:_MOST_BRANCHES])}"] if others else []
    text, _cut = shortened([head, found, *rest, *branches, *lines], "(and more: ask for the status of one folder)")
    return Outcome(text)


def _log(job: Job, repository: Repository) -> Outcome:
    count = min(100, max(1, int(job.options.get("count", "20"))))
    revision, paths = _revision(repository, job.options.get("of", "") or "HEAD"), _paths(job, repository)
    words = ("--no-mailmap", "--no-show-signature", "--no-decorate", f"--max-count={count}", "--date=short")
    told = repository.text("log", *words, "--format=%h %ad %an: %s", revision, "--", *paths)
    lines = told.splitlines()
    head = f"The last {counted(len(lines), 'commit')} of {_name(repository)}:" if lines else "No commit touches that."
    return Outcome(shortened([head, *map(_shown_line, lines)], "(and older ones: ask for fewer)")[0])


def _diff(job: Job, repository: Repository) -> Outcome:
    first, second = job.options.get("from", ""), job.options.get("to", "")
    tips = [_revision(repository, name) for name in (first, second) if name] or [repository.commit_of("HEAD") or _EMPTY]
    names = _split(
        repository.run("diff", *_SAFE, "--no-renames", "--name-only", "-z", *tips, "--", *_paths(job, repository))
    )
    opened = [name for name in names if _is_open(repository, name, on_disk=len(tips) == 1)]
    closed = len(names) - len(opened)
    left = f" {counted(closed, 'private file')} left out." if closed else ""
    if not opened:
        return Outcome(f"There is no difference to show.{left}")
    some = opened[:_MOST_FILES]
    stat_lines = repository.text("diff", *_SAFE, "--no-renames", "--stat=100", *tips, "--", *some).splitlines()
    patch = repository.text("diff", *_SAFE, "--no-renames", *tips, "--", *some)
    whole = f"{stat_lines[-1].strip()}.{left}\n{patch}"
    if len(whole) <= TEXT_LENGTH:
        return Outcome(whole)
    file = written(job, "changes.diff", patch.split("\n"))
    text = shortened([*stat_lines, left.strip(), "", *patch.splitlines()], "(cut here: the whole is in changes.diff)")[
        0
    ]
    return Outcome(text, (file,))


def _branch(job: Job, repository: Repository) -> Outcome:
    name = _new_name(repository, job.options["branch"])
    if (there := repository.commit_of(f"refs/heads/{name}")) is not None:
        if not _again(job):
            raise BranchThere(branch=shown(name))
        return Outcome(
            f"{_name(repository)} has a branch {shown(name)}, at {there[:10]}. The hub was stopped while it made it, so this is"
            " that one, unless there was one of this name before. What is checked out is as it was."
        )
    tip = _revision(repository, job.options.get("of", "") or "HEAD")
    repository.run("update-ref", f"refs/heads/{name}", tip)  # says whether the name goes with the others
    if job.dry:
        return _could(repository)
    repository.publish(name, tip, None)
    return Outcome(
        f"{_name(repository)} has a branch {shown(name)} now, at {tip[:10]}. What is checked out is as it was."
    )


def _commit(job: Job, repository: Repository) -> Outcome:
    name = _new_name(repository, job.options["branch"])
    if name in MAIN | {repository.current, *_defaults(repository)}:
        raise BranchNotYours(branch=shown(name))
    message = readable(job.options["message"]).strip()
    before = repository.commit_of(f"refs/heads/{name}")
    if before and (done := _made_since(repository, before, message, _again(job))) is not None:
        return Outcome(_told_again(done, f"{shown(name)} of {_name(repository)}"))
    tip = before or repository.commit_of("HEAD")
    changes, closed = _changes(repository)
    changes = _wanted(changes, job.options.get("files", "").split("\n"), repository)
    stream, taken, left = _stream(job, repository, name, message, tip, changes)
    if not taken:
        raise NothingChanged(path=_name(repository))
    repository.run("fast-import", "--quiet", "--force", "--date-format=now", given=stream)
    commit = repository.commit_of(f"refs/heads/{name}") or ""
    if tip and repository.text("rev-parse", f"{commit}^{{tree}}") == repository.text("rev-parse", f"{tip}^{{tree}}"):
        raise NothingChanged(path=_name(repository))
    if job.dry:
        return _could(repository)
    repository.publish(name, commit, before)
    aside = closed + left
    rest = f" {counted(aside, 'file')} left out: private, links, or too large." if aside else ""
    return Outcome(
        f"Committed {counted(taken, 'file')} as {commit[:10]} on branch {shown(name)} of {_name(repository)}.{rest}"
        " What is checked out is as it was, and nothing was sent anywhere."
    )


def _could(repository: Repository) -> Outcome:
    """Nothing is against it but, maybe, the rights in the repository."""
    repository.may_publish()
    return Outcome("")


_DOES = {"status": _status, "log": _log, "diff": _diff, "branch": _branch, "commit": _commit}


def _again(job: Job) -> int:
    """When the same was begun before, by a hub that was stopped in its midst (Unix ms); 0 if it was not."""
    return int(job.options.get("again", "0"))


def _made_since(repository: Repository, tip: str, message: str, since: int) -> _Made | None:
    """The commit of ours with this message that a branch has got since then, if any, and if it was begun before."""
    if not since:
        return None
    words = ("--no-mailmap", "--no-show-signature", "--first-parent", "--max-count=50", "-z")
    told = repository.text("log", *words, "--format=%H%x00%cn <%ce>%x00%ct%x00%B", tip, "--").split("\0")
    for commit, by, at, said in zip(told[::4], told[1::4], told[2::4], told[3::4], strict=False):
        if by == _AUTHOR and int(at) >= since // 1000 and said.strip() == message:
            return _Made(commit, sure=int(at) > since // 1000)
    return None


def _told_again(done: _Made, branch: str) -> str:
    rest = "What is checked out is as it was, and nothing was sent anywhere."
    if done.sure:
        return f"Committed as {done.commit[:10]} on branch {branch}, before the hub was stopped. {rest}"
    return (
        f"Branch {branch} has {done.commit[:10]} with these words, of the second in which this was begun."
        f" The hub was stopped since, so it may be this one, or an earlier one: look at what it changed. {rest}"
    )


def _name(repository: Repository) -> str:
    return "The workspace" if repository.path == "." else shown(repository.path)


def _split(listed_names: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listed_names.split(b"\0") if name]


def _shown_line(line: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _branches(repository: Repository) -> list[str]:
    words = ("--format=%(refname:short)", "--sort=-committerdate", "--count=1000", "refs/heads")
    return [name for name in repository.text("for-each-ref", *words).split("\n") if name]


def _defaults(repository: Repository) -> list[str]:
    """What the repositories that this one was cloned from have checked out."""
    told = repository.text("for-each-ref", "--format=%(symref:lstrip=3)", "refs/remotes")
    return [name for name in told.split("\n") if name]


def _revision(repository: Repository, name: str) -> str:
    """The commit that a name means. Raises `NoRevision`, `NoCommits`."""
    if name.startswith("-") or not name.isprintable():
        raise NoRevision(path=_name(repository), name=shown(name))
    if (found := repository.commit_of(name)) is not None:
        return found
    if name == "HEAD":
        raise NoCommits(path=_name(repository))
    raise NoRevision(path=_name(repository), name=shown(name))


def _new_name(repository: Repository, name: str) -> str:
    """A branch's name that Git takes. Raises `NameUnusable`."""
    try:
        repository.run("check-ref-format", f"refs/heads/{name}")
    except (GitFailed, ValueError):
        raise NameUnusable(path=shown(name), why="Git takes no such name of a branch") from None
    if name.startswith("-") or not name.isprintable() or not name.isascii():
        raise NameUnusable(path=shown(name), why="Git takes no such name of a branch")
    return name


def _paths(job: Job, repository: Repository) -> list[str]:
    """The folder that was asked about, from the repository's own on; none where that is all of it."""
    path = PurePosixPath(job.workspace.find(job.subject or "."))
    below = path.relative_to(repository.path).as_posix()
    return [] if below == "." else [below]


def _changes(repository: Repository) -> tuple[list[_Change], int]:
    """What is not as it was committed, and how many private names are left out of that."""
    words = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=all", "--no-renames")
    found = []
    for entry in _split(repository.run("status", *words)):
        kind, rest = entry[:1], entry[2:]
        if kind == "1":
            states, path = rest[:2].replace(".", ""), rest.split(" ", 7)[-1]
            found.append(_Change(path, _STATES.get(states[-1:], "changed")))
        elif kind == "u":
            found.append(_Change(rest.split(" ", 9)[-1], "in conflict"))
        elif kind == "?":
            found.append(_Change(rest, "not in Git yet", known=False))
    opened = [change for change in found if repository.is_open(change.path)]
    return opened, len(found) - len(opened)


def _is_open(repository: Repository, path: str, *, on_disk: bool) -> bool:
    """Whether what a file holds may be shown; `on_disk`: as it is there, where it must have one name and be no link."""
    if not repository.is_open(path):
        return False
    if not on_disk:
        return True
    try:
        status = os.lstat(repository.folder / path)
    except OSError:
        return True  # it is gone
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _wanted(changes: Sequence[_Change], files: Iterable[str], repository: Repository) -> list[_Change]:
    named = [_inside(name, repository) for name in files if name.strip()]
    if not named:
        return list(changes)
    found = [one for one in changes if any(PurePosixPath(one.path).is_relative_to(name) for name in named)]
    missing = [name for name in named if not any(PurePosixPath(one.path).is_relative_to(name) for one in found)]
    if missing:
        raise NothingChanged(path=shown(missing[0]))
    return found


def _inside(name: str, repository: Repository) -> str:
    """A name from the workspace on, as one from the repository on; who names it so already is understood."""
    path = PurePosixPath(name.strip())
    return path.relative_to(repository.path).as_posix() if path.is_relative_to(repository.path) else path.as_posix()


def _stream(
    job: Job, repository: Repository, branch: str, message: str, tip: str | None, changes: Sequence[_Change]
) -> tuple[bytes, int, int]:
    """A commit as `git fast-import` takes it; how many files are in it, and how many could not be taken."""
    said = message.encode()
    head = f"commit refs/heads/{branch}\ncommitter {_AUTHOR} now\ndata {len(said)}\n".encode() + said + b"\n"
    parts = [b"feature done\n" + head + (f"from {tip}\n".encode() if tip else b"")]
    taken = left = size = 0
    for change in changes[:_MOST_FILES]:
        try:
            part = _part(job, repository, change)
        except UserError:
            left += 1
            continue
        size += len(part)
        if size > _MOST_BYTES:
            raise RepositoryStrange(path=_name(repository), why="its changes are too large for one commit")
        parts.append(part)
        taken += 1
    parts.append(b"done\n")
    return b"".join(parts), taken, left + len(changes[_MOST_FILES:])


def _part(job: Job, repository: Repository, change: _Change) -> bytes:
    quoted = b'"' + change.path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    if change.what == "gone":
        return b"D " + quoted + b"\n"
    path = (PurePosixPath(repository.path) / change.path).as_posix()
    with job.workspace.open(path) as file:
        mode = b"100755" if os.fstat(file.fileno()).st_mode & stat.S_IXUSR else b"100644"
        content = file.read(_MOST_BYTES + 1)
    return b"M " + mode + b" inline " + quoted + b"\ndata " + str(len(content)).encode() + b"\n" + content + b"\n"
