"""Files of the workspace by way of tools: found, read and searched, and nothing that is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.skills.errors import (
    FileBinary,
    FileMissing,
    KindUnsupported,
    LinesMissing,
    NotAFile,
    OutsideWorkspace,
    PatternBad,
    PatternSlow,
)
from tests.depth import first
from tests.unit.skills.conftest import CANARY, CLOSED

if TYPE_CHECKING:
    from pathlib import Path

    from core.errors import HubError
    from core.events import Json
    from tests.unit.tools.bench import Bench


async def test_files_are_listed_and_read(bench: Bench, root: Path) -> None:
    (root / "long.txt").write_text("".join(f"line {number} of many\n" for number in range(1, 3001)))
    listed = await bench.call("list_files")
    assert listed.outside
    assert "deep/notes.txt (" in listed.text
    assert "welcome.md (" in listed.text
    read = await bench.call("read_file", path="welcome.md")
    assert read.text.splitlines()[:2] == ["welcome.md, lines 1 to 3 of 3:", "# Welcome"]
    assert read.outside
    part = await bench.call("read_file", path="long.txt", first=2999)
    assert part.text == "long.txt, lines 2999 to 3000 of 3,000:\nline 2999 of many\nline 3000 of many"


@pytest.mark.long
async def test_a_long_file_is_read_in_parts_and_searched_by_lines(bench: Bench, root: Path) -> None:
    (root / "long.txt").write_text("".join(f"line {number} of many\n" for number in range(1, 3001)))
    whole = (await bench.call("read_file", path="long.txt")).text
    assert len(whole) < 12_000
    assert whole.endswith("(it goes on: read it again from line 330)")
    found = await bench.call("search_files", query="of many", how="exact", folder="long.txt")
    assert found.text.startswith("3,000 lines of 1 file; 1 file searched.\nlong.txt:1: line 1 of many")
    assert found.text.endswith("(and 2,940 more lines: search in one folder, or for more)")
    found = await bench.call("search_files", query=r"line 2\d\d of", how="pattern")
    assert "long.txt:200: line 200 of many" in found.text


@pytest.mark.long
async def test_a_huge_line_and_a_huge_folder_are_told_in_part(bench: Bench, root: Path) -> None:
    (root / "line.txt").write_text("x" * 500_000 + "needle" + "y" * 500_000)
    (root / "many").mkdir()
    for number in range(200):
        (root / f"many/{number}.txt").write_text("text")
    assert len((await bench.call("read_file", path="line.txt")).text) < 5_000
    assert "xneedley" in (await bench.call("search_files", query="needle", how="exact")).text
    assert "many/ (200 files)" in (await bench.call("list_files")).text


@pytest.mark.parametrize(
    ("name", "given", "error"),
    first(
        1,
        [
            ("read_file", {"path": "welcome.md", "first": 4}, LinesMissing),
            ("read_file", {"path": "no-such.md"}, FileMissing),
            ("read_file", {"path": "deep"}, NotAFile),
            ("read_file", {"path": "../outside/secret-plan.md"}, OutsideWorkspace),
            ("read_file", {"path": "/etc/passwd"}, OutsideWorkspace),
            ("list_files", {"folder": "/"}, OutsideWorkspace),
            ("search_files", {"query": "(", "how": "pattern"}, PatternBad),
        ],
    ),
)
async def test_what_cannot_be_done_is_said(
    bench: Bench, name: str, given: dict[str, Json], error: type[HubError]
) -> None:
    with pytest.raises(error):
        await bench.given(name, given)


@pytest.mark.long
async def test_what_is_no_text_is_not_read(bench: Bench, root: Path) -> None:
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    (root / "book.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(FileBinary):
        await bench.call("read_file", path="picture.png")
    with pytest.raises(KindUnsupported, match="query_table"):
        await bench.call("read_file", path="book.xlsx")


@pytest.mark.long
async def test_an_expression_that_would_take_for_ever_is_given_up(bench: Bench, root: Path) -> None:
    (root / "a.txt").write_text("a" * 40 + "!")
    with pytest.raises(PatternSlow):
        await bench.call("search_files", query="(a+)+$", how="pattern")


@pytest.mark.long
async def test_no_search_and_no_list_shows_a_canary(bench: Bench) -> None:
    for output in (
        await bench.call("list_files"),
        await bench.call("search_files", query="canary", how="exact"),
        await bench.call("search_files", query="canary"),
    ):
        assert CANARY not in output.text
    listed = (await bench.call("list_files")).text
    assert [name for name in CLOSED if name in listed] == []
