"""What counts as a change in a project, and what does not."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from watchfiles import Change
from watchfiles._rust_notify import WatchfilesRustInternalError

from adapters.clockwork import SystemClock
from adapters.folder import is_data
from adapters.suites import changes as module
from adapters.suites.changes import NotWatched, changes
from tests.project import git

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[AsyncIterator[dict[str, int | None]]]:
    stop = asyncio.Event()
    batches = changes(folder, SystemClock(), stop)
    async with asyncio.timeout(20):
        assert await anext(batches) == {}
        yield batches
        stop.set()
        async for _ in batches:
            pass


async def seen(folder: Path, *batch: tuple[Change, str]) -> frozenset[str]:
    for change, name in batch:
        if change is Change.modified and "sed" not in name and name and not name.startswith(".."):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    names = module._lasting(folder, {(change, str(folder / name)) for change, name in batch}, is_data)
    return await module._kept(folder, names)


async def test_a_burst_of_changes_is_one_batch(tmp_path: Path) -> None:
    async with watched(tmp_path) as batches:
        batch = asyncio.ensure_future(anext(batches))  # noqa: TID251 - it waits for what this test does next
        await asyncio.to_thread(lambda: None)
        for name in ("a.py", "b.py"):
            (tmp_path / name).write_text("x")
        (tmp_path / ".git").mkdir()
        found = await batch
        assert set(found) == {"a.py", "b.py"}
        assert all(age is not None and 0 <= age < 5000 for age in found.values())


@pytest.mark.long
async def test_they_end_once_the_folder_is_gone_or_another(tmp_path: Path) -> None:
    for replaced in (False, True):
        folder = tmp_path / "project"
        folder.mkdir()
        async with watched(folder) as batches:
            rest = asyncio.ensure_future(_all(batches))  # noqa: TID251 - as above
            await asyncio.to_thread(lambda: None)
            folder.rename(tmp_path / f"moved-{replaced}")
            if replaced:
                folder.mkdir()
            await rest
    (tmp_path / "project").rmdir()
    assert await _all(changes(tmp_path / "project", SystemClock(), asyncio.Event())) == []


async def _all(batches: AsyncIterator[dict[str, int | None]]) -> list[dict[str, int | None]]:
    return [batch async for batch in batches]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, os.strerror(28)), "No space left on device"),
        (WatchfilesRustInternalError("Error creating recommended watcher: Too many open files"), "Too many open files"),
    ],
)
async def test_where_the_system_gives_no_news_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "awatch", refuse)
    with pytest.raises(NotWatched, match=words):
        await _all(changes(tmp_path, SystemClock(), asyncio.Event()))


def test_when_something_changed_is_what_the_kernel_says(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.touch()
    os.utime(file, (0, 0))
    now = file.stat().st_ctime_ns // 1_000_000 + 700
    assert module._age(file, now) == 700
    file.unlink()
    gone = now - tmp_path.stat().st_ctime_ns // 1_000_000
    assert module._age(file, now) == gone
    assert module._age(file, now + 6000) is None, "no news is so old"
    assert module._age(file, now - 6000) is None, "nor of tomorrow"
    assert module._age(tmp_path / "gone/with/its/folder", now) is None


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/a.pyc", ".git/index", ".venv/lib/x.py", "node_modules/a/b.js", ".pytest_cache/v/x", ".coverage.host.1",
        "a.py~", ".a.py.swp", "a.swx", ".#a.py", "deep/.mypy_cache/x", "x.egg-info/PKG-INFO", "build/lib/a.py", "target/debug/a",
        "../outside.py", "",
    ],
)  # fmt: skip
async def test_caches_and_what_is_built_are_no_change(name: str, tmp_path: Path) -> None:
    assert await seen(tmp_path, (Change.modified, name)) == frozenset()


async def test_what_came_and_went_is_no_change_but_what_went_is(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert await seen(
        tmp_path, (Change.added, "4913"), (Change.deleted, "4913"), (Change.modified, "sedX"), (Change.deleted, "old.py"),
        (Change.added, "a.py"), (Change.added, "dangling"),
    ) == {"old.py", "a.py", "dangling"}  # fmt: skip


async def test_the_folders_above_a_project_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "build" / ".venv" / "project"
    folder.mkdir(parents=True)
    assert await seen(folder, (Change.modified, "a.py")) == {"a.py"}


async def test_gitignore_says_what_is_made(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("*.log\nout/\nä*\n")
    (tmp_path / "kept.log").touch()
    git(tmp_path, "add", "--force", "kept.log")
    names = ["a.py", "a.log", "out/x/y", "ärger.txt", "build/made.py", "kept.log"]
    assert await seen(tmp_path, *((Change.modified, name) for name in names)) == {"a.py", "build/made.py", "kept.log"}


async def test_a_hook_of_the_project_is_not_run(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / ".git/config").write_text(f"[core]\n\tfsmonitor = touch {tmp_path}/canary #\n")
    (tmp_path / "a.py").touch()
    assert await seen(tmp_path, (Change.modified, "a.py")) == {"a.py"}
    assert not (tmp_path / "canary").exists()


async def test_without_git_the_usual_folders_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await seen(tmp_path, (Change.modified, "a.py"), (Change.modified, "dist/x")) == {"a.py"}


@pytest.mark.parametrize("mark", ["hub.db", "hub.lock"])
async def test_a_hub_that_keeps_its_data_in_the_project_changes_nothing(tmp_path: Path, mark: str) -> None:
    (tmp_path / "here/of a hub").mkdir(parents=True)
    (tmp_path / "here/of a hub" / mark).touch()
    written = (
        "here/of a hub/hub.db-wal",
        "here/of a hub/scratch/x",
        "here/of a hub",
        "here/a.py",
        "b.py",
        "here/hub.py",
    )
    found = await seen(tmp_path, *((Change.modified, name) for name in written))
    assert found == {"here/a.py", "b.py", "here/hub.py"}
