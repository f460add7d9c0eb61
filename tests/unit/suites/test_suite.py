"""A suite is run in processes of which nothing stays behind, whatever they do."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import running
from adapters.suites.suite import Suite
from tests.depth import first
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.automation.verdict import Ran

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SPREADS = """
trap '' INT TERM
exec 9>{fifo}
setsid sleep 1000 &
(trap '' HUP; sleep 1000) &
echo begun >&9
{then}
"""


def suite(folder: Path, *command: str, seconds: float = 20, **environment: str) -> Suite:
    return Suite(folder, command, FakeClock(), seconds=seconds, environment=ENVIRONMENT | environment)


async def ran(folder: Path, script: str, **environment: str) -> Ran:
    return await suite(folder, "sh", "-c", script, seconds=20, **environment).run()


@asynccontextmanager
async def alive(fifo: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What is written into a pipe, which ends once every process that holds it is gone."""
    os.mkfifo(fifo)
    reader = asyncio.StreamReader()
    file = os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    async with asyncio.timeout(20):
        yield reader
    transport.close()


async def test_green_and_red_without_names(tmp_path: Path) -> None:
    found = await ran(tmp_path, "echo fine")
    assert (found.ok, found.tests, found.trouble) == (True, None, "")
    found = await ran(tmp_path, "printf '\\033[31mone\\033[0m\\n\\n'; echo two >&2; exit 3")
    assert (found.ok, found.failed, found.tail, found.trouble) == (False, None, ["one", "two"], "")


async def test_tests_see_no_secret_of_the_hub_and_no_socket(tmp_path: Path) -> None:
    await ran(tmp_path, "env > seen; ls -l /dev/fd/ > open; cat", TIMMY_TELEGRAM_TOKEN="canary", OTHER="kept")
    seen = (tmp_path / "seen").read_text()
    assert "OTHER=kept" in seen
    assert "canary" not in seen
    assert "socket" not in (tmp_path / "open").read_text()


@pytest.mark.long
async def test_what_printed_much_is_kept_by_its_end(tmp_path: Path) -> None:
    found = await ran(tmp_path, "yes | head -c 3000000; echo last; exit 1")
    assert len(found.tail) == 20
    assert found.tail[-2:] == ["y", "last"]


@pytest.mark.long
async def test_what_the_tests_left_running_ends_with_them(tmp_path: Path) -> None:
    async with alive(tmp_path / "fifo") as held:
        assert (await ran(tmp_path, SPREADS.format(fifo="fifo", then="exit 0"))).ok
        assert await held.read() == b"begun\n"


@pytest.mark.long
async def test_a_run_that_never_ends_is_ended(tmp_path: Path) -> None:
    async with alive(tmp_path / "fifo") as held:
        script = SPREADS.format(fifo="fifo", then="while :; do sleep 100; done")
        found = await suite(tmp_path, "sh", "-c", script, seconds=0.3).run()
        assert found.trouble == "the tests were not over after 0.3 s, and were ended (--timeout)"
        assert await held.read() in {b"begun\n", b""}


async def test_a_run_that_is_broken_off_may_clean_up_and_is_gone_when_that_is_told(tmp_path: Path) -> None:
    async with alive(tmp_path / "fifo") as held:
        script = "exec 9>fifo; trap 'echo cleaned >&9; exit' INT; echo begun >&9; while :; do sleep 0.01; done"
        async with running(_cancelled(suite(tmp_path, "sh", "-c", script)), "a run") as task:
            assert await held.readline() == b"begun\n"
            task.cancel()
        assert await held.read() == b"cleaned\n"


async def _cancelled(tests: Suite) -> None:
    with pytest.raises(asyncio.CancelledError):
        await tests.run()


@pytest.mark.long
async def test_where_something_kills_the_processes_that_is_said(tmp_path: Path) -> None:
    assert (await ran(tmp_path, "kill -SEGV $$")).trouble.endswith(" was killed (SIGSEGV)")
    found = await ran(tmp_path, "kill -9 $PPID; sleep 0.1")
    assert found.trouble == "the run was cut off: something ended its processes"


@pytest.mark.long
async def test_a_folder_or_program_that_is_gone_is_said(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "check").write_text("#!/bin/sh\n")
    (project / "check").chmod(0o755)
    tests = suite(project, "./check")
    assert (await tests.run()).ok
    (project / "check").chmod(0o644)
    assert (await tests.run()).trouble == "./check cannot be started: Permission denied"
    (project / "check").unlink()
    assert (await tests.run()).trouble == "./check cannot be started: No such file or directory"
    shutil.rmtree(project)
    assert (await tests.run()).trouble == f"the folder {project} is gone"
    project.touch()
    assert (await tests.run()).trouble == f"the folder {project} is gone"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "the folder {} may not be read"),
        (errno.ENOSPC, "the disk is full (No space left on device)"),
        (errno.EIO, "{}: Input/output error"),
    ],
)
async def test_what_the_system_refuses_is_said(
    number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert (await ran(tmp_path, "true")).trouble == words.format(tmp_path)


@pytest.mark.long
async def test_a_full_disk_is_told_from_red(tmp_path: Path) -> None:
    script = "echo 'OSError: [Errno 28] No space left on device'; exit 1"
    assert (await ran(tmp_path, script)).trouble == "the disk is full (No space left on device)"


def as_pytest(folder: Path, script: str) -> Suite:
    """A command that is taken for pytest; the report's place is in $1."""
    (folder / "pytest").write_text(f"#!/bin/sh\nreport=${{1#--junitxml=}}\n{script}\n")
    (folder / "pytest").chmod(0o755)
    return suite(folder, "./pytest", "-q")


ONE_FAILED = (
    '<t><testcase classname="t" name="a"/><testcase classname="t" name="b"><failure message="no"/></testcase></t>'
)


async def test_pytest_is_asked_for_a_report_by_an_argument(tmp_path: Path) -> None:
    found = await as_pytest(tmp_path, f"echo '{ONE_FAILED}' > $report; [ $2 = -q ] && exit 1").run()
    assert (found.ok, found.tests, found.failed) == (False, 2, {"t::b": "no"})
    found = await as_pytest(tmp_path, "echo '<t><testcase name=\"a\"/></t>' > $report").run()
    assert (found.ok, found.tests) == (True, 1)


@pytest.mark.long
async def test_pytest_beneath_something_else_is_asked_by_its_environment(tmp_path: Path) -> None:
    script = f"for word in $PYTEST_ADDOPTS; do last=$word; done; echo '{ONE_FAILED}' > ${{last#--junitxml=}}; exit 2"
    found = await ran(tmp_path, script, PYTEST_ADDOPTS="-x")
    assert found.failed == {"t::b": "no"}


@pytest.mark.long
async def test_a_command_that_fails_though_no_test_does_is_red_by_its_last_lines(tmp_path: Path) -> None:
    found = await as_pytest(tmp_path, "echo '<t><testcase name=\"a\"/></t>' > $report; echo under 90 %; exit 1").run()
    assert (found.ok, found.failed, found.tail, found.trouble) == (False, None, ["under 90 %"], "")


@pytest.mark.parametrize(
    ("script", "why"),
    first(
        1,
        [
            ("echo '<t></t>' > $report; exit 5", "no tests were found in {}"),
            ("echo '<t/>' > $report; echo ERROR: no file: x; echo; exit 4", "./pytest -q could not begin: no file: x"),
            (
                "echo \"ImportError while loading conftest '/p/conftest.py'.\"; echo 'E   SyntaxError: no'; exit 4",
                "./pytest -q could not begin: conftest '/p/conftest.py': SyntaxError: no",
            ),
            ("echo No module named pytest; exit 1", "./pytest -q could not begin: No module named pytest"),
            ("exit 1", "./pytest -q could not begin: it said nothing"),
        ],
    ),
)
async def test_where_pytest_tells_nothing_of_the_tests_why_is_said(script: str, why: str, tmp_path: Path) -> None:
    assert (await as_pytest(tmp_path, script).run()).trouble == why.format(tmp_path)


@pytest.mark.long
async def test_pytest_itself_is_understood(tmp_path: Path) -> None:
    tests = suite(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HOME=str(tmp_path))
    assert (await tests.run()).trouble == f"no tests were found in {tmp_path}"
    (tmp_path / "test_a.py").write_text("def test_a(): assert 1 == 2\nclass TestC:\n  def test_b(self, none): pass\n")
    (tmp_path / "test_b.py").write_text("import nowhere")
    found = await tests.run()
    assert found.failed is not None
    assert found.failed["test_b.py"] == "ModuleNotFoundError: No module named 'nowhere'"
    (tmp_path / "test_b.py").unlink()
    found = await tests.run()
    assert (found.tests, found.failed) == (
        2, {"test_a.py::test_a": "assert 1 == 2", "test_a.py::TestC::test_b": "fixture 'none' not found"}
    )  # fmt: skip
    (tmp_path / "conftest.py").write_text("def (:")
    assert (await tests.run()).trouble.endswith("conftest.py': SyntaxError: invalid syntax")
    (tmp_path / "conftest.py").unlink()
    (tmp_path / "test_a.py").write_text("def test_a(): pass")
    assert (await tests.run()).tests == 1
