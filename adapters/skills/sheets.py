"""An Excel file with openpyxl: values, not formulas; what the file says about its own extent is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from adapters.skills.archives import guard_archive
from adapters.skills.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openpyxl import Workbook

MOST_COLUMNS = 300


def open_book(file: BinaryIO, path: str) -> Workbook:
    """Open a guarded file; this and reading its rows belong into a block of `damage.reading`."""
    from openpyxl import load_workbook  # noqa: PLC0415 - a search without Excel files does without it

    guard_archive(file, path, Kind.EXCEL)
    return load_workbook(file, read_only=True, data_only=True, keep_links=False)


def rows_of(sheet: Any) -> Iterator[tuple[int, tuple[object, ...]]]:
    """The rows with anything in them: their numbers, and their values up to the last one, one beyond the limit at most."""
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS + 1, values_only=True), 1):
        if width := max((place for place, value in enumerate(row, 1) if value is not None), default=0):
            yield number, row[:width]
