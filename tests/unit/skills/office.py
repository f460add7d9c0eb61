"""Real PDF, DOCX and XLSX files for tests, made with the libraries themselves."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import docx
import openpyxl
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def pdf(path: Path, pages: Sequence[Sequence[str]], *, bookmarks: Sequence[str] = (), password: str = "") -> None:
    """A PDF of text lines, one list for each page; the n-th bookmark leads to the n-th page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {NameObject(key): NameObject(value) for key, value in _FONT.items()},
    )
    for lines in pages:
        page = writer.add_blank_page(595, 842)
        text = DecodedStreamObject()
        text.set_data(f"BT /F1 12 Tf 14 TL 50 800 Td {' '.join(f'({line}) Tj T*' for line in lines)} ET".encode())
        page[NameObject("/Contents")] = text
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
    for number, title in enumerate(bookmarks):
        writer.add_outline_item(title=title, page_number=number)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    writer.write(path)


_FONT = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}


def word(path: Path) -> None:
    """A DOCX with a title, two headings, a list and a table."""
    document = docx.Document()
    document.add_heading("The Harbour Report", level=0)
    document.add_heading("Ships", level=1)
    document.add_paragraph("Ships arrive every morning with grain from the north. Dr. Reed counts them at noon.")
    document.add_paragraph("grain and salt", style="List Bullet")
    document.add_heading("Cranes", level=2)
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ("crane", "tons", "old one", "forty"), strict=True):
        cell.text = words
    document.save(str(path))


def excel(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """An XLSX with an empty first sheet, and a second with a caption over its rows."""
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Numbers")
    sheet.append(["A caption"])
    for row in rows:
        sheet.append(list(row))
    book.save(path)


def bomb(path: Path, part: str) -> None:
    """A zip file of a few kB whose one part unpacks to 60 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(part, "w") as file:
        for _ in range(60):
            file.write(bytes(1_000_000))


def encrypted_office(path: Path) -> None:
    """What Office writes for a file with a password: a compound file, not a zip ([MS-OFFCRYPTO] 2.3)."""
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + io.BytesIO(bytes(2048)).read())
