"""`core.agent.persona_worker.Shelf`: result files are whole, private, bounded, and nothing but what was made."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest

from adapters.shelf import MAX_FILES, ResultTooLarge, ResultUnusable, Shelf
from core.store import DiskFull

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def shelf(data: Path) -> Shelf:
    return Shelf(data)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def files(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "files").rglob("*") if path.is_file())


def modes(data: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.rglob("*")}


async def test_a_file_is_kept_under_its_hash_and_opens_by_its_name(shelf: Shelf) -> None:
    folder = await shelf.folder()
    (folder / "chart.png").write_bytes(b"pixels")
    (kept,) = await shelf.keep([folder / "chart.png"])
    assert (kept.name, kept.size, kept.sha256) == ("chart.png", 6, hashlib.sha256(b"pixels").hexdigest())
    place = shelf.path(kept.sha256, kept.name)
    assert place.read_bytes() == b"pixels"
    assert place.parts[-2:] == (kept.sha256, "chart.png")
    assert not (folder / "chart.png").exists()


async def test_what_is_in_memory_is_kept_as_a_file(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept,) = await shelf.put([("page.pdf", b"bytes")])
    assert shelf.path(kept.sha256, kept.name).read_bytes() == b"bytes"
    assert list(shelf.scratch.iterdir()) == []

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DiskFull, match="No space left"):
        await shelf.put([("page.pdf", b"bytes")])
    assert list(shelf.scratch.iterdir()) == []


async def test_files_and_folders_are_private(shelf: Shelf, data: Path) -> None:
    folder = await shelf.folder()
    (folder / "a").write_text("a")
    (folder / "a").chmod(0o666)
    await shelf.keep([folder / "a"])
    assert modes(data) == {
        "files": 0o700,
        "ca": 0o700,
        hashlib.sha256(b"a").hexdigest(): 0o700,
        "a": 0o600,
        "scratch": 0o700,
        folder.name: 0o700,
    }


async def test_the_same_content_is_kept_once(shelf: Shelf, data: Path) -> None:
    folder = await shelf.folder()
    (folder / "a").write_text("same")
    (folder / "b").write_text("same")
    first, second = await shelf.keep([folder / "a", folder / "b"])
    assert first.sha256 == second.sha256
    assert files(data) == ["a", "b"]
    assert shelf.path(first.sha256, "a").samefile(shelf.path(first.sha256, "b"))


async def test_the_same_file_again_changes_nothing(shelf: Shelf, data: Path) -> None:
    first, again = [await shelf.keep([write(await shelf.folder() / "a", "same")]) for _ in range(2)]
    assert first == again
    assert files(data) == ["a"]
    assert shelf.path(first[0].sha256, "a").read_text() == "same"


async def test_without_hard_links_the_same_content_is_kept_twice(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    folder = await shelf.folder()
    kept = await shelf.keep([write(folder / "a", "same"), write(folder / "b", "same")])
    assert [shelf.path(file.sha256, file.name).read_text() for file in kept] == ["same", "same"]


async def test_a_file_that_was_kept_without_a_name_is_still_found_and_kept(shelf: Shelf, data: Path) -> None:
    old = data / "files" / hashlib.sha256(b"old").hexdigest()[:2] / hashlib.sha256(b"old").hexdigest()
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    assert shelf.path(old.name, "chart.png") == old
    (kept,) = await shelf.keep([write(await shelf.folder() / "other", "old")])
    assert shelf.path(kept.sha256, kept.name) == old
    assert old.read_bytes() == b"old"


async def test_two_files_of_one_name_get_two_names(shelf: Shelf) -> None:
    folder = await shelf.folder()
    paths = [write(folder / str(number) / name, name) for number in range(3) for name in ("chart.png", ".x", "plain")]
    names = [file.name for file in await shelf.keep(paths)]
    assert names == ["chart.png", ".x", "plain", "chart-2.png", ".x-2", "plain-2", "chart-3.png", ".x-3", "plain-3"]


async def test_no_files_are_no_work(shelf: Shelf, data: Path) -> None:
    assert await shelf.keep([]) == ()
    assert modes(data) == {}


async def test_a_result_is_bounded(data: Path) -> None:
    shelf = Shelf(data, limit=2**20)
    folder = await shelf.folder()
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode() * (2**19 + 1))
    with pytest.raises(ResultTooLarge, match="1 MB"):
        await shelf.keep([folder / "a", folder / "b"])
    with pytest.raises(ResultTooLarge, match=f"{MAX_FILES} files"):
        await shelf.keep([folder / "a"] * (MAX_FILES + 1))
    assert not [name for name in files(data) if name.startswith(".new-")]


@pytest.mark.parametrize("bad", ["link", "folder", "pipe", "missing", "behind"])
async def test_what_is_no_plain_file_of_the_folder_is_refused(
    shelf: Shelf, tmp_path: Path, data: Path, bad: str
) -> None:
    (tmp_path / "outside").mkdir()
    secret = tmp_path / "outside" / "secret"
    secret.write_text("canary")
    folder = await shelf.folder()
    (folder / "link").symlink_to(secret)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "away").symlink_to(secret.parent)
    with pytest.raises(ResultUnusable):
        await shelf.keep([folder / "away" / "secret" if bad == "behind" else folder / bad])
    assert secret.read_text() == "canary"
    assert files(data) == []


async def test_a_folder_goes_with_what_is_left_in_it_and_no_link_is_followed(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("stays")
    folder = await shelf.folder()
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to(tmp_path / "mine")
    await shelf.discard(folder)
    assert not folder.exists()
    assert (tmp_path / "mine" / "file").read_text() == "stays"


async def test_only_folders_of_the_shelf_are_removed(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a folder of this shelf"):
        await shelf.discard(tmp_path)


async def test_a_start_sweeps_what_a_crash_left(shelf: Shelf, data: Path) -> None:
    await shelf.sweep()
    folder = await shelf.folder()
    (folder / "half").write_text("half")
    (folder / "whole").write_text("whole")
    (kept,) = await shelf.keep([folder / "whole"])
    (data / "files" / ".new-abc").write_text("torn")
    await shelf.sweep()
    assert not folder.exists()
    assert files(data) == [kept.name]


@pytest.mark.parametrize("depth", [2, 1500])
async def test_a_start_sweeps_however_deep_the_folders_are(shelf: Shelf, data: Path, depth: int) -> None:
    top = os.open(await shelf.folder(), os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=top)
        below = os.open("d", os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(os.open("file", os.O_CREAT, dir_fd=top))
    os.close(top)
    await shelf.sweep()
    assert not (data / "scratch").exists()


async def test_a_full_disk_is_said(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = await shelf.folder()
    (folder / "a").write_text("a")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space left on device"):
        await shelf.keep([folder / "a"])


async def test_a_data_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DiskFull):
        await Shelf(tmp_path / "data").folder()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, f"{'0' * 64}\n"])
def test_only_a_hash_has_a_place(shelf: Shelf, name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        shelf.path(name, "chart.png")


@pytest.mark.parametrize("name", ["", ".", "..", "../chart.png", "a/b", "a\0"])
def test_only_a_plain_name_has_a_place(shelf: Shelf, name: str) -> None:
    with pytest.raises(ValueError, match="not a name of a file"):
        shelf.path("0" * 64, name)
