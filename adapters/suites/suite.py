"""Runs a project's test suite in processes of its own, of which nothing stays behind, and says how that ended."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.suites.command import is_pytest
from adapters.suites.report import read
from core.automation.verdict import Ran

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping, Sequence

    from core.ports import Clock

_IMPORTABLE = str(Path(__file__).resolve().parents[2])  # the folder that holds the package `adapters`
_TAIL_BYTES = 16_384
_END_SECONDS = 0.7
"""How long the minder may take to end what it started; GRACE_SECONDS of that are the tests'."""

_USAGE, _NO_TESTS = 4, 5  # pytest.ExitCode
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FULL = os.strerror(errno.ENOSPC)


class Suite:
    """One project's. `seconds`: how long a run may take, 0: however long.

    Variables of the hub (TIMMY_…) hold secrets, and no test sees them.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], clock: Clock, *, seconds: float = 0, environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._command = list(command)
        self._clock = clock
        self._seconds = seconds
        self._environment = {key: value for key, value in environment.items() if not key.startswith("TIMMY_")}
        self.name = shlex.join(command)

    async def run(self) -> Ran:
        """Run it to its end. Cancelled, it has ended by the time this returns."""
        began = self._clock.steady()
        suite = await self._run()
        return suite._replace(seconds=(self._clock.steady() - began) / 1000)

    async def _run(self) -> Ran:
        try:
            await asyncio.to_thread(os.listdir, self._folder)
            async with _scratch() as scratch:
                return await self._reported(scratch / "report.xml")
        except OSError as error:
            return self._trouble(_words(error, self._folder))

    def _trouble(self, why: str) -> Ran:
        return Ran(self.name, 0, trouble=why)

    async def _reported(self, report: Path) -> Ran:
        try:
            async with asyncio.timeout(self._seconds or None):
                answer, tail = await self._ended(report)
        except TimeoutError:
            return self._trouble(f"the tests were not over after {self._seconds:g} s, and were ended (--timeout)")
        if (number := answer.get("errno")) is not None:
            if answer.get("what") == "folder":
                return self._trouble(_words(OSError(number, os.strerror(number)), self._folder))
            return self._trouble(f"{self._command[0]} cannot be started: {os.strerror(number)}")
        status = answer.get("status")
        if not isinstance(status, int):
            return self._trouble("the run was cut off: something ended its processes")
        return await self._judged(status, tail, report)

    async def _judged(self, status: int, tail: list[str], report: Path) -> Ran:
        found = await asyncio.to_thread(read, report, self._folder)
        if status and not (found and found.failed) and (why := self._broken(status, tail, whole=found is not None)):
            return self._trouble(why)
        suite = Ran(self.name, 0, ok=status == 0, tests=found.tests if found else None, tail=tail)
        return suite._replace(failed=found.failed) if status and found and found.failed else suite

    def _broken(self, status: int, tail: list[str], *, whole: bool) -> str:
        """Why a run that failed says nothing about the tests; empty where it does. `whole`: there is a report."""
        if any(_FULL in line for line in tail):
            return f"the disk is full ({_FULL})"
        if status < 0:
            return f"{self.name} was killed ({signal.Signals(-status).name})"
        if not is_pytest(self._command):
            return ""
        if status == _NO_TESTS:
            return f"no tests were found in {self._folder}"
        return f"{self.name} could not begin: {_complaint(tail)}" if status == _USAGE or not whole else ""

    async def _ended(self, report: Path) -> tuple[dict[str, Any], list[str]]:
        """Start it and wait; what the minder says of its end, and the last lines that were printed."""
        mine, its = socket.socketpair()
        with mine:
            try:
                minder = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-E", "-S", "-B", "-m", "adapters.suites.minder"),
                    stdin=its.fileno(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=_IMPORTABLE,
                    env=self._environment | self._asks_for(report), start_new_session=True,
                )  # fmt: skip
            finally:
                its.close()
            reader, writer = await asyncio.open_connection(sock=mine)
            job = {"command": self._reporting(report), "folder": str(self._folder)}
            tail = bytearray()
            try:
                writer.write(json.dumps(job).encode() + b"\n")
                answer, _ = await asyncio.gather(reader.readline(), _last(minder, tail))
            finally:
                writer.close()
                await _gone(minder)
        return _told(answer), _lines(bytes(tail))

    def _reporting(self, report: Path) -> list[str]:
        """The command, asked for a report if it is pytest; whoever asked for another themselves gets that."""
        if place := is_pytest(self._command):
            return [*self._command[:place], f"--junitxml={report}", *self._command[place:]]
        return self._command

    def _asks_for(self, report: Path) -> dict[str, str]:
        """The same for a pytest that is started by something else, such as make."""
        if is_pytest(self._command):
            return {}
        given = self._environment.get("PYTEST_ADDOPTS", "")
        return {"PYTEST_ADDOPTS": f"{given} --junitxml={shlex.quote(str(report))}".strip()}


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="self-tdd-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _last(minder: Process, tail: bytearray) -> None:
    """Read all that is printed, and keep the end of it."""
    assert minder.stdout is not None  # noqa: S101 - it is a pipe, as asked for above
    while piece := await minder.stdout.read(65_536):
        tail += piece
        del tail[:-_TAIL_BYTES]


async def _gone(minder: Process) -> None:
    """Wait for the end of a minder that was hung up on; it ends all that it started first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await minder.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(minder.pid, signal.SIGKILL)
    minder._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - what was left behind may hold its pipes open
    await minder.wait()


def _told(answer: bytes) -> dict[str, Any]:
    found = json.loads(answer) if answer.endswith(b"\n") else {}
    return found if isinstance(found, dict) else {}


def _lines(tail: bytes) -> list[str]:
    return [line for line in _ESCAPES.sub("", tail.decode(errors="replace")).splitlines() if line.strip()][-20:]


def _complaint(tail: Sequence[str]) -> str:
    """Why pytest did not begin: what went wrong in a conftest, else the last that it said."""
    where = next((line for line in tail if line.startswith("ImportError while loading conftest")), "")
    marked = [line[1:].strip() for line in tail if line.startswith("E ")]
    said = next((line for line in tail if line.startswith("ERROR: ")), "")
    why = marked[-1] if marked else said.removeprefix("ERROR: ") or (tail[-1] if tail else "it said nothing")
    return f"{where.removeprefix('ImportError while loading ').rstrip('.')}: {why}" if where else why


def _words(error: OSError, folder: Path) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"the folder {folder} is gone"
    if isinstance(error, PermissionError):
        return f"the folder {folder} may not be read"
    if error.errno == errno.ENOSPC:
        return f"the disk is full ({_FULL})"
    return f"{folder}: {error.strerror or error}"
