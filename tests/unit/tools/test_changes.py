"""Files are changed as a person agreed, once, and nothing else is; what they held comes back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from adapters.skills.change import change
from adapters.skills.errors import (
    FileChanged,
    FileClosed,
    FileMissing,
    FileThere,
    NotAFile,
    NothingChanges,
    NotUtf8,
    OutsideWorkspace,
    TextNotFound,
    TextSeveral,
)
from adapters.skills.job import Job
from adapters.skills.workspace import Workspace
from adapters.tools import changes
from adapters.tools.changes import NothingKept
from core.agent.tool import Effect
from tests.depth import first
from tests.unit.skills.conftest import CANARY

if TYPE_CHECKING:
    from pathlib import Path

    from core.errors import HubError
    from core.events import Json
    from tests.unit.tools.bench import Bench

WELCOME = "# Welcome\n\nThe hub holds an auction for every task that people post here.\n"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        (
            "write_file",
            {"path": "a.md", "content": "one\ntwo\u202e"},
            "write the new file a.md:\n+ one\n+ two\\u{202e}",
        ),
        ("write_file", {"path": "a.md", "content": "x", "how": "replace"}, "replace a.md:\n+ x"),
        (
            "write_file",
            {"path": "a\u200b.md", "content": "x", "how": "append"},
            "add to the end of a\\u{200b}.md:\n+ x",
        ),
        ("edit_file", {"path": "a.md", "old": "x\n", "new": ""}, "change a.md:\n- x\n- \n+ "),
        (
            "edit_file",
            {"path": "a.md", "old": "x", "new": "y", "everywhere": "yes"},
            "change a.md everywhere:\n- x\n+ y",
        ),
        ("remove_file", {"path": "a\u200b.md"}, "delete a\\u{200b}.md"),
        ("restore_file", {"path": "a.md"}, "put a.md back as it was before its last change (one that was new goes)"),
    ],
)
def test_a_person_is_shown_all_of_it(bench: Bench, name: str, given: dict[str, Json], words: str) -> None:
    tool = bench.tools.find(name)
    assert tool is not None
    assert tool.effect is Effect.ASK
    assert tool.words(tool.read(given)) == words


async def test_a_file_is_written_added_to_changed_and_put_back(bench: Bench, root: Path) -> None:
    async def call(name: str, **arguments: Json) -> str:
        bench.clock.advance(1000)
        return (await bench.given(name, {"path": "new/plan.md", **arguments}, key=f"k{bench.clock.now()}")).text

    plan = root / "new/plan.md"
    assert await call("write_file", content="one\ntwo\n") == "new/plan.md is written: 2 lines."
    assert await call("write_file", content="three", how="append") == (
        "new/plan.md is changed: it had 2 lines, and has 3 lines. restore_file puts it back."
    )
    assert plan.read_text() == "one\ntwo\nthree"
    await call("edit_file", old="two\nthree", new="2")
    assert plan.read_text() == "one\n2"
    await call("restore_file")
    assert plan.read_text() == "one\ntwo\nthree"
    await call("restore_file")
    assert plan.read_text() == "one\n2"
    assert sorted(path.name for path in plan.parent.iterdir()) == ["plan.md"], "nothing passing is left"


@pytest.mark.long
async def test_a_new_file_goes_again_and_comes_back(bench: Bench, root: Path) -> None:
    async def call(name: str, **arguments: Json) -> str:
        bench.clock.advance(1000)
        return (await bench.given(name, {"path": "new.md", **arguments}, key=f"k{bench.clock.now()}")).text

    await call("write_file", content="one\n")
    assert await call("restore_file") == "new.md was new, and is gone again. restore_file brings it back."
    assert not (root / "new.md").exists()
    await call("restore_file")
    assert (root / "new.md").read_text() == "one\n"
    await call("restore_file")
    (root / "new.md").write_text("somebody else's\n")
    bench.clock.advance(1000)
    with pytest.raises(FileThere):
        await bench.call("write_file", key="last", path="new.md", content="one\n")
    assert (root / "new.md").read_text() == "somebody else's\n"


@pytest.mark.parametrize(
    ("name", "given", "error"),
    first(
        1,
        [
            ("write_file", {"path": "welcome.md", "content": "mine"}, FileThere),
            ("write_file", {"path": "welcome.md", "content": WELCOME, "how": "replace"}, NothingChanges),
            ("write_file", {"path": "deep", "content": "x", "how": "replace"}, NotAFile),
            ("write_file", {"path": ".", "content": "x"}, NotAFile),
            ("write_file", {"path": "welcome.md/x", "content": "x"}, FileClosed),
            ("write_file", {"path": "../x.md", "content": "x"}, OutsideWorkspace),
            ("write_file", {"path": "/tmp/x.md", "content": "x"}, OutsideWorkspace),  # noqa: S108 - must be refused
            ("write_file", {"path": ".git/hooks/pre-commit", "content": "x"}, FileClosed),
            ("write_file", {"path": "data/ledger.md", "content": "x", "how": "replace"}, FileClosed),
            ("write_file", {"path": "venv/x.py", "content": "x"}, FileClosed),
            ("write_file", {"path": "folder-outside/x.md", "content": "x"}, FileClosed),
            ("write_file", {"path": "outside.md", "content": "x", "how": "replace"}, FileClosed),
            ("remove_file", {"path": "Welcome"}, FileMissing),
            ("remove_file", {"path": "deep"}, NotAFile),
            ("remove_file", {"path": "data/ledger.md"}, FileClosed),
            ("remove_file", {"path": "outside.md"}, FileClosed),
            ("edit_file", {"path": "Welcome", "old": "hub", "new": "x"}, FileMissing),
            ("edit_file", {"path": "welcome.md", "old": "no such text", "new": "x"}, TextNotFound),
            ("edit_file", {"path": "welcome.md", "old": "l", "new": "x"}, TextSeveral),
            ("edit_file", {"path": "wide.txt", "old": "a", "new": "b"}, NotUtf8),
            ("restore_file", {"path": "welcome.md"}, NothingKept),
        ],
    ),
)
async def test_what_is_not_changed_is_left_as_it_is(
    bench: Bench, root: Path, name: str, given: dict[str, Json], error: type[HubError]
) -> None:
    (root / "wide.txt").write_bytes("a\u00e9".encode("latin-1"))
    with pytest.raises(error) as before:
        await bench.look(name, **given)
    with pytest.raises(error) as then:
        await bench.given(name, given)
    assert str(before.value) == str(then.value), "what is said before a person is asked is what would have come of it"
    assert (root / "welcome.md").read_text() == WELCOME
    assert (root / "data/ledger.md").read_text() == CANARY
    assert (root.parent / "outside/secret-plan.md").read_text() == CANARY
    assert not any(path.is_file() for path in bench.here.data.rglob("before/*/*/*")), "nothing is kept of it"


@pytest.mark.long
async def test_to_look_first_changes_nothing(bench: Bench, root: Path) -> None:
    there = sorted(os.walk(root))
    await bench.look("write_file", path="new/plan.md", content="one")
    await bench.look("edit_file", path="welcome.md", old="hub", new="house")
    assert sorted(os.walk(root)) == there
    assert (root / "welcome.md").read_text() == WELCOME
    assert [names for _, *names in os.walk(bench.here.data)] == [[["scratch"], []], [[], []]]


def test_a_folder_that_may_not_be_written_is_closed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    workspace = Workspace(root)
    with pytest.raises(FileClosed, match="nothing may be written"):
        workspace.may_put("new/x.md")
    with pytest.raises(FileClosed, match="nothing may be written"):
        workspace.put("new/x.md", b"x", was=None)
    assert not (root / "new").exists()


@pytest.mark.long
async def test_a_text_that_was_missed_is_found_by_the_line_like_it(bench: Bench) -> None:
    with pytest.raises(TextNotFound, match="The nearest is line 3: The hub holds an auction"):
        await bench.call("edit_file", path="welcome.md", old="The hub held an auction for every task", new="x")


@pytest.mark.long
async def test_a_file_keeps_its_line_ends_and_its_mode(bench: Bench, root: Path) -> None:
    (root / "run.bat").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (root / "run.bat").chmod(0o750)
    await bench.call("edit_file", path="run.bat", old="one\ntwo", new="1\n2")
    assert (root / "run.bat").read_bytes() == b"1\r\n2\r\nthree\r\n"
    assert (root / "run.bat").stat().st_mode & 0o777 == 0o750


@pytest.mark.long
async def test_a_change_that_a_crash_cut_short_is_made_once(bench: Bench, root: Path) -> None:
    """The same call again: before its effect was known, and after somebody else wrote the file."""
    for _ in range(2):
        await bench.call("write_file", key="one", path="log.md", content="a\n")
    for _ in range(2):
        await bench.call("write_file", key="two", path="log.md", content="b\n", how="append")
    assert (root / "log.md").read_text() == "a\nb\n"
    (root / "log.md").write_text("a\n")  # as it was kept, and not changed yet
    await bench.call("write_file", key="two", path="log.md", content="b\n", how="append")
    assert (root / "log.md").read_text() == "a\nb\n"
    (root / "log.md").write_text("somebody else's\n")
    with pytest.raises(FileChanged):
        await bench.call("write_file", key="two", path="log.md", content="b\n", how="append")
    assert (root / "log.md").read_text() == "somebody else's\n"


@pytest.mark.parametrize("theirs", [b"somebody else's", None, b"a\n"])
def test_a_change_that_was_begun_is_not_made_to_what_somebody_else_wrote_or_took_away_since(
    root: Path, tmp_path: Path, theirs: bytes | None
) -> None:
    workspace, kept = Workspace(root), tmp_path / "kept"
    kept.mkdir()
    (kept / "before").write_bytes(b"a\n")
    if theirs is not None:
        (root / "log.md").write_bytes(theirs)
    job = Job(workspace, "log.md", kept, tmp_path, {"how": "append", "content": "b", "begun": str(kept)})
    if theirs == b"a\n":
        assert change(job).files == ()
        assert workspace.held("log.md", 1000) == b"a\nb"
        return
    with pytest.raises(FileChanged):
        change(job)
    assert workspace.held("log.md", 1000) == theirs


def test_where_nothing_was_kept_nothing_is_put_back(root: Path, tmp_path: Path) -> None:
    (root / "log.md").write_text("a")
    job = Job(Workspace(root), "log.md", tmp_path, tmp_path, {"how": "back", "kept": str(tmp_path / "gone")})
    with pytest.raises(FileNotFoundError):
        change(job)
    assert (root / "log.md").read_text() == "a", "that nothing is kept does not mean that there was no file"


async def test_what_a_file_held_is_kept_whole_or_not_at_all(
    bench: Bench, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended while it is kept, nothing was begun: what is there of it by then is not what the file held."""

    class Ended(BaseException):
        pass

    def ends(_: int) -> None:
        raise Ended

    (root / "log.md").write_text("a\n" * 1000)
    room = changes._room(bench.here, "log.md", "k")
    options = {"how": "append", "content": "b\n"}
    job = Job(Workspace(root), "log.md", room, tmp_path, options)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", ends)
        with pytest.raises(Ended):
            change(job)
    assert not changes._is_begun(room)
    change(job)
    assert changes._is_begun(room)
    change(replace(job, options=options | {"begun": str(room)}))
    assert (root / "log.md").read_text() == "a\n" * 1000 + "b\n"
    other = changes._room(bench.here, "log.md", "other")
    (other / ".keeps").write_text("a")
    changes._drop_unless_kept(other)
    assert not other.exists()


@pytest.mark.long
async def test_of_very_many_versions_the_oldest_go(bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_KEPT", 3)
    for number in range(5):
        bench.clock.advance(1000)
        await bench.call("write_file", key=f"k{number}", path="log.md", content=f"{number}", how="replace")
    kept = sorted(path.read_text() for path in bench.here.data.glob("before/*/*/before"))
    assert kept == ["1", "2", "3"]


def test_a_name_that_is_swapped_for_a_link_is_replaced_and_never_followed(root: Path) -> None:
    workspace = Workspace(root)
    was = workspace.held("welcome.md", 1000)
    assert was is not None
    secret = root / "deep/.hidden/notes.md"
    (root / "welcome.md").unlink()
    (root / "welcome.md").symlink_to(secret)
    with pytest.raises(FileClosed):
        workspace.put("welcome.md", b"x", was=was)
    (root / "welcome.md").unlink()
    os.link(secret, root / "welcome.md")
    with pytest.raises(FileClosed):
        workspace.put("welcome.md", b"x", was=was)
    (root / "welcome.md").unlink()
    (root / "welcome.md").write_text("by somebody else")
    with pytest.raises(FileChanged):
        workspace.put("welcome.md", b"x", was=was)
    with pytest.raises(FileChanged):
        workspace.put("welcome.md", b"x", was=None)
    with pytest.raises(FileChanged):
        workspace.remove("welcome.md", was=was)
    assert secret.read_text() == CANARY
    assert (root / "welcome.md").read_text() == "by somebody else"
    assert [path.name for path in root.iterdir() if path.name.startswith(".timmy")] == []


async def test_a_yes_is_to_the_file_that_it_was_asked_about(bench: Bench, root: Path) -> None:
    notes = root / "notes.md"
    new: dict[str, Json] = {"path": "notes.md", "content": "new\n", "how": "replace"}
    for held in (None, b"old\n"):
        if held is not None:
            notes.write_bytes(held)
        seen = await bench.look("write_file", **new)
        assert seen
        assert "old" not in seen
        notes.write_text("somebody's work of an hour\n")
        with pytest.raises(FileChanged):
            await bench.given("write_file", new, seen=seen)
        assert notes.read_text() == "somebody's work of an hour\n"
    seen = await bench.look("write_file", **new)
    await bench.given("write_file", new, key="k0", seen=seen)
    assert notes.read_text() == "new\n"
    await bench.given("write_file", new, key="k0", seen=seen, again=1)  # after a crash in its midst: it is done already
    bench.clock.advance(1000)
    seen = await bench.look("restore_file", path="notes.md")
    notes.write_text("new, and more\n")
    with pytest.raises(FileChanged):
        await bench.given("restore_file", {"path": "notes.md"}, key="k2", seen=seen)
    assert notes.read_text() == "new, and more\n"
    assert not await bench.look("edit_file", path="notes.md", old="more", new="less"), (
        "the piece itself is what is asked about"
    )


async def test_a_file_is_deleted_as_it_was_asked_about_and_comes_back(bench: Bench, root: Path) -> None:
    photo = root / "photo.png"
    photo.write_bytes(b"\x89PNG")
    seen = await bench.look("remove_file", path="photo.png")
    photo.write_bytes(b"\x89PNG, another")
    with pytest.raises(FileChanged):
        await bench.given("remove_file", {"path": "photo.png"}, key="k0", seen=seen)
    photo.write_bytes(b"\x89PNG")
    photo.chmod(0o640)
    for again in (0, 1):
        done = await bench.given("remove_file", {"path": "photo.png"}, key="k0", again=again, seen=seen)
        assert done.text == "photo.png is deleted. restore_file brings it back."
        assert not photo.exists()
    bench.clock.advance(1000)
    await bench.call("restore_file", path="photo.png", key="k2")
    assert photo.stat().st_mode & 0o777 == 0o640, "nobody may read it who might not before"
    assert photo.read_bytes() == b"\x89PNG"
