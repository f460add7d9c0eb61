"""The data folder is private and has one owner; the workspace is seeded once."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from adapters import folder
from adapters.folder import AlreadyRunning, NoFolder, NotADataFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_the_data_folder_is_made_private(tmp_path: Path) -> None:
    with folder.own(tmp_path / "deep" / "data") as data:
        assert data.stat().st_mode & 0o777 == 0o700
        assert (data / folder.LOCK).stat().st_mode & 0o777 == 0o600


def test_an_open_folder_is_closed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with folder.own(tmp_path / "data") as data:
        assert data.stat().st_mode & 0o777 == 0o700


def test_what_lies_in_the_folder_is_closed_too(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "data").mkdir()
    for file in (outside, tmp_path / "data" / "hub.db", tmp_path / "data" / "console_history"):
        file.touch(mode=0o644)
    (tmp_path / "data" / "link").symlink_to(outside)
    with folder.own(tmp_path / "data") as data:
        assert {file.lstat().st_mode & 0o777 for file in data.iterdir() if not file.is_symlink()} == {0o600}
        assert outside.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", [".bashrc", "letters/", "hub.txt"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("mine")
    with pytest.raises(NotADataFolder, match=f"{tmp_path} holds other files .*TIMMY_DATA_DIR"), folder.own(tmp_path):
        pass
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [file.name for file in tmp_path.iterdir()] == [name.rstrip("/")]


def test_a_new_disk_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    with folder.own(tmp_path) as data:
        assert data.stat().st_mode & 0o777 == 0o700


def test_a_second_owner_is_refused_by_the_firsts_pid(tmp_path: Path) -> None:
    with folder.own(tmp_path), pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"), folder.own(tmp_path):
        pass
    with folder.own(tmp_path):
        pass


def test_a_folder_whose_lock_file_was_removed_is_still_owned(tmp_path: Path) -> None:
    with folder.own(tmp_path):
        (tmp_path / folder.LOCK).unlink()
        with pytest.raises(AlreadyRunning, match="pid unknown"), folder.own(tmp_path):
            pass
        assert not (tmp_path / folder.LOCK).exists()


@pytest.mark.parametrize("then", ["removed", "replaced", "moved"])
def test_a_file_that_is_no_longer_the_one_that_is_held_is_named(tmp_path: Path, then: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "hub.db").touch()
    held = folder.Held(data / "hub.db", data / "node.db")
    (data / "node.db").touch()
    held.check()
    if then == "removed":
        (data / "node.db").unlink()
    elif then == "replaced":
        (tmp_path / "other").touch()
        (tmp_path / "other").rename(data / "node.db")
    else:
        data.rename(tmp_path / "elsewhere")
    with pytest.raises(folder.DataGone, match="was removed or replaced while the hub ran"):
        held.check()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(NoFolder, match="TIMMY_DATA_DIR"), folder.own(tmp_path / "data"):
        pass
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("name", ["data", "data/", "data/files", "data/../data/new", "link", "link/files"])
def test_a_workspace_is_not_in_the_data_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(NoFolder, match=r"keeps its own data there.*TIMMY_WORKSPACE"):
        folder.keep_apart(tmp_path / name, tmp_path / "data")


@pytest.mark.parametrize("name", [".", "workspace", "data2", "data/../workspace"])
def test_a_workspace_may_lie_beside_the_data_folder_or_around_it(tmp_path: Path, name: str) -> None:
    folder.keep_apart(tmp_path / name, tmp_path / "data")


def test_samples_come_once(tmp_path: Path) -> None:
    samples, workspace = tmp_path / "samples", tmp_path / "workspace"
    samples.mkdir()
    (samples / "welcome.md").write_text("hello")
    folder.seed_workspace(workspace, samples)
    assert (workspace / "welcome.md").read_text() == "hello"
    (workspace / "welcome.md").unlink()
    folder.seed_workspace(workspace, samples)
    assert not (workspace / "welcome.md").exists()


class Killed(BaseException):
    """The process is gone."""


def test_samples_come_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, workspace = tmp_path / "samples", tmp_path / "deep" / "workspace"
    samples.mkdir()
    for name in ("a.md", "b.md"):
        (samples / name).write_text("hello")
    copy = shutil.copyfile

    def dies_at_b(source: Path, target: Path) -> None:
        if source.name == "b.md":
            raise Killed
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", dies_at_b)
        with pytest.raises(Killed):
            folder.seed_workspace(workspace, samples)
    assert not workspace.exists()
    folder.seed_workspace(workspace, samples)
    assert sorted(path.name for path in workspace.iterdir()) == ["a.md", "b.md"]
    assert list(workspace.parent.iterdir()) == [workspace]
    assert workspace.stat().st_mode & 0o777 == 0o700


def test_a_workspace_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "samples").mkdir()
    for name in ("file", "file/workspace"):
        with pytest.raises(NoFolder, match="TIMMY_WORKSPACE"):
            folder.seed_workspace(tmp_path / name, tmp_path / "samples")
