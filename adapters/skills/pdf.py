"""PDF as blocks, with pypdf: bookmarks are its headings, or lines that look like headings."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from pypdf import PdfReader

from adapters.skills.blocks import Block, Role
from adapters.skills.closed import shown
from adapters.skills.damage import reading
from adapters.skills.errors import FileEncrypted
from adapters.skills.texts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_PAGES = 1_000


def read_pdf(file: BinaryIO, path: str) -> Iterator[Block]:
    """The bookmarks and text of a PDF, `MOST_PAGES` at most. Raises `FileBroken`, `FileEncrypted`."""
    with reading(path, "PDF", "its structure is damaged"):
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):  # many files are encrypted with an empty password
            raise FileEncrypted(path=shown(path))
        yield from _blocks(reader)


def _blocks(reader: PdfReader) -> Iterator[Block]:
    marks: dict[int, list[Block]] = {}
    for mark in _bookmarks(reader, reader.outline, 1):
        marks.setdefault(mark.place, []).append(mark)
    if title := str((reader.metadata and reader.metadata.title) or "").strip():
        yield Block(Role.TITLE, title, 1)
    for number, page in enumerate(reader.pages[:MOST_PAGES], 1):
        here = marks.get(number, [])
        yield from here
        known = {mark.text.casefold() for mark in here}
        for block in plain(page.extract_text()):
            if not marks:
                yield Block(block.role, block.text, number, block.level)
            elif block.text.casefold() not in known:
                yield Block(Role.PARAGRAPH if block.role is Role.HEADING else block.role, block.text, number)


def _bookmarks(reader: PdfReader, entries: object, level: int) -> Iterator[Block]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list):
            yield from _bookmarks(reader, entry, level + 1)
        elif (page := reader.get_destination_page_number(entry)) is not None and entry.title:
            yield Block(Role.HEADING, " ".join(str(entry.title).split()), page + 1, level)
