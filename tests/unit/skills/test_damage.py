"""Hundreds of damaged files: each is one clear line for who named it, and one file left out for who searches."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from adapters.skills.damage import reading
from adapters.skills.documents import read_document
from adapters.skills.errors import FileBroken, FileMissing
from adapters.skills.search import search
from adapters.skills.table import read_table
from core.errors import UserError
from tests.unit.skills import office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from adapters.skills.workspace import Workspace
    from tests.unit.skills.conftest import Jobs

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of damage is for the log


def damaged(whole: bytes, copies: int, bytes_of_each: int) -> Iterator[bytes]:
    """Copies with a few bytes changed after the first eight, the same ones in every run."""
    for copy in range(copies):
        data = bytearray(whole)
        for change in range(bytes_of_each):
            noise = zlib.crc32(b"%d %d" % (copy, change))
            data[8 + noise % (len(data) - 8)] = noise >> 24
        yield bytes(data)


def squeezed(whole: bytes, name: bytes) -> bytes:
    """A zip whose part of this name is damaged in its compressed bytes."""
    start = whole.index(name) + len(name) + 50
    return whole[:start] + b"\xff" * 40 + whole[start + 40 :]


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """A sound file of each kind that a library reads."""
    office.word(tmp_path / "x.docx")
    office.excel(tmp_path / "x.xlsx", [("name", "sum"), *((f"row {n}", n) for n in range(30))])
    office.pdf(tmp_path / "x.pdf", [["Ships arrive every morning."], ["Cranes lift."]], bookmarks=["Ships"])
    return {kind: (tmp_path / f"x.{kind}").read_bytes() for kind in ("docx", "xlsx", "pdf")}


@pytest.mark.parametrize(("kind", "copies", "changes"), [("docx", 60, 5), ("xlsx", 60, 5), ("pdf", 100, 20)])
def test_whatever_is_damaged_is_read_or_refused_in_one_line(
    workspace: Workspace, whole: dict[str, bytes], kind: str, copies: int, changes: int
) -> None:
    read: Callable[[Workspace, str], object] = read_table if kind == "xlsx" else read_document
    refusals: list[str] = []
    for data in damaged(whole[kind], copies, changes):
        (workspace.root / f"x.{kind}").write_bytes(data)
        try:
            read(workspace, f"x.{kind}")
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) > copies // 5
    assert not any("\n" in refusal for refusal in refusals)


def test_a_part_that_does_not_unpack_is_a_broken_file(workspace: Workspace, whole: dict[str, bytes]) -> None:
    (workspace.root / "x.docx").write_bytes(squeezed(whole["docx"], b"word/document.xml"))
    (workspace.root / "x.xlsx").write_bytes(squeezed(whole["xlsx"], b"xl/worksheets/sheet2.xml"))
    with pytest.raises(FileBroken, match=r"x\.docx cannot be read as DOCX"):
        read_document(workspace, "x.docx")
    with pytest.raises(FileBroken, match=r"x\.xlsx cannot be read as an Excel file"):
        read_table(workspace, "x.xlsx")


def test_damaged_files_are_left_out_of_a_search_and_counted(root: Path, job: Jobs, whole: dict[str, bytes]) -> None:
    before = search(job("auction")).text.splitlines()[0]
    (root / "x.docx").write_bytes(squeezed(whole["docx"], b"word/document.xml"))
    (root / "x.xlsx").write_bytes(squeezed(whole["xlsx"], b"xl/worksheets/sheet2.xml"))
    (root / "x.pdf").write_bytes(whole["pdf"].replace(b"/Type /Pages", b"/Type /Pager").replace(b"Kids", b"Kidz"))
    after = search(job("auction")).text.splitlines()[0]
    count = int(before.split("searched, ")[1].split(" ")[0])
    assert f"2 files searched, {count + 3} left out" in after


@pytest.mark.parametrize(
    "failure", [zlib.error("x"), EOFError(), NotImplementedError(), AssertionError(), RecursionError(), OSError()]
)
def test_anything_that_a_library_raises_is_a_broken_file(failure: Exception) -> None:
    with pytest.raises(FileBroken, match=r"a\.pdf cannot be read as PDF"), reading("a.pdf", "PDF"):
        raise failure


@pytest.mark.parametrize("failure", [FileMissing(path="x", hint=""), MemoryError(), TimeoutError()])
def test_what_has_a_name_keeps_it(failure: Exception) -> None:
    with pytest.raises(type(failure)), reading("a.pdf", "PDF"):
        raise failure
