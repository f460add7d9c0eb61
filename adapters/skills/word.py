"""DOCX as blocks, with python-docx."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import docx
from docx.table import Table

from adapters.skills.archives import guard_archive
from adapters.skills.blocks import Block, Role
from adapters.skills.damage import reading
from adapters.skills.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docx.text.paragraph import Paragraph


def read_docx(file: BinaryIO, path: str) -> Iterator[Block]:
    """The paragraphs and table rows of a DOCX in order. Raises `FileBroken`, `FileBomb`, `FileEncrypted`."""
    with reading(path, Kind.DOCX.value.words):
        guard_archive(file, path, Kind.DOCX)
        for number, item in enumerate(docx.Document(file).iter_inner_content(), 1):
            if isinstance(item, Table):
                yield from _rows(item, number)
            elif item.text.strip():
                yield _block(item, number)


def _rows(table: Table, number: int) -> Iterator[Block]:
    for row in table.rows:
        cells = dict.fromkeys(" ".join(cell.text.split()) for cell in row.cells)  # a merged cell comes once a column
        if words := " | ".join(filter(None, cells)):
            yield Block(Role.ITEM, words, number)


def _block(paragraph: Paragraph, number: int) -> Block:
    style = (paragraph.style.name if paragraph.style is not None else None) or ""
    text = " ".join(paragraph.text.split())
    if style == "Title":
        return Block(Role.TITLE, text, number)
    if level := re.fullmatch(r"Heading (\d)", style):
        return Block(Role.HEADING, text, number, int(level[1]))
    return Block(Role.ITEM if style.startswith("List") else Role.PARAGRAPH, text, number)
