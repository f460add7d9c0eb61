"""Numbers as people write them: 1,234.5 and 1.234,5 and 1 234,5 are one number, and 1,234 can be two.

A column is judged as a whole: one value that can be read in one way only decides for all. Where none does, the rest of
the file decides, and the answer says how it was read.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Collection

SURE = 0.95
"""The share of a column that must be of one kind for it to be that before all else."""

MOSTLY = 0.5
"""The share of a column beyond which it is one of numbers with some words among them."""

_SAMPLE = 1_000
_AROUND = r"[\s$€£¥%'\u2019]"
_LOOKS = r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?"
_COMMA_DECIMAL = r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+"
_COMMA_THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:,\d{2})+,\d{3})(?:\.\d+)?"
_POINT_DECIMAL = r"[-+]?\d*\.\d+"
_POINT_THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+"
_WHOLE = r"[-+]?\d+"


class Style(Enum):
    """How a column of numbers is written."""

    PLAIN = "1234.5"
    DECIMAL_COMMA = "1.234,5"
    THOUSANDS_COMMA = "1,234.5"
    EITHER_COMMA = "1,234"
    EITHER_POINT = "1.234"
    MIXED = "1,5 and 1,234.5"
    NONE = "words"


def bare(words: pd.Series[str]) -> pd.Series[str]:
    """Words without blanks, currencies and what else stands round a number."""
    return words.str.replace(_AROUND, "", regex=True)


def style_of(numbers: pd.Series[str]) -> Style:
    """How numbers are written, made `bare` before; `NONE` if they do not look like numbers."""
    if numbers.head(_SAMPLE).str.fullmatch(_LOOKS).mean() < MOSTLY:
        return Style.NONE
    numbers = numbers[numbers.str.fullmatch(_LOOKS)]
    decimal, thousands = numbers.str.fullmatch(_COMMA_DECIMAL), numbers.str.fullmatch(_COMMA_THOUSANDS)
    if (decimal & ~thousands).any():
        pointed = numbers.str.fullmatch(_POINT_DECIMAL) & ~numbers.str.fullmatch(_POINT_THOUSANDS)
        return Style.MIXED if ((thousands & ~decimal) | pointed).any() else Style.DECIMAL_COMMA
    if (thousands & ~decimal).any():
        return Style.THOUSANDS_COMMA
    if decimal.any():
        return Style.EITHER_COMMA
    pointed = numbers.str.fullmatch(_POINT_THOUSANDS)
    if pointed.any() and (pointed | numbers.str.fullmatch(_WHOLE)).mean() >= SURE:
        return Style.EITHER_POINT
    return Style.PLAIN


def is_decimal_comma(style: Style, styles: Collection[Style], delimiter: str) -> bool:
    """Whether a column so written has decimal commas, in a file with these styles of columns and this delimiter."""
    sure = Style.DECIMAL_COMMA in styles and Style.THOUSANDS_COMMA not in styles
    if style is Style.EITHER_COMMA:  # `;` is written where the comma is the decimal mark
        return sure or (delimiter == ";" and Style.THOUSANDS_COMMA not in styles)
    return style is Style.DECIMAL_COMMA or (style is Style.EITHER_POINT and sure)


def read(numbers: pd.Series[str], *, decimal_comma: bool) -> pd.Series[Any]:
    """Bare words as numbers; what is none is missing."""
    if decimal_comma:
        numbers = numbers.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    else:
        numbers = numbers.str.replace(",", "", regex=False)
    return pd.to_numeric(numbers, errors="coerce")


def remark(numbers: pd.Series[str], style: Style, *, decimal_comma: bool) -> str:
    """How a column was read that can be read in two ways, by its first such value; "" if there was no choice."""
    if style is Style.MIXED:
        return "its numbers are written with decimal commas and with decimal points, so they were read as words"
    if style not in {Style.EITHER_COMMA, Style.EITHER_POINT}:
        return ""
    mark, name, pattern = (
        (",", "comma", _COMMA_DECIMAL) if style is Style.EITHER_COMMA else (".", "point", _POINT_THOUSANDS)
    )
    first = str(numbers[numbers.str.fullmatch(pattern)].iloc[0])
    use = "as the decimal mark" if decimal_comma is (mark == ",") else "as a mark of thousands"
    return f"{first} was read with the {name} {use}"
