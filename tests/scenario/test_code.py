"""Code in a whole hub: Forge hands over a change of it, and the agent commits to a branch once its person has agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config import personas
from tests.ollama_server import Calls, OllamaServer
from tests.project import git
from tests.scenario.bot import hub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("qwen3:8b") as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository in the workspace of a hub that is still to begin."""
    shop = settings(tmp_path).workspace / "shop"
    shop.mkdir(parents=True)
    (shop / "cart.py").write_text("def total(a, b):\n    return a - b\n")
    git(shop, "init", "--quiet", "--initial-branch=main")
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "-m", "First")
    return shop


@pytest.mark.long
async def test_forge_changes_code_in_a_copy_and_is_paid_for_a_file_that_git_applies(
    tmp_path: Path, server: OllamaServer, shop: Path
) -> None:
    forge = [one for one in personas.load() if one.name == "forge"]
    edit = {"path": "cart.py", "old": "a - b", "new": "a + b"}
    async with hub(tmp_path, ollama=server.url, personas=forge, worker=None) as bot:
        server.says(Calls("read_file", {"path": "shop/cart.py"}))
        server.says(Calls("change_code", {"folder": "shop", "changes": [edit], "tests": "python3 -m unittest"}))
        server.says("total adds now. Its tests were not run.\nLimits: numbers only.")
        await bot.say("/task fix the bug in the function total of our cart code max=150")
        told = await bot.settled("T-1")
        assert "total adds now." in told["text"]
        (file,) = told["files"]
        assert file["name"] == "change.diff"
        result = server.results[-1]
        assert "1 file changed, 1 insertion(+), 1 deletion(-): cart.py." in result
        assert "The tests were not run: they run in a container or not at all, and " in result
        assert git(shop, "status", "--porcelain") == "", "people's own is not touched"
        git(shop, "apply", file["path"])
        assert (shop / "cart.py").read_text() == "def total(a, b):\n    return a + b\n"
        assert not list((bot.app.settings.data_dir / "scratch").glob("*"))


@pytest.mark.long
async def test_a_commit_is_made_once_its_person_has_read_it_and_agreed(
    tmp_path: Path, server: OllamaServer, shop: Path
) -> None:
    (shop / "cart.py").write_text("def total(a, b):\n    return a + b\n")
    async with hub(tmp_path, ollama=server.url) as bot:
        given = {"branch": "fix-total", "message": "Totals add", "files": ["cart.py"], "folder": "shop"}
        server.says(Calls("git_commit", given))
        server.says("I asked you.")
        await bot.say("/ask Commit my change of shop/cart.py with git to the branch fix-total")
        await bot.until(text="The agent wants to commit cart.py to branch fix-total of shop:\n+ Totals add")
        assert git(shop, "branch", "--format=%(refname:short)") == "main"
        server.says("It is committed.")
        await bot.say("/approve A-1")
        await bot.until(text="It is committed.")
        assert git(shop, "log", "--format=%s", "fix-total").splitlines() == ["Totals add", "First"]
        assert git(shop, "branch", "--show-current") == "main"
