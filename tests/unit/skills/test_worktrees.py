"""A worktree: a copy of a folder, changed on a branch of its own; what comes of it is a file that `git apply` takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from adapters.skills import fork
from adapters.skills.errors import (
    FileClosed,
    FileMissing,
    ForkTooLarge,
    NameUnusable,
    OutsideWorkspace,
    SkillTimeout,
)
from adapters.skills.limits import Limits
from adapters.skills.runner import SkillRunner
from adapters.skills.worktrees import Worktrees
from core.agent.skill import Match
from core.agent.worktree import DIFF
from tests.project import everything, git
from tests.unit.skills.conftest import CANARY

if TYPE_CHECKING:
    from pathlib import Path

    from core.errors import HubError


@pytest.fixture
def shop(root: Path) -> Path:
    shop = root / "shop"
    (shop / "tests").mkdir(parents=True)
    (shop / "cart.py").write_text("total = 1\n")
    (shop / "run").write_text("#!/bin/sh\n")
    (shop / "run").chmod(0o755)
    (shop / "old.py").write_text("old = 1\n")
    (shop / "tests/test_cart.py").write_text("def test(): pass\n")
    (shop / 'ü "x".txt').write_bytes(b"a\r\nb\r\n")
    (shop / "picture.png").write_bytes(bytes(range(256)))
    (shop / ".env").write_text(CANARY)
    (shop / "link.md").symlink_to(root / "outside.md")
    return shop


@pytest.fixture
def worktrees(root: Path, tmp_path: Path) -> Worktrees:
    scratch = tmp_path / "data/scratch"
    return Worktrees(SkillRunner(root, [root / "data"], scratch=scratch), scratch)


@pytest.mark.long
async def test_what_is_changed_in_a_copy_is_a_file_that_git_applies(
    worktrees: Worktrees, shop: Path, tmp_path: Path
) -> None:
    before = everything(shop)
    async with worktrees.open("shop", "forge/T-1") as tree:
        assert set(everything(tree.folder)) == {
            "cart.py", "run", "old.py", "tests/test_cart.py", 'ü "x".txt', "picture.png",
        }  # fmt: skip
        assert CANARY not in str(everything(tree.folder))
        assert (await tree.diff()).diff is None
        await tree.change("cart.py", "edit", old="total = 1", new="total = 2")
        await tree.change("new/deep.py", "new", content="new = 1\n")
        await tree.change("old.py", "remove")
        assert await tree.commit("Totals") == "Committed: 3 files changed, 2 insertions(+), 2 deletions(-)."
        assert await tree.commit("Again") == "Nothing has changed."
        (tree.folder / "picture.png").write_bytes(bytes(range(255, -1, -1)))
        (tree.folder / 'ü "x".txt').write_bytes(b"a\r\nc\r\n")
        change = await tree.diff()
        assert change.words.startswith("5 files changed, 3 insertions(+), 3 deletions(-): ")
        assert change.files == ("cart.py", "new/deep.py", "old.py", "picture.png", 'ü "x".txt')
        assert change.diff is not None
        assert change.diff.name == DIFF
        assert everything(shop) == before, "people's own files are not touched"
        git(shop, "apply", str(change.diff))
        assert everything(tree.folder) == {
            name: content for name, content in everything(shop).items() if name not in {".env", "link.md"}
        }
    assert os.access(shop / "run", os.X_OK)
    assert list((tmp_path / "data/scratch").iterdir()) == []


@pytest.mark.long
async def test_it_is_read_and_searched_as_the_workspace_is(worktrees: Worktrees, shop: Path, tmp_path: Path) -> None:
    async with worktrees.open("shop", "fix") as tree:
        for number, (skill, subject, options, words) in enumerate((
            ("listing", "", (), "cart.py (10 bytes)"),
            ("reading", "cart.py", (), "total = 1"),
            ("grep", "total", (), "cart.py:1: total = 1"),
        )):  # fmt: skip
            out = tmp_path / f"out-{number}"
            out.mkdir()
            assert words in (await tree.skills.run(Match(skill, subject, 1.0, options), out)).text


@pytest.mark.parametrize(
    ("folder", "branch", "error"),
    [
        ("../outside", "fix", OutsideWorkspace),
        ("venv", "fix", FileClosed),
        ("nowhere", "fix", FileMissing),
        ("shop", "a..b", NameUnusable),
        ("shop", "-x y", NameUnusable),
        ("shop", "a\nb", NameUnusable),
    ],
)
@pytest.mark.long
async def test_what_cannot_be_copied_leaves_nothing(
    worktrees: Worktrees, shop: Path, tmp_path: Path, folder: str, branch: str, error: type[HubError]
) -> None:
    with pytest.raises(error):
        async with worktrees.open(folder, branch):
            pass
    assert list((tmp_path / "data/scratch").iterdir()) == []


@pytest.mark.parametrize("path", ["../cart.py", "/etc/passwd", ".git/config", "link", ".env", "cart.p", "tests"])
@pytest.mark.long
async def test_nothing_beside_its_open_files_is_written_or_removed(
    worktrees: Worktrees, shop: Path, tmp_path: Path, path: str
) -> None:
    async with worktrees.open("shop", "fix") as tree:
        (tree.folder / "link").symlink_to(tmp_path / "outside/secret-plan.md")
        before = everything(tmp_path / "outside")
        for how in ("remove", "edit"):
            with pytest.raises(Exception) as refused:  # noqa: PT011 - of many kinds, all of them named
                await tree.change(path, how, old="total", new="x", content="x")
            assert CANARY not in str(refused.value)
        assert everything(tmp_path / "outside") == before
        assert (tree.folder / "cart.py").exists()
        assert (await tree.diff()).files == ()


@pytest.mark.long
async def test_what_is_planted_in_it_starts_nothing(worktrees: Worktrees, shop: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    async with worktrees.open("shop", "fix") as tree:
        for place in (tree.folder, tree.folder / "tests"):
            git(place, "init", "--quiet")
            (place / ".git/config").write_text(
                f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {tmp_path}\n[diff]\n\texternal = {trap}\n"
                f'[filter "evil"]\n\tclean = {trap}\n[diff "evil"]\n\ttextconv = {trap}\n\tcommand = {trap}\n'
            )
            (place / ".gitattributes").write_text("* filter=evil diff=evil\n")
        (tree.folder / "out").symlink_to(tmp_path / "outside")
        await tree.change("cart.py", "replace", content="total = 3\n")
        await tree.commit("Three")
        change = await tree.diff()
        assert change.files == ("cart.py",)
        assert not (tmp_path / "sprung").exists()


@pytest.mark.long
async def test_a_folder_that_is_too_large_is_refused(
    worktrees: Worktrees, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (shop / f"large-{number}.bin").write_bytes(b"x" * (fork.MOST_BYTES // 4))
    with pytest.raises(ForkTooLarge, match="shop is too large"):
        async with worktrees.open("shop", "fix"):
            pass
    assert list((tmp_path / "data/scratch").iterdir()) == []


@pytest.mark.long
async def test_a_copy_that_takes_too_long_leaves_nothing(root: Path, shop: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "data/scratch"
    slow = Worktrees(SkillRunner(root, scratch=scratch, limits=Limits(wall_seconds=0.01)), scratch)
    with pytest.raises(SkillTimeout):
        async with slow.open("shop", "fix"):
            pass
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["shop/cart.py"], "shop"),
        (["shop/tests/test_cart.py"], "shop"),
        (["shop"], "shop"),
        (["cart.py"], "shop"),
        (["lost/x.py", "shop/new.py"], "shop"),
        (["app/src/deep/a.py"], "app"),
        (["app/web/b.js"], "app/web"),
        (["plain/deep/c.py"], "plain"),
        (["plain/deep"], "plain"),
        (["cart"], ""),
        (["../outside"], ""),
        (["venv/x.py"], ""),
        (["link.py"], ""),
        (["lost/x.py"], ""),
        (["alone.py"], "."),
    ],
)
@pytest.mark.long
async def test_a_project_is_found_by_what_lies_in_it(tmp_path: Path, names: list[str], folder: str) -> None:
    root, scratch = tmp_path / "own", tmp_path / "data/scratch"
    for name in (
        "shop/cart.py", "shop/tests/test_cart.py", "shop/pyproject.toml", "app/.git/HEAD", "app/src/deep/a.py", "app/src/setup.py",
        "app/web/.git/HEAD", "app/web/b.js", "plain/deep/c.py", "alone.py", "venv/x.py", "venv/pyvenv.cfg", "../outside/plan.py",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "link.py").symlink_to(tmp_path / "outside/plan.py")
    assert await Worktrees(SkillRunner(root, scratch=scratch), scratch).project(names) == folder
    assert list(scratch.iterdir()) == []
