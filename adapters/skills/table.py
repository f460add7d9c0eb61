"""A CSV, TSV or Excel file as a typed table; what it takes to trust neither its size nor its delimiters."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from adapters.skills.closed import shown
from adapters.skills.damage import reading
from adapters.skills.errors import FileBroken, FileEmpty, KindUnsupported
from adapters.skills.job import counted, listed
from adapters.skills.kinds import TABLES, Kind, inspect, kind_of
from adapters.skills.numerals import MOSTLY, SURE, Style, bare, is_decimal_comma, read, remark, style_of
from adapters.skills.sheets import MOST_COLUMNS, open_book, rows_of
from adapters.skills.texts import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapters.skills.workspace import Workspace

MOST_ROWS = 1_000_000
LONGEST_LINE = 1_000_000
"""The longest line of a table in characters: a longer one is not a row that anybody meant."""

_ROWS_TO_JUDGE = 500
_MOST_EXAMPLES = 3
_NAMELESS = re.compile(r"Unnamed: \d+|column \d+")
_DATE = re.compile(
    r"\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2} \w{3,9} \d{4}|\w{3,9} \d{4}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file with typed columns (numbers, dates, words), and remarks on how it was read.

    `written` has, as the file has them, the cells of those columns of numbers or dates that are not so in every cell;
    `empty` are columns with a name and nothing else, which are not in the frame.
    """

    path: str
    frame: pd.DataFrame
    remarks: tuple[str, ...] = ()
    written: dict[str, pd.Series[str]] = field(default_factory=dict)
    empty: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        """How many rows there are, as far as it was read."""
        rows = counted(len(self.frame), "row")
        return f"at least {rows}" if len(self.frame) >= MOST_ROWS else rows

    def of_kind(self, kind: str) -> list[str]:
        """The names of the columns of a kind: `number`, `date` or `words`."""
        return [name for name in self.frame.columns if kind_of_column(self.frame[name]) == kind]

    def odd(self, name: str) -> list[str]:
        """The cells of a column of numbers or dates that are filled in and are no such thing."""
        return list(self.written[name][self.frame[name].isna()].dropna()) if name in self.written else []

    def missing(self, name: str) -> int:
        """How many cells of a column are empty."""
        return int(self.frame[name].isna().sum()) - len(self.odd(name))

    def told(self, name: str) -> str:
        """`price: 3 of 40 cells are no numbers, such as tbd`; "" if each is one or empty."""
        if not (odd := self.odd(name)):
            return ""
        noun = "number" if kind_of_column(self.frame[name]) == "number" else "date"
        are = f"is no {noun}" if len(odd) == 1 else f"are no {noun}s"
        alike = ", ".join(shown(cell) for cell, _ in Counter(odd).most_common(_MOST_EXAMPLES))
        return f"{name}: {len(odd):,} of {counted(len(self.frame), 'cell')} {are}, such as {alike}"


def read_table(workspace: Workspace, path: str) -> Table:
    """Read a table. Raises the errors of opening and `kinds.inspect`, `KindUnsupported`, `FileBroken`, `FileBomb`."""
    kind = kind_of(path)
    if kind not in TABLES:
        raise KindUnsupported(path=shown(path), skill="seer", kinds="a CSV, TSV or Excel (.xlsx) file")
    with workspace.open(path) as file:
        inspect(file, path, kind)
        delimiter, frame, remarks = (
            ("", *_excel(file, path)) if kind is Kind.EXCEL else _separated(decode(file.read()), path)
        )
    whole, frame = frame, frame.dropna(axis="columns", how="all").dropna(axis="index", how="all")
    if frame.empty:
        raise FileEmpty(path=shown(path))
    empty = tuple(name for name in map(str, whole) if name not in frame and not _NAMELESS.fullmatch(name))
    if empty:
        remarks.append(f"nothing but a name is in {listed(empty)}")
    return Table(path, *_typed(frame, delimiter, remarks), empty)


def kind_of_column(column: pd.Series[Any]) -> str:
    """`number`, `date` or `words`; yes and no are words."""
    if pd.api.types.is_bool_dtype(column):
        return "words"
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    return "date" if pd.api.types.is_datetime64_any_dtype(column) else "words"


def _typed(
    frame: pd.DataFrame, delimiter: str, remarks: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, pd.Series[str]]]:
    """Columns of words as numbers or dates, where most of one is; what does not fit becomes missing, and is kept."""
    words = {name: frame[name].dropna().astype(str).str.strip() for name in frame if _is_words(frame[name])}
    numbers = {name: bare(column) for name, column in words.items()}
    styles = {name: style_of(column) for name, column in numbers.items()}
    read_as: dict[Any, pd.Series[Any]] = {}
    for name, style in styles.items():
        decimal = is_decimal_comma(style, styles.values(), delimiter)
        found = _as_numbers(numbers[name], style, decimal_comma=decimal)
        if found is None or found.notna().mean() < SURE:
            dates = _as_dates(words[name])
            found = found if dates is None else dates
        is_number = found is not None and kind_of_column(found) == "number"
        if (is_number or style is Style.MIXED) and (said := remark(numbers[name], style, decimal_comma=decimal)):
            remarks.append(f"{name}: {said}")
        if found is not None:
            read_as[name] = found.reindex(frame.index)
    written = {
        str(name): words[name].reindex(frame.index) for name, found in read_as.items() if _lacks(found, words[name])
    }
    return frame.assign(**read_as), tuple(remarks), written


def _lacks(found: pd.Series[Any], words: pd.Series[str]) -> bool:
    """Whether some of the words were not read."""
    return int(found.notna().sum()) < len(words)


def _is_words(column: pd.Series[Any]) -> bool:
    return kind_of_column(column) == "words" and not pd.api.types.is_bool_dtype(column)


def _as_numbers(numbers: pd.Series[str], style: Style, *, decimal_comma: bool) -> pd.Series[Any] | None:
    if style in {Style.NONE, Style.MIXED}:
        return None
    found = read(numbers, decimal_comma=decimal_comma)
    return found if found.notna().mean() > MOSTLY else None


def _as_dates(words: pd.Series[str]) -> pd.Series[Any] | None:
    if words.str.fullmatch(_DATE.pattern).mean() < SURE:
        return None
    dates = pd.to_datetime(words, errors="coerce", format="mixed", dayfirst=_dayfirst(words), utc=True)
    return dates.dt.tz_localize(None) if dates.notna().mean() >= SURE else None


def _dayfirst(words: pd.Series[str]) -> bool:
    """Dots are written where the day comes first; with slashes, a first number above 12 gives it away."""
    first = pd.to_numeric(words.str.extract(r"^(\d{1,2})[./]", expand=False), errors="coerce")
    return bool(words.str.contains(r"^\d{1,2}\.", regex=True).any() or (first > 12).any())  # noqa: PLR2004 - months


def _separated(text: str, path: str) -> tuple[str, pd.DataFrame, list[str]]:
    """The delimiter of a text, its table, and remarks."""
    if max(map(len, text.split("\n"))) > LONGEST_LINE:
        raise FileBroken(path=shown(path), kind="a table", why=f"a line is longer than {LONGEST_LINE:,} characters")
    delimiter, text = _delimiter(text[:20_000]), text.replace("\0", "")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            frame = _parsed(text, delimiter)
            odd = sum(str(warning.message).count("Skipping line") for warning in caught)
            if doubtful := _doubtful(frame, text, delimiter):
                frame = _parsed(text, delimiter, words=doubtful)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
            raise FileBroken(path=shown(path), kind="a table", why="its rows do not fit together") from error
    remarks = [f"{counted(odd, 'line')} did not fit and {'was' if odd == 1 else 'were'} left out"] if odd else []
    return delimiter, *_bounded(frame, remarks)


def _parsed(text: str, delimiter: str, *, words: Sequence[str] = (), rows: int = MOST_ROWS) -> pd.DataFrame:
    """The rows of a text; the columns named are left as words."""
    return pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        nrows=rows,
        on_bad_lines="warn",
        skipinitialspace=True,
        index_col=False,
        dtype=dict.fromkeys(words, str),
    )


def _doubtful(frame: pd.DataFrame, text: str, delimiter: str) -> list[str]:
    """Columns read as decimal fractions, in a file that has decimal commas, whose points may be marks of thousands."""
    fractions = [str(name) for name in frame if pd.api.types.is_float_dtype(frame[name])]
    others = (frame[name].dropna().astype(str) for name in frame if _is_words(frame[name]))
    if not fractions or not (
        delimiter == ";" or any(style_of(bare(column)) is Style.DECIMAL_COMMA for column in others)
    ):
        return []
    head = _parsed(text, delimiter, words=fractions, rows=_ROWS_TO_JUDGE)
    return [name for name in fractions if style_of(bare(head[name].dropna())) is Style.EITHER_POINT]


def _delimiter(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, ",;\t|").delimiter
    except csv.Error:
        first = sample.split("\n", 1)[0]
        return max(",;\t|", key=first.count)


def _excel(file: BinaryIO, path: str) -> tuple[pd.DataFrame, list[str]]:
    """The first sheet with anything in it."""
    with reading(path, Kind.EXCEL.value.words):
        book = open_book(file, path)
        for sheet in book.worksheets:
            rows = [row for _, row in islice(rows_of(sheet), MOST_ROWS + 1)]
            if rows:
                others = ", ".join(shown(other.title) for other in book.worksheets if other.title != sheet.title)
                return _bounded(_framed(rows), [f"read the sheet {shown(sheet.title)}, not {others}"] if others else [])
    raise FileEmpty(path=shown(path))


def _framed(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    """The first row that is more than a caption names the columns."""
    width = max(map(len, rows))
    while len(rows) > 1 and sum(value is not None for value in rows[0]) * 3 <= width:
        rows = rows[1:]
    padded: Iterable[tuple[object, ...]] = (row + (None,) * (width - len(row)) for row in rows)
    header, *body = padded
    names = [str(name) if name is not None else f"column {place}" for place, name in enumerate(header, 1)]
    return pd.DataFrame(body, columns=names)


def _bounded(frame: pd.DataFrame, remarks: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Column names that can be shown and told apart; no more rows and columns than the limits."""
    if len(frame.columns) > MOST_COLUMNS:
        remarks.append(f"only the first {MOST_COLUMNS} of {len(frame.columns):,} columns were read")
        frame = frame.iloc[:, :MOST_COLUMNS]
    if len(frame) >= MOST_ROWS:
        remarks.append(f"only the first {MOST_ROWS:,} rows were read")
        frame = frame.iloc[:MOST_ROWS]
    names: dict[str, int] = {}
    for place, name in enumerate(map(str, frame.columns), 1):
        plain = shown(" ".join(name.split())[:40]) or f"column {place}"
        names[plain if plain not in names else f"{plain} ({place})"] = place
    return frame.set_axis(list(names), axis="columns"), remarks
