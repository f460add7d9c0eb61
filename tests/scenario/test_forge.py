"""Forge changes code: a whole hub, a scripted model, a repository in the workspace, and a Docker that runs what it is sent."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from config import personas
from tests.docker_server import DockerServer
from tests.ollama_server import Calls, OllamaServer
from tests.scenario.bot import hub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from config.settings import Settings
    from tests.docker_server import Box
    from tests.scenario.bot import Bot

FORGE = tuple(one for one in personas.load() if one.name == "forge")
TASK = "/task fix the bug in shop/price.py so that its tests pass max=200"
WRONG = "def price(net, tax):\n    return net + tax\n"
TEST = "from price import price\n\n\ndef test_price():\n    assert price(100, 0.2) == 120\n\n\nif __name__ == '__main__':\n"
TEST += "    test_price()\n"
LOOKS = (Calls("list_files", {}), Calls("read_file", {"path": "shop/price.py"}))
MENDS = Calls("edit_file", {"path": "shop/price.py", "old": "net + tax", "new": "net * (1 + tax)"})
SAYS = "price() took the tax for an amount; it is a rate now.\nLimits: no rounding."


def git(at: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=at, check=True, capture_output=True, text=True).stdout


def passes(folder: Path) -> bool:
    return (
        subprocess.run([sys.executable, "test_price.py"], cwd=folder, capture_output=True, check=False).returncode == 0
    )


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def repository(found: Settings) -> Path:
    shop = found.workspace / "shop"
    shop.mkdir(parents=True)
    (shop / "price.py").write_text(WRONG)
    (shop / "test_price.py").write_text(TEST)
    git(shop, "init", "--quiet")
    git(shop, "add", ".")
    git(shop, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    return shop


class Docker(DockerServer):
    """Runs the one test of what it is sent."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place
        self.commands: list[list[str]] = []
        self.does = self._does

    def _does(self, box: Box, sent: bytes) -> tuple[int, bytes, bytes]:
        self.commands.append(json.loads(box.body["Cmd"][0])["command"])
        folder = self.place / str(len(self.commands))
        with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
            archive.extractall(folder, filter="data")
        return (
            (0, b"", b".\n1 passed in 0.01s\n")
            if passes(folder)
            else (1, b"", b"F\nassert 100.2 == 120\n1 failed in 0.01s\n")
        )


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("qwen3:8b") as running:
        yield running


@asynccontextmanager
async def working(tmp_path: Path, server: OllamaServer, docker: DockerServer | None = None) -> AsyncIterator[Bot]:
    found = settings(tmp_path, ollama=server.url)
    url = f"unix://{tmp_path / 'd.sock'}"
    found = found.model_copy(update={"docker": found.docker.model_copy(update={"url": url, "image": "agents"})})
    repository(found)
    async with hub(tmp_path, found=found, worker=None, personas=FORGE) as bot:
        if docker is None:
            yield bot
        else:
            async with docker.serving(tmp_path / "d.sock"):
                yield bot


def left(bot: Bot) -> list[str]:
    scratch = bot.app.settings.data_dir / "scratch"
    return [one.name for one in scratch.iterdir()] if scratch.exists() else []


async def test_a_bug_is_mended_in_a_copy_tested_in_a_container_and_delivered_as_a_diff(
    tmp_path: Path, server: OllamaServer
) -> None:
    docker = Docker(tmp_path / "boxes")
    async with working(tmp_path, server, docker) as bot:
        shop = bot.app.settings.workspace / "shop"
        before = everything(shop)
        for call in (*LOOKS, Calls("run_tests", {}), MENDS, Calls("run_tests", {})):
            server.says(call)
        server.says(SAYS)
        await bot.say(TASK)
        told = await bot.settled("T-1")
        assert SAYS in told["text"]
        assert "1 file changed, 1 insertion(+), 1 deletion(-): price.py" in told["text"]
        assert "Tests: 1 passed, in a container." in told["text"]
        assert "in shop, `git apply change.diff`" in told["text"]
        results = [one["content"] for one in server.last["messages"] if one["role"] == "tool"]
        assert "Tests: 1 failed, in a container." in results[2]
        assert "Tests: 1 passed, in a container." in results[4]
        assert docker.commands == [["python3", "-m", "pytest", "-q"]] * 2, "what was tested already is not tested again"
        assert docker.boxes == {}
        assert everything(shop) == before
        assert left(bot) == []
        (diff,) = told["files"]
        assert not passes(shop)
        git(shop, "apply", diff["path"])
        assert passes(shop)
        assert git(shop, "status", "--short") == " M price.py\n"
