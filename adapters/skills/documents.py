"""One way to read a document, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from adapters.skills.blocks import Document
from adapters.skills.closed import shown
from adapters.skills.errors import FileEmpty, KindUnsupported, NoText
from adapters.skills.kinds import Kind, inspect, kind_of
from adapters.skills.texts import decode, markdown, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.skills.blocks import Block
    from adapters.skills.workspace import Workspace
    from core.errors import UserError

KINDS = "a text, Markdown, PDF or DOCX file"
"""What is read here, in words."""

MOST_LETTERS = 2_000_000
"""How much of a text is read as one document: it is parsed whole, and more would take too long."""

_UNITS = {Kind.PDF: "page", Kind.DOCX: "paragraph"}


def read_document(workspace: Workspace, path: str) -> Document:
    """Read the file at a path that `Workspace.find` gave. Raises what opening and inspecting raise, `KindUnsupported`, `NoText`."""
    kind = kind_of(path)
    if kind is Kind.EXCEL:
        raise KindUnsupported(path=shown(path), skill="quill", kinds=KINDS)
    with workspace.open(path) as file:
        inspect(file, path, kind)
        if kind in _UNITS:
            document = Document(path, tuple(_blocks(file, path, kind)), _UNITS[kind])
        else:
            document = _of_text(decode(file.read()), path, kind)
    if not any(block.text for block in document.blocks):
        raise _no_text(path, kind)
    return document


def _of_text(text: str, path: str, kind: Kind) -> Document:
    """The document of a text, or of the beginning of a very long one."""
    extent = ""
    if len(text) > MOST_LETTERS:
        text = text[: text.rfind("\n", 0, MOST_LETTERS) + 1 or MOST_LETTERS]
        extent = f", from its first {MOST_LETTERS:,} characters only"
    blocks = markdown(text) if kind is Kind.MARKDOWN else plain(text)
    return Document(path, tuple(blocks), extent=extent, text=text.strip())


def first_text(workspace: Workspace, path: str) -> None:
    """Read a PDF or DOCX as far as its first text. Raises like `read_document`."""
    kind = kind_of(path)
    with workspace.open(path) as file:
        inspect(file, path, kind)
        if not any(block.text for block in _blocks(file, path, kind)):
            raise _no_text(path, kind)


def _no_text(path: str, kind: Kind) -> UserError:
    """Pictures are in a PDF or DOCX only."""
    return NoText(path=shown(path)) if kind in _UNITS else FileEmpty(path=shown(path))


def _blocks(file: BinaryIO, path: str, kind: Kind) -> Iterator[Block]:
    """The blocks of a PDF or DOCX."""
    if kind is Kind.PDF:
        from adapters.skills.pdf import read_pdf  # noqa: PLC0415 - a child loads what its own document needs

        return read_pdf(file, path)
    from adapters.skills.word import read_docx  # noqa: PLC0415 - as above

    return read_docx(file, path)
