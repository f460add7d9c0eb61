"""The path helper: what it finds, what it refuses, and that no name whatever leads out."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.skills.errors import (
    AddressGiven,
    FileAmbiguous,
    FileClosed,
    FileMissing,
    NameUnusable,
    NotAFile,
    OutsideWorkspace,
    WorkspaceMissing,
)
from adapters.skills.workspace import Walk, Workspace
from core.errors import HubError
from tests.depth import depth
from tests.unit.skills.conftest import CANARY, CLOSED


def read(workspace: Workspace, name: str) -> bytes:
    with workspace.open(workspace.find(name)) as file:
        return file.read()


@pytest.mark.parametrize("name", ["welcome.md", "./welcome.md", "Welcome.MD", "welcome"])
def test_a_file_is_found_by_its_name_or_nearly(workspace: Workspace, name: str) -> None:
    assert read(workspace, name).startswith(b"# Welcome")


def test_a_file_in_a_folder_is_found_by_its_bare_name_and_by_its_absolute_path(workspace: Workspace) -> None:
    assert workspace.find("notes.txt") == "deep/notes.txt"
    assert workspace.find(str(workspace.root / "deep/notes.txt")) == "deep/notes.txt"


def test_a_name_that_fits_two_files_lists_them(workspace: Workspace) -> None:
    (workspace.root / "notes.md").touch()
    with pytest.raises(FileAmbiguous, match=r"deep/notes\.txt, notes\.md"):
        workspace.find("notes")


def test_a_missing_file_says_the_nearest_name(workspace: Workspace) -> None:
    with pytest.raises(FileMissing, match=r"nearest name is welcome\.md"):
        workspace.find("wellcome.md")


@pytest.mark.parametrize("name", ["missing.md", "loop.md", "come.md"])
def test_a_missing_file_that_is_near_to_none_gets_no_guess(workspace: Workspace, name: str) -> None:
    for other in ("bin.md", "héllo.md"):
        (workspace.root / other).touch()
    with pytest.raises(FileMissing) as missing:
        workspace.find(name)
    assert "nearest" not in str(missing.value)
    assert "in quotes" in str(missing.value)


@pytest.mark.parametrize("target", ["loop.md", "gone.md"])
def test_a_link_that_leads_nowhere_says_so(workspace: Workspace, target: str) -> None:
    (workspace.root / "loop.md").symlink_to(target)
    with pytest.raises(FileMissing, match="It is a link that leads nowhere"):
        workspace.find("loop.md")


@pytest.mark.parametrize("name", ["https://example.com/welcome.md", "file:///etc/passwd"])
def test_an_address_is_no_file(workspace: Workspace, name: str) -> None:
    with pytest.raises(AddressGiven, match=r"agents read only files of the workspace"):
        workspace.find(name)


@pytest.mark.parametrize("name", ["résumé 2025.md", "日本語.md", "naïve’s notes.md", "e\u0301te\u0301.md"])
def test_names_of_other_letters_and_blanks_are_found(workspace: Workspace, name: str) -> None:
    (workspace.root / name).write_text("x")
    for written in (name, unicodedata.normalize("NFC", name), name.replace("’", "'")):
        assert read(workspace, written) == b"x"


@pytest.mark.parametrize("name", [" leading.md", "trailing.md ", "deep/ both "])
def test_a_name_with_a_blank_at_its_end_is_found_as_it_is_written(workspace: Workspace, name: str) -> None:
    (workspace.root / name).write_text("x")
    assert read(workspace, name) == b"x"
    assert workspace.find(" welcome.md ") == "welcome.md"


@pytest.mark.parametrize("name", CLOSED)
def test_every_canary_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises((FileClosed, OutsideWorkspace)):
        read(workspace, name)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("../../etc/passwd", OutsideWorkspace),
        ("deep/../welcome.md", OutsideWorkspace),
        ("deep/../../outside/secret-plan.md", OutsideWorkspace),
        ("../workspace/welcome.md", OutsideWorkspace),
        ("/etc/passwd", OutsideWorkspace),
        ("/", OutsideWorkspace),
        ("~/.ssh/id_rsa", FileClosed),
        ("~/notes.md", OutsideWorkspace),
        (".ENV", FileClosed),
        ("ID_RSA.txt", FileClosed),
        ("\N{FULLWIDTH LATIN SMALL LETTER I}d_rsa", FileClosed),
        ("data/there-is-no-such-file.md", FileClosed),
        ("venv/there-is-no-such-file.md", FileClosed),
        ("", NameUnusable),
        ("welcome.md\n", NameUnusable),
        ("welcome\0.md", NameUnusable),
        ("a\nb.md", NameUnusable),
        ("x" * 2000, NameUnusable),
        ("x" * 300, NameUnusable),
        ("\N{SNOWMAN}" * 90, NameUnusable),
        ("x/" * 200, FileMissing),
        ("welcome.md/x", FileClosed),
        ("deep", NotAFile),
        (".", NotAFile),
    ],
)
def test_hostile_names_are_refused_by_name(workspace: Workspace, name: str, error: type[HubError]) -> None:
    with pytest.raises(error) as caught:
        read(workspace, name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_pipes_and_sockets_are_refused_without_waiting(workspace: Workspace, unix_socket: str) -> None:
    os.mkfifo(workspace.root / "pipe")
    for name in ("pipe", unix_socket):
        with pytest.raises(NotAFile):
            read(workspace, name)


def test_a_file_swapped_for_a_link_after_it_was_found_is_not_followed(workspace: Workspace) -> None:
    path = workspace.find("welcome.md")
    (workspace.root / path).unlink()
    (workspace.root / path).symlink_to("/etc/passwd")
    with pytest.raises(FileClosed), workspace.open(path):
        pass


def test_a_folder_swapped_for_a_link_after_it_was_found_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    path = workspace.find("deep/notes.txt")
    (workspace.root / "deep").rename(tmp_path / "moved")
    (workspace.root / "deep").symlink_to(tmp_path / "moved")
    with pytest.raises(FileClosed), workspace.open(path):
        pass


def test_a_link_inside_the_workspace_leads_to_what_it_means(workspace: Workspace) -> None:
    (workspace.root / "latest.md").symlink_to("welcome.md")
    (workspace.root / "innocent.md").symlink_to(".env")
    assert workspace.find("latest.md") == "welcome.md"
    with pytest.raises(FileClosed):
        workspace.find("innocent.md")


def test_a_hard_link_opens_no_private_file(workspace: Workspace) -> None:
    for private, name in ((".env", "notes.txt"), ("data/ledger.md", "more.txt")):
        (workspace.root / name).hardlink_to(workspace.root / private)
        with pytest.raises(FileClosed, match=f"{name} is closed to every skill: it has a second name"):
            read(workspace, name)
    assert workspace.walk().files == ("deep/notes.txt", "welcome.md")


def test_a_file_whose_second_name_is_gone_is_open_again(workspace: Workspace) -> None:
    (workspace.root / "copy.md").hardlink_to(workspace.root / "welcome.md")
    with pytest.raises(FileClosed):
        read(workspace, "welcome.md")
    (workspace.root / "copy.md").unlink()
    assert read(workspace, "welcome.md").startswith(b"# Welcome")


def test_a_walk_sees_the_open_files_only(workspace: Workspace) -> None:
    walk = workspace.walk()
    assert walk.files == ("deep/notes.txt", "welcome.md")
    assert walk.left_out >= 10


def test_a_walk_of_very_many_names_ends_and_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (workspace.root / f"empty-{number}").mkdir()
        (workspace.root / f"{number}.pem").touch()
    assert workspace.walk().is_whole
    monkeypatch.setattr("adapters.skills.workspace.MOST_NAMES", 20)
    assert not workspace.walk().is_whole
    monkeypatch.undo()
    monkeypatch.setattr("adapters.skills.workspace.WALK_SECONDS", -1.0)
    assert workspace.walk() == Walk((), 0, is_whole=False)


def test_a_walk_of_too_many_files_counts_what_it_saw(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        (workspace.root / "deep" / f"{number}.md").touch()
    monkeypatch.setattr("adapters.skills.workspace.MOST_FILES", 5)
    walk = workspace.walk("deep")
    assert len(walk.files) == 5
    assert walk.left_out == 6
    assert not walk.is_whole


def test_a_walk_goes_so_deep_and_no_deeper(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.skills.workspace.DEEPEST", 3)
    (workspace.root / "a/b/c/d").mkdir(parents=True)
    for place in ("a/b/c/near.md", "a/b/c/d/far.md"):
        (workspace.root / place).touch()
    walk = workspace.walk("a")
    assert walk.files == ("a/b/c/near.md",)
    assert not walk.is_whole


def test_a_data_folder_round_the_workspace_closes_nothing_and_one_in_its_place_everything(root: Path) -> None:
    assert read(Workspace(root, [root.parent]), "welcome.md")
    with pytest.raises(FileClosed):
        read(Workspace(root, [root]), "welcome.md")


def test_a_workspace_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceMissing):
        Workspace(tmp_path / "gone").find("welcome.md")


PARTS = st.sampled_from(
    ["..", ".", "", "/", "deep", "data", "venv", "welcome.md", "etc", "passwd", "outside.md", "folder-outside", ".git"]
)
NAMES = st.one_of(st.text(max_size=40), st.lists(st.one_of(PARTS, st.text(max_size=8)), max_size=8).map("/".join))


@given(name=NAMES, absolute=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=depth(60, 300))
def test_no_name_leads_out_or_to_a_canary(workspace: Workspace, name: str, absolute: bool) -> None:
    """Whatever is written: a named refusal, or a file whose real path is inside and whose content is no canary."""
    try:
        path = workspace.find(str(workspace.root) + "/" + name if absolute else name)
        with workspace.open(path) as file:
            content = file.read()
    except HubError:
        return
    assert Path(os.path.realpath(workspace.root / path)).is_relative_to(workspace.root)
    assert CANARY.encode() not in content
