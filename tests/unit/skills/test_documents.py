"""Documents of every kind become the same blocks; what cannot be read says why in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.skills.blocks import Role
from adapters.skills.documents import read_document
from adapters.skills.errors import (
    FileBinary,
    FileBomb,
    FileBroken,
    FileEmpty,
    FileEncrypted,
    FileTooLarge,
    KindUnsupported,
)
from adapters.skills.texts import decode
from tests.unit.skills import office

if TYPE_CHECKING:
    from adapters.skills.workspace import Workspace
    from core.errors import HubError

MARKDOWN = """---
title: not of the text
---
# Harbour

Ships *arrive* every morning
with grain.

```python
print("not a sentence")
```

## Cranes

- one `old` crane

| crane | tons |
|-------|------|
| old   | 40   |
"""

PLAIN = """HARBOUR REPORT

1. Ships
Ships arrive every
morning with grain.

1.2 Old cranes
The old crane lifts less.

Weather
-------
- rain
- more rain
"""


def test_markdown_becomes_blocks_with_lines(workspace: Workspace) -> None:
    (workspace.root / "harbour.md").write_text(MARKDOWN)
    document = read_document(workspace, "harbour.md")
    assert document.title == "Harbour"
    assert [(block.role, block.text, block.place) for block in document.blocks] == [
        (Role.HEADING, "Harbour", 4),
        (Role.PARAGRAPH, "Ships arrive every morning with grain.", 6),
        (Role.CODE, 'print("not a sentence")', 9),
        (Role.HEADING, "Cranes", 13),
        (Role.ITEM, "one old crane", 15),
        (Role.ITEM, "crane | tons", 17),
        (Role.ITEM, "old | 40", 19),
    ]


def test_plain_text_shows_its_headings(workspace: Workspace) -> None:
    (workspace.root / "harbour.txt").write_text(PLAIN)
    blocks = read_document(workspace, "harbour.txt").blocks
    headings = [(block.text, block.level, block.place) for block in blocks if block.role is Role.HEADING]
    assert headings == [("HARBOUR REPORT", 1, 1), ("1. Ships", 1, 3), ("1.2 Old cranes", 2, 7), ("Weather", 2, 10)]
    assert [block.text for block in blocks if block.role is Role.ITEM] == ["rain", "more rain"]
    assert "Ships arrive every morning with grain." in [block.text for block in blocks]


def test_docx_becomes_blocks(workspace: Workspace) -> None:
    office.word(workspace.root / "harbour.docx")
    document = read_document(workspace, "harbour.docx")
    assert document.title == "The Harbour Report"
    assert [(block.role, block.level) for block in document.blocks if block.level] == [
        (Role.HEADING, 1),
        (Role.HEADING, 2),
    ]
    assert [block.text for block in document.blocks if block.role is Role.ITEM] == [
        "grain and salt",
        "crane | tons",
        "old one | forty",
    ]


def test_pdf_has_pages_and_its_bookmarks_are_headings(workspace: Workspace) -> None:
    pages = [["Ships", "Ships arrive every morning."], ["CAPITALS ARE NO HEADING HERE", "Cranes lift."]]
    office.pdf(workspace.root / "harbour.pdf", pages, bookmarks=["Ships", "Cranes"])
    document = read_document(workspace, "harbour.pdf")
    assert document.unit == "page"
    assert [(b.text, b.place) for b in document.blocks if b.role is Role.HEADING] == [("Ships", 1), ("Cranes", 2)]


def test_pdf_without_bookmarks_shows_lines_that_look_like_headings(workspace: Workspace) -> None:
    office.pdf(workspace.root / "plain.pdf", [["1. Ships", "Ships arrive every morning."]])
    document = read_document(workspace, "plain.pdf")
    assert [block.text for block in document.blocks if block.role is Role.HEADING] == ["1. Ships"]


def test_pdf_with_an_empty_password_is_open_and_with_another_closed(workspace: Workspace) -> None:
    office.pdf(workspace.root / "locked.pdf", [["Hidden words."]], password="x1")
    with pytest.raises(FileEncrypted):
        read_document(workspace, "locked.pdf")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("empty.md", b"", FileEmpty),
        ("blank.md", b"\n\n  \n", FileEmpty),
        ("picture.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100), FileBinary),
        ("nul.txt", b"some text\0and more", FileBinary),
        ("noise.txt", bytes(range(1, 32)) * 10, FileBinary),
        ("broken.pdf", b"%PDF-1.7\nthis is no PDF at all", FileBroken),
        ("renamed.pdf", b"just words", FileBroken),
        ("broken.docx", b"PK\x03\x04" + bytes(200), FileBroken),
        ("renamed.docx", b"just words", FileBroken),
        ("book.xlsx", b"PK\x03\x04" + bytes(200), KindUnsupported),
    ],
)
def test_hostile_documents_are_refused_by_name(
    workspace: Workspace, name: str, content: bytes, error: type[HubError]
) -> None:
    (workspace.root / name).write_bytes(content)
    with pytest.raises(error, match=name.replace(".", r"\.")):
        read_document(workspace, name)


def test_a_file_of_one_gigabyte_is_refused_without_reading_it(workspace: Workspace) -> None:
    with (workspace.root / "huge.txt").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(FileTooLarge, match=r"huge\.txt has 1 GB; this skill takes at most 20 MB"):
        read_document(workspace, "huge.txt")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(workspace: Workspace) -> None:
    office.bomb(workspace.root / "bomb.docx", "word/document.xml")
    with pytest.raises(FileBomb, match="60 MB"):
        read_document(workspace, "bomb.docx")


def test_an_office_file_with_a_password_is_named_as_such(workspace: Workspace) -> None:
    office.encrypted_office(workspace.root / "locked.docx")
    with pytest.raises(FileEncrypted):
        read_document(workspace, "locked.docx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_is_read_in_its_encoding(encoding: str) -> None:
    text = "Das Café über der Straße ist naïv. Größe und Übermut fließen; été, garçon, où.\nZweite Zeile.\n"
    assert decode(text.replace("\n", "\r\n").encode(encoding)) == text
