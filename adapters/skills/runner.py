"""The skills of this machine as the hub sees them: matched in words, checked on disk, run in a limited child."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import stat
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from adapters.skills.catalogue import KNOWN, Takes, offered
from adapters.skills.closed import shown
from adapters.skills.errors import (
    SkillCrashed,
    SkillMemory,
    SkillMissing,
    SkillOutput,
    SkillTimeout,
)
from adapters.skills.faults import Case, Faults
from adapters.skills.kinds import Kind, kind_of
from adapters.skills.limits import Limits
from adapters.skills.wire import LOOK, Answer, Request
from core.agent.skill import Outcome
from core.errors import HubError, Unavailable, UserError
from core.store import DiskFull

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from core.agent.skill import Match

T = TypeVar("T")

log = logging.getLogger(__name__)

_IMPORTABLE = str(Path(__file__).resolve().parents[2])  # the folder that holds the package `adapters`
LOOK_SECONDS = 1.2
"""How long a child may take to look at a file before its persona bids anyway; an auction waits for its agents 2 s."""

_OPAQUE = frozenset({Kind.PDF, Kind.DOCX})
_LOGGED_BYTES = 8_000
_LOOK_SECONDS = 0.25
_BLOCK = 512  # what st_blocks counts, whatever the file system's own
_KILLED_FOR_TIME = -signal.SIGXCPU


class SkillRunner:
    """Implements `core.agent.skill.Skills` with one child process for each task.

    `workspace` is the folder skills read; `closed` are folders of the hub that stay closed wherever they lie (its
    data folder). `cache` may name a folder that children share for what is slow to find out anew (matplotlib's list
    of fonts); without it each child starts bare. `scratch` is where children write while they work (without it, the
    system's own place): somebody must sweep it after a kill. At most `max_children` run at once; others wait their turn.
    Those of `without` are not offered here.
    """

    def __init__(  # noqa: PLR0913 - all but one are there for tests or for the data folder
        self,
        workspace: Path,
        closed: Sequence[Path] = (),
        *,
        python: str = sys.executable,
        limits: Limits | None = None,
        max_children: int = 2,
        cache: Path | None = None,
        scratch: Path | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._workspace = workspace
        self._closed = tuple(closed)
        self._python = python
        self._limits = limits or Limits()
        self._turns = asyncio.Semaphore(max_children)
        self._looking = asyncio.Lock()
        self._faults = Faults()
        self._cache = cache
        self._scratch_root = scratch
        self._without = without

    def offered(self, skills: Sequence[str]) -> tuple[str, ...]:
        """Those of the named skills that may be used here and whose libraries are installed."""
        return offered(skills, self._without)

    def match(self, skills: Sequence[str], description: str) -> Match | None:
        """The best of the named skills for a task's words, or None."""
        from adapters.skills.words import best_match  # noqa: PLC0415 - for the first task

        return best_match(skills, description)

    async def check(self, match: Match) -> None:
        """Raise what is wrong with the subject of a match: by its look, by what is known, by a child's first look at it."""
        case = await asyncio.to_thread(self._case, match)
        if case is None:
            return
        self._faults.raise_for(case)
        if KNOWN[match.skill].takes is Takes.DOCUMENT and kind_of(case.path) in _OPAQUE:
            await self._look(case)

    async def run(self, match: Match, out: Path) -> Outcome:
        """Do the work in a child. Files are written into `out`, which must be an empty folder of this task alone."""
        if not self.offered([match.skill]):
            raise SkillMissing(skill=match.skill)
        case = None
        with suppress(HubError):  # the child says it itself
            case = await asyncio.to_thread(self._case, match)
        try:
            return await self._child(match, out)
        except UserError as error:
            if case is not None:
                self._faults.note(case, error)
            raise

    def _case(self, match: Match) -> Case | None:
        """What a match is about, if that is one file; raises what is wrong with it by its look."""
        from adapters.skills.check import check  # noqa: PLC0415 - as in `match`
        from adapters.skills.workspace import Workspace  # noqa: PLC0415

        workspace = Workspace(self._workspace, self._closed)
        path = check(workspace, match)
        return None if path is None else Case.of(workspace, match, path)

    async def _look(self, case: Case) -> None:
        """Let a child open the file; what it cannot tell in time will show when it is worked on."""
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(LOOK_SECONDS), self._looking:
                if case not in self._faults:  # else found meanwhile, for another agent
                    self._faults.note(case, await self._looked(case.match._replace(options=((LOOK, ""),))))
        self._faults.raise_for(case)

    async def _looked(self, match: Match) -> UserError | None:
        try:
            await self._child(match, None)
        except UserError as error:
            return error
        return None

    async def _child(self, match: Match, out: Path | None) -> Outcome:
        """What a child makes of a match; without `out` it has nothing to deliver."""
        async with self._turns, self._scratch() as scratch:
            data = await self._answer(match, out or scratch, scratch)
            return await asyncio.to_thread(self._outcome, match, data, out or scratch)

    async def _answer(self, match: Match, out: Path, scratch: Path) -> bytes:
        """Start a child, give it the request, read its answer; its whole group is gone when this returns or raises."""
        with (scratch / "stderr").open("wb") as complaints:
            child = await asyncio.create_subprocess_exec(
                # -B: a limit on file sizes may cut a .pyc short, which would break every later child
                *(self._python, "-B", "-P", "-s", "-X", "utf8", "-m", "adapters.skills.child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=complaints,
                cwd=scratch,
                env=self._environment(scratch),
                process_group=0,
            )
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                weigh = partial(self._weigh, match, (out, scratch))
                data = await self._talk(child, self._request(match, out), match, weigh)
                status = await _watched(child.wait, weigh)
        except TimeoutError:
            raise SkillTimeout(skill=match.skill, seconds=f"{self._limits.wall_seconds:g}") from None
        finally:
            await _end(child)
            await asyncio.to_thread(_log_complaints, match, scratch / "stderr")
        self._raise_for_status(match, status)
        return data

    async def _talk(self, child: Process, request: Request, match: Match, weigh: Callable[[], None]) -> bytes:
        assert child.stdin is not None  # noqa: S101 - both are pipes, as asked for above
        assert child.stdout is not None  # noqa: S101
        child.stdin.write(request.to_json())
        child.stdin.close()
        data = bytearray()
        while piece := await _watched(partial(child.stdout.read, 65_536), weigh):
            data += piece
            if len(data) > self._limits.text_bytes:
                raise SkillOutput(skill=match.skill, megabytes=self._limits.text_bytes / 10**6)
        return bytes(data)

    def _weigh(self, match: Match, folders: Sequence[Path]) -> None:
        """Raise `SkillOutput` if a child fills the disk with many files, each of them within its limit."""
        try:
            self._weigh_all(match, folders)
        except RecursionError:
            raise SkillOutput(skill=match.skill, megabytes=self._limits.written_bytes / 10**6) from None

    def _weigh_all(self, match: Match, folders: Sequence[Path]) -> None:
        files, size = 0, 0
        for folder, below, names in (found for top in folders for found in os.walk(top)):
            files += len(below) + len(names)
            for name in names:
                with suppress(OSError):  # it comes and goes
                    size += Path(folder, name).lstat().st_blocks * _BLOCK
            if files > self._limits.written_files or size > self._limits.written_bytes:
                raise SkillOutput(skill=match.skill, megabytes=self._limits.written_bytes / 10**6)

    def _request(self, match: Match, out: Path) -> Request:
        return Request(
            skill=match.skill,
            subject=match.subject,
            options=dict(match.options),
            workspace=str(self._workspace.absolute()),
            closed=[str(folder.absolute()) for folder in self._closed],
            out=str(out.absolute()),
            parent=os.getpid(),
            limits=self._limits,
        )

    def _environment(self, scratch: Path) -> dict[str, str]:
        """Nothing of the hub's own: its environment holds tokens."""
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "MPLCONFIGDIR": str((self._cache or scratch).absolute()),
            "MPLBACKEND": "agg",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": _IMPORTABLE,
        }

    def _raise_for_status(self, match: Match, status: int) -> None:
        if status == 0:
            return
        if status == _KILLED_FOR_TIME:
            raise SkillTimeout(skill=match.skill, seconds=f"{self._limits.cpu_seconds:g}")
        if status == -signal.SIGKILL:  # not by us, so by the system when memory ran out
            raise SkillMemory(skill=match.skill, megabytes=self._limits.memory_bytes // 10**6)
        raise SkillCrashed(skill=match.skill, subject=shown(match.subject) or "it")

    def _outcome(self, match: Match, data: bytes, out: Path) -> Outcome:
        """What a child answered, checked as the word of a stranger."""
        try:
            answer = Answer.from_json(data)
            error = answer.error_or_none()
        except ValueError:
            raise SkillCrashed(skill=match.skill, subject=shown(match.subject) or "it") from None
        if error is not None:
            raise error
        files = tuple(out / name for name in answer.files)
        if not all(_is_delivered(file, out) for file in files):
            raise SkillCrashed(skill=match.skill, subject=shown(match.subject) or "it")
        if sum(file.stat().st_size for file in files) > self._limits.delivered_bytes:
            raise SkillOutput(skill=match.skill, megabytes=self._limits.delivered_bytes // 10**6)
        return Outcome(answer.text, files)

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        """A folder for one child alone."""
        folder = await asyncio.to_thread(_new_folder, self._scratch_root)
        try:
            yield folder
        finally:
            await asyncio.to_thread(_removed, folder)


def _removed(folder: Path) -> None:
    with suppress(RecursionError):  # nested on purpose; whoever sweeps `scratch` has to be prepared for it
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(root: Path | None) -> Path:
    try:
        if root is not None:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="timmy-skill-", dir=root)).absolute()
    except OSError as error:
        raise DiskFull(why=error.strerror) from error


async def _watched(step: Callable[[], Awaitable[T]], look: Callable[[], None]) -> T:
    """Wait for a step of the child, looking now and then; what the look raises ends it."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                return await step()
        await asyncio.to_thread(look)


async def _end(child: Process) -> None:
    """Kill a child with its whole group, if it is not gone, and reap it."""
    # Also after an orderly end: what a child may have left behind keeps its group's number from being given again.
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; on macOS, none but the unreaped
        os.killpg(child.pid, signal.SIGKILL)
    # asyncio says that it is gone only once its pipes ended, which another that it started may hold open.
    child._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way
    await child.wait()


def _log_complaints(match: Match, complaints: Path) -> None:
    with complaints.open("rb") as file:
        file.seek(max(0, complaints.stat().st_size - _LOGGED_BYTES))
        if said := file.read().decode(errors="replace").strip():
            log.debug("the child of %s said: %s", match.skill, said)


def _is_delivered(file: Path, out: Path) -> bool:
    """Whether a name that a child reported is a plain file directly in the out folder."""
    if file.parent != out or file.name in {"", ".", ".."} or not file.name.isprintable():
        return False
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False
