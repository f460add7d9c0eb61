"""For tools: a question in SQL to tables of the workspace, or to a SQLite file, answered as a table.

SQLite reads: it is told so itself (its authorizer), the file is a copy, and the time and size of an answer are bounded.
"""

from __future__ import annotations

import csv
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from adapters.skills.closed import shown
from adapters.skills.damage import reading
from adapters.skills.errors import FileBroken, FileTooLarge, SqlBad, SqlSlow
from adapters.skills.job import counted, listed
from adapters.skills.kinds import TABLE_BYTES, spoken_size
from core.agent.skill import Outcome
from core.chat import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from adapters.skills.job import Job

SECONDS = 10.0
SUFFIXES = (".sqlite", ".sqlite3", ".db", ".db3")
"""What the names of SQLite files end with."""

MOST_ROWS = 100_000
"""The most rows of an answer; they are in a file beside it."""

_SHOWN_ROWS = 100
_SHOWN_LETTERS = 8_000
_LONGEST_CELL = 200
_LONGEST_VALUE = 10_000_000
_MAGIC = b"SQLite format 3\x00"
_STEPS = 10_000
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


def select(job: Job) -> Outcome:
    """Answer the option `sql` over the files of `job.subject`, one a line: `data`, `data2` and so on; "" describes a database."""
    paths = [job.workspace.find(name) for name in job.subject.split("\n") if name.strip()]
    database = next((path for path in paths if path.casefold().endswith(SUFFIXES)), None)
    with closing(_copied(job, database) if database else _filled(job, paths)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        sql = job.options.get("sql", "").strip()
        with reading(database or paths[0], "a database"):
            tables = list(_tables(connection))
        if not sql:
            return Outcome("\n".join([f"{shown(paths[0])} has {counted(len(tables), 'table')}.", *tables]))
        return _answered(job, connection, sql, tables)


def _copied(job: Job, path: str) -> sqlite3.Connection:
    copy = job.scratch / "copy.sqlite"
    with job.workspace.open(path) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise FileBroken(path=shown(path), kind="a SQLite database", why="it does not begin like one")
        if (size := file.seek(0, 2)) > TABLE_BYTES:
            raise FileTooLarge(path=shown(path), size=spoken_size(size), limit=spoken_size(TABLE_BYTES))
        file.seek(0)
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
    connection = sqlite3.connect(f"file:{quote(str(copy))}?mode=ro&immutable=1", uri=True)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _filled(job: Job, paths: Sequence[str]) -> sqlite3.Connection:
    """Tables of CSV and Excel files, in memory: dates as text that sorts as they do."""
    import pandas as pd  # noqa: PLC0415 - a database does without

    from adapters.skills.table import kind_of_column, read_table  # noqa: PLC0415

    connection = sqlite3.connect(":memory:")
    for number, path in enumerate(paths, 1):
        frame = read_table(job.workspace, path).frame.copy()
        for name in frame.columns:
            if kind_of_column(frame[name]) == "date":
                days = pd.to_datetime(frame[name])
                has_times = bool((days.dropna() != days.dropna().dt.normalize()).any())
                frame[name] = days.dt.strftime("%Y-%m-%d %H:%M:%S" if has_times else "%Y-%m-%d")
            elif kind_of_column(frame[name]) == "words":
                frame[name] = frame[name].map(str, na_action="ignore")
        frame.to_sql("data" if number == 1 else f"data{number}", connection, index=False)
    connection.commit()
    return connection


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    """Each table with its columns."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' LIMIT 100"
    )
    for (name,) in names.fetchall():
        try:
            columns = connection.execute("SELECT name, type FROM pragma_table_info(?) LIMIT 300", (name,)).fetchall()
        except sqlite3.OperationalError:  # a view that calls what there is not here
            continue
        yield f"{shown(name)}: {listed([f'{column} {kind}'.strip() for column, kind in columns])}"


def _answered(job: Job, connection: sqlite3.Connection, sql: str, tables: Sequence[str]) -> Outcome:
    late = time.monotonic() + SECONDS
    connection.set_authorizer(_may)
    connection.set_progress_handler(lambda: int(time.monotonic() > late), _STEPS)
    try:
        cursor = connection.execute(sql)
        names = [str(column[0]) for column in cursor.description or ()]
        rows = cursor.fetchmany(MOST_ROWS + 1) if names else []
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
        if time.monotonic() > late:
            raise SqlSlow(seconds=f"{SECONDS:g}") from None
        hint = f" Tables: {'; '.join(tables)[:300]}"
        raise SqlBad(why=f"{shown(str(error))}.{hint}") from None
    if not names:
        raise SqlBad(why="it asks for nothing. Write a SELECT")
    return _told(job, names, rows)


def _may(action: int, *about: str | None) -> int:
    """SQLite's own question whether a step of a statement may be; of a function, `about` has the name second."""
    if action not in _READS or (action == sqlite3.SQLITE_FUNCTION and str(about[1]).casefold() in _FORBIDDEN):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _told(job: Job, names: Sequence[str], rows: list[tuple[Any, ...]]) -> Outcome:
    """A table of the first rows; of more, a file with all beside it."""
    extent = counted(len(rows), "row") if len(rows) <= MOST_ROWS else f"more than {MOST_ROWS:,} rows"
    lines = [f"| {' | '.join(map(_cell, names))} |", f"|{'---|' * len(names)}"]
    room, shown_rows = _SHOWN_LETTERS, 0
    for row in rows[:_SHOWN_ROWS]:
        line = f"| {' | '.join(map(_cell, row))} |"
        room -= len(line) + 1
        if room < 0 and shown_rows:
            break
        lines.append(line)
        shown_rows += 1
    if shown_rows == len(rows):
        return Outcome("\n".join([f"{extent}:", *lines]))
    file = _written(job.out / "result.csv", names, rows[:MOST_ROWS])
    return Outcome(
        "\n".join([f"{extent}, of which these are the first {shown_rows}; the others are in result.csv:", *lines]),
        (file,),
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"({counted(len(value), 'byte')})"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def _written(file: Path, names: Iterable[str], rows: Iterable[Sequence[object]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as target:
        table = csv.writer(target)
        table.writerow(map(_plain, names))
        table.writerows(map(_plain, row) for row in rows)
    return file


def _plain(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    text = readable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
