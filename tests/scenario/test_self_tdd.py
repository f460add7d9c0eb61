"""`self-tdd watch` as a shell sees it: real processes on a project of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.program import ROOT
from tests.scenario.bot import hub

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 30


@dataclass
class Watcher:
    process: Process
    folder: Path

    async def says(self) -> str:
        """The next line without its time of day; of those that follow it, as of a list of tests, each is a line of its own."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = (await self.process.stdout.readline()).decode()
        return line if line.startswith(" ") else line.partition(" ")[2].rstrip("\n")

    async def ends(self, number: signal.Signals) -> tuple[int, float]:
        """End it; its exit code, and the seconds that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait(), loop.time() - began


def environment(folder: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("TIMMY_", "OLLAMA_", "PYTEST_"))}
    return own | {"TIMMY_DATA_DIR": str(folder / "data"), "TZ": "UTC"}


@asynccontextmanager
async def watching(folder: Path, *words: str) -> AsyncIterator[Watcher]:
    project = folder / "shop"
    project.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.tdd", "watch", "--path", str(project), *words, cwd=ROOT, env=environment(folder),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Watcher(process, project)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def refused(folder: Path, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.tdd", *words, cwd=folder, env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_it_speaks_on_red_and_on_green_again_and_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/broken").touch()
    async with watching(tmp_path, "--command", "test -e works", "--interval", "0") as watcher:
        assert await watcher.says() == f"watching {watcher.folder}: test -e works"
        assert (await watcher.says()).startswith("red: test -e works failed in ")
        (watcher.folder / "broken").rename(watcher.folder / "works")
        said = await watcher.says()
        assert said.startswith("green again: test -e works in ")
        assert said.endswith(", after a change to broken, works")
        (watcher.folder / "works").rename(watcher.folder / "broken")
        assert (await watcher.says()).startswith("red: test -e works failed in ")
        code, seconds = await watcher.ends(signal.SIGTERM)
        assert code == 0
        assert seconds < PATIENCE  # a second on a machine that does nothing else


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.long
async def test_it_leaves_no_process_whatever_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "shop/hangs").write_text(
        "#!/bin/sh\nexec 9>../fifo\ntrap '' INT TERM HUP\nsetsid sleep 1000 &\nsleep 1000 &\necho begun >&9\nsleep 1000\n"
    )
    (tmp_path / "shop/hangs").chmod(0o755)
    async with watching(tmp_path, "--command", "./hangs") as watcher:
        held = await asyncio.to_thread((tmp_path / "fifo").open, "rb")
        assert await asyncio.to_thread(held.readline) == b"begun\n"
        code, seconds = await watcher.ends(number)
        assert code == (-9 if number == signal.SIGKILL else 0)
        assert seconds < PATIENCE  # a second on a machine that does nothing else
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.to_thread(held.read) == b"", "whoever held it is gone"
        held.close()


@pytest.mark.long
async def test_a_python_project_from_its_first_test_to_its_end(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    cart = project / "test_cart.py"
    cart.write_text("def test_total(): assert 1 == 1\n")
    async with watching(tmp_path, "--command", f"{sys.executable} -m pytest -q") as watcher:
        assert (await watcher.says()).endswith(" -m pytest -q")
        cart.write_text("def test_total(): assert 1 == 2\n")
        assert (await watcher.says()).startswith("red: 1 of 1 test fails in ")
        assert await watcher.says() == "  test_cart.py::test_total: assert 1 == 2\n"
        cart.write_text("import nowhere\n")
        assert (await watcher.says()).startswith("red: 1 of 1 test fails in ")
        assert await watcher.says() == "  test_cart.py: ModuleNotFoundError: No module named 'nowhere'\n"
        cart.unlink()
        assert await watcher.says() == f"cannot be tested: no tests were found in {project}"
        (project / "conftest.py").write_text("def (:\n")
        assert "conftest.py': SyntaxError: invalid syntax" in await watcher.says()
        project.rename(tmp_path / "elsewhere")
        assert await watcher.says() == f"cannot be tested: the folder {project} is gone"
        (tmp_path / "elsewhere/conftest.py").unlink()
        (tmp_path / "elsewhere/test_cart.py").write_text("def test_total(): pass\n")
        (tmp_path / "elsewhere").rename(project)
        assert (await watcher.says()).startswith("green again: 1 test in ")


@pytest.mark.long
async def test_a_test_that_writes_into_the_project_does_not_run_it_for_ever(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/writes").write_text("#!/bin/sh\ndate +%s%N > out-$(date +%s%N)\n")
    (tmp_path / "shop/writes").chmod(0o755)
    async with watching(tmp_path, "--command", "./writes", "--interval", "0") as watcher:
        await watcher.says()
        assert (await watcher.says()).startswith("the tests write into the project (out-")
        assert len(list(watcher.folder.glob("out-*"))) < 10
        (watcher.folder / "writes").write_text("#!/bin/sh\nexit 1\n")
        assert (await watcher.says()).startswith("red: ./writes failed in ")


@pytest.mark.long
async def test_a_chat_is_told_by_a_hub_that_comes_later(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    async with watching(tmp_path, "--command", "test -e works", "--notify", "owner") as watcher:
        assert (await watcher.says()).startswith("owner is told once the hub is there. There is no ")
        await watcher.says()
        assert (await watcher.says()).startswith("red: ")
        async with hub(tmp_path) as bot:
            said = await bot.until(kind="more")
            assert said["text"].startswith("shop: red: test -e works failed in ")
            (watcher.folder / "works").touch()
            assert (await bot.until(kind="more"))["text"].startswith("shop: green again: ")


@pytest.mark.long
async def test_what_cannot_be_watched_is_one_line_and_a_code(tmp_path: Path) -> None:
    for words, code, says in (
        (("watch", "--path", "nowhere"), 1, "nowhere is no folder that can be read: No such file or directory."),
        (("watch",), 1, "Nothing in "),
        (("watch", "--command", "no-such-program -x"), 1, "no-such-program is not installed"),
        (("watch", "--command", "a 'b"), 2, "No closing quotation"),
        (("watch", "--command", " "), 2, "it is empty"),
        (("watch", "--interval", "-1"), 2, "-1"),
        (("watch", "--notify", "somebody"), 2, "it is owner, telegram:12345, matrix:!room:example.org or the like"),
    ):
        found, said = await refused(tmp_path, *words)
        assert (found, said.count("\n")) == (code, 1), said
        assert says in said


@pytest.mark.long
async def test_a_hub_that_does_not_know_the_chat_ends_it(tmp_path: Path) -> None:
    async with hub(tmp_path):
        code, said = await refused(tmp_path, "watch", "--command", "true", "--notify", "telegram:5")
    assert code == 1
    assert said.startswith("self-tdd: telegram:5 is not told: This hub talks in no chat 'telegram:5'.")
