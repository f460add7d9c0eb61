"""What kind of file a name and its first bytes promise, how large it may be, and the cheap refusals.

The hub asks this before a persona bids (`runner.SkillRunner.check`), the child again before it reads.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from adapters.skills.closed import shown
from adapters.skills.errors import FileBinary, FileBroken, FileEmpty, FileEncrypted, FileTooLarge

if TYPE_CHECKING:
    from typing import BinaryIO

DOCUMENT_BYTES = 20_000_000
TABLE_BYTES = 50_000_000
SOURCE_BYTES = 2_000_000
"""The largest file that is searched or scanned as one of many."""

HEAD_BYTES = 4096

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2: old Office files, and new ones with a password
_ZIP = b"PK\x03\x04"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-16: its text is full of NUL bytes
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b\x08")
_MOST_CONTROL = 0.05


class _Facts(NamedTuple):
    words: str
    suffixes: frozenset[str]
    limit: int
    magic: bytes = b""


class Kind(Enum):
    """The kinds of file that skills read."""

    MARKDOWN = _Facts("Markdown", frozenset({".md", ".markdown", ".mdown"}), DOCUMENT_BYTES)
    PDF = _Facts("PDF", frozenset({".pdf"}), DOCUMENT_BYTES, b"%PDF-")
    DOCX = _Facts("DOCX", frozenset({".docx"}), DOCUMENT_BYTES, _ZIP)
    TABLE = _Facts("a table", frozenset({".csv", ".tsv", ".tab"}), TABLE_BYTES)
    EXCEL = _Facts("an Excel file", frozenset({".xlsx", ".xlsm"}), TABLE_BYTES, _ZIP)
    TEXT = _Facts("text", frozenset(), DOCUMENT_BYTES)  # the rest, if its bytes agree


TABLES = frozenset({Kind.TABLE, Kind.EXCEL})


def kind_of(path: str) -> Kind:
    """The kind that a file's name promises."""
    suffix = PurePosixPath(path).suffix.casefold()
    return next((kind for kind in Kind if suffix in kind.value.suffixes), Kind.TEXT)


def inspect(file: BinaryIO, path: str, kind: Kind, limit: int | None = None) -> None:
    """Refuse a file by its size (the kind's limit, or a given one) and its first bytes, and leave it rewound.

    Raises `FileEmpty`, `FileTooLarge`, `FileEncrypted`, `FileBroken` or `FileBinary`.
    """
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise FileEmpty(path=shown(path))
    most = kind.value.limit if limit is None else limit
    if size > most:
        raise FileTooLarge(path=shown(path), size=spoken_size(size), limit=spoken_size(most))
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if len(head) == size and not head.strip():
        raise FileEmpty(path=shown(path))
    if head.startswith(_OLE):
        raise FileEncrypted(path=shown(path))
    magic = kind.value.magic
    if magic and magic not in head[:1024]:
        raise FileBroken(path=shown(path), kind=kind.value.words, why="it does not begin like one")
    if not magic and looks_binary(head):
        raise FileBinary(path=shown(path))


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file are not text in any usual encoding."""
    if head.startswith(_WIDE_MARKS):
        return False
    if head.startswith((b"%PDF-", _ZIP)):
        return True
    control = sum(byte in _CONTROL for byte in head)
    return 0 in head or control > _MOST_CONTROL * len(head)


def spoken_size(size: float) -> str:
    """A size in bytes as people say it: 1 GB, 20 MB, 512 bytes."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} bytes"
