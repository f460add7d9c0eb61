"""The guard against archives that unpack to far more than they weigh: DOCX and XLSX are zip files."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.damage import reading
from adapters.skills.errors import FileBomb, FileEncrypted
from adapters.skills.kinds import spoken_size

if TYPE_CHECKING:
    from typing import BinaryIO

    from adapters.skills.kinds import Kind

UNPACKED_BYTES = 300_000_000
"""What an Office file may hold when unpacked; zipfile never yields more than the sizes it states."""

_UNPACKED_RATIO = 200
_SMALL_PART = 10_000_000


def guard_archive(file: BinaryIO, path: str, kind: Kind) -> None:
    """Refuse an Office file that unpacks to too much, before any library unpacks it; leave it rewound."""
    with reading(path, kind.value.words, "its archive is damaged"), zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    dense = any(p.file_size > max(_SMALL_PART, _UNPACKED_RATIO * p.compress_size) for p in parts)
    if total > UNPACKED_BYTES or dense:
        raise FileBomb(path=shown(path), size=spoken_size(total))
    if any(part.flag_bits & 1 for part in parts):
        raise FileEncrypted(path=shown(path))
    file.seek(0)
