"""echo, search: the passages of the workspace that answer a query best, by file and line.

The index is SQLite's FTS5, built in memory for each query: BM25, Porter stems and quoted phrases come with Python.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.skills.alarm import at_most
from adapters.skills.closed import shown
from adapters.skills.damage import reading
from adapters.skills.documents import read_document
from adapters.skills.job import counted, left_out_of, shortened, such_as
from adapters.skills.kinds import SOURCE_BYTES, Kind, inspect, kind_of
from adapters.skills.query import Query
from adapters.skills.texts import decode
from adapters.skills.workspace import Walk
from core.agent.skill import Outcome
from core.chat import readable
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.skills.job import Job
    from adapters.skills.workspace import Workspace

MOST_HITS = 8
MOST_BYTES = 50_000_000
"""How much text is indexed for one query; files beyond it are counted as left out."""

SLOW_SECONDS = 25.0
"""How long all PDF, DOCX and Excel files together may take to read; the rest of them is left out, and counted."""

_HITS_A_FILE = 3
_LINES_A_PASSAGE = 12
_CHARACTERS_A_PASSAGE = 2_000
_SLOW = frozenset({Kind.PDF, Kind.DOCX, Kind.EXCEL})

_SCHEMA = "CREATE VIRTUAL TABLE passage USING fts5(path UNINDEXED, unit UNINDEXED, place UNINDEXED, words, \
tokenize='porter unicode61 remove_diacritics 2')"
_INSERT = "INSERT INTO passage VALUES (?, ?, ?, ?)"
_RANKED = "SELECT path, unit, place, words, snippet(passage, 3, '**', '**', ' … ', 30) \
FROM passage WHERE passage MATCH ? ORDER BY bm25(passage), path, place LIMIT 200"
_TOTAL = "SELECT count(*), count(DISTINCT path) FROM passage WHERE passage MATCH ?"
_EVERY = "SELECT path, unit, place, words, '' FROM passage ORDER BY path, place LIMIT 200"
_TOTAL_OF_EVERY = "SELECT count(*), count(DISTINCT path) FROM passage"
_AROUND = 100
"""How many characters are shown before and behind what was looked for as it stands."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best passages for a query, and how many there are in how many files."""

    rows: list[tuple[str, str, int, str, str]]
    places: int
    files: int


def search(job: Job) -> Outcome:
    """Search for `job.subject`, in the whole workspace or in the file or folder of the option `in`."""
    query = Query.parse(job.subject)
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(_SCHEMA)
        searched, left_out = _fill(index, job, query)
        exact, all_, some = (_found(index, match) for match in (query.exact(), query.strict(), query.loose()))
    extent = f"{counted(searched, 'file')} searched" + (f", {left_out}" if left_out else "")
    if not some.rows:
        named = shown(job.subject if '"' in job.subject else f'"{job.subject}"')
        hint = " Left out are private, secret, binary and very large files." if left_out else ""
        found = "was found" if searched else "could be searched"
        return Outcome(f"Nothing {found} for {named} ({extent}).{hint}")
    head = f"{_headline(job.subject, query, exact, all_, some)} ({extent}). The best:"
    rows = {row[:3]: row for row in (*(all_.rows or some.rows), *exact.rows)}
    best = [rows.pop(row[:3]) for row in exact.rows] + list(rows.values())
    text, _ = shortened([head, "", *_hits(best, query)], "There is more; add a word to narrow it down.")
    return Outcome(text)


def _found(index: sqlite3.Connection, match: str) -> Found:
    """The passages that match; all that are indexed, where there are only literals to look for."""
    if not match:
        return Found(index.execute(_EVERY).fetchall(), *index.execute(_TOTAL_OF_EVERY).fetchone())
    return Found(index.execute(_RANKED, (match,)).fetchall(), *index.execute(_TOTAL, (match,)).fetchone())


def _headline(subject: str, query: Query, exact: Found, all_: Found, some: Found) -> str:
    """How many passages hold what was asked for: as it stands, or at least all of its words, or some of them."""
    is_phrase = not query.phrases and not query.literals and len(query.words) > 1
    is_whole = is_phrase or bool(query.literals)
    named = shown(subject if '"' in subject else f'"{subject if is_whole else query.words[0]}"')
    best = all_ if all_.rows else some
    extent = f"{counted(best.places, 'passage')} of {counted(best.files, 'file')}"
    if all_.rows and (not is_phrase or exact.places == all_.places):
        return f"{named} is in {extent}"
    words = "its words" if len(query.words) == len(query.said) else "its main words"
    held = f"{'hold' if best.places != 1 else 'holds'} {'all' if all_.rows else 'some'} of {words}"
    if exact.rows:
        return f"{named} is in {counted(exact.places, 'passage')} as it stands; {extent} {held}"
    return f"No passage holds {'the phrase' if is_phrase else 'all of'} {named}; {extent} {held}"


def _fill(index: sqlite3.Connection, job: Job, query: Query) -> tuple[int, str]:
    """Index what has the query's literals; how many were searched, and how many were left out, with the names of a few."""
    top = job.workspace.find(job.options.get("in", "."))
    walk = job.workspace.walk(top) if job.workspace.is_folder(top) else Walk((top,), 0)
    size = 0
    searched: set[str] = set()
    slow_until = time.monotonic() + SLOW_SECONDS
    for path in walk.files:
        try:
            with at_most(slow_until - time.monotonic()) if kind_of(path) in _SLOW else nullcontext():
                passages = [
                    (path, unit, place, readable(words)) for unit, place, words in _passages(job.workspace, path)
                ]
        except (UserError, TimeoutError, MemoryError):
            continue
        size += sum(len(words) for *_, words in passages)
        if size > MOST_BYTES:
            break
        index.executemany(_INSERT, (passage for passage in passages if query.is_held(passage[-1])))
        searched.add(path)
    unread = [path for path in walk.files if path not in searched]
    left_out = left_out_of(walk.left_out + len(unread), is_whole=walk.is_whole)
    return len(searched), left_out and f"{left_out} left out{such_as([*unread, *walk.passed_over])}"


def _passages(workspace: Workspace, path: str) -> Iterator[tuple[str, int, str]]:
    """What counts its places, where it begins, and its words: a few lines of text, a block of a document, a row."""
    if kind_of(path) is Kind.EXCEL:
        yield from _rows(workspace, path)
        return
    if kind_of(path) in _SLOW:
        document = read_document(workspace, path)
        for block in document.blocks:
            yield document.unit, block.place, block.text[:_CHARACTERS_A_PASSAGE]
        return
    with workspace.open(path) as file:
        inspect(file, path, kind_of(path), SOURCE_BYTES)
        lines = decode(file.read()).split("\n")
    held: list[str] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            held.append(line[:_CHARACTERS_A_PASSAGE])
        if held and (not line.strip() or len(held) == _LINES_A_PASSAGE):
            yield "line", number - len(held) + (1 if line.strip() else 0), "\n".join(held)
            held = []


def _rows(workspace: Workspace, path: str) -> Iterator[tuple[str, int, str]]:
    """The rows of every sheet of an Excel file."""
    from adapters.skills.sheets import open_book, rows_of  # noqa: PLC0415 - only if there is one

    with workspace.open(path) as file, reading(path, Kind.EXCEL.value.words):
        inspect(file, path, Kind.EXCEL)
        for sheet in open_book(file, path).worksheets:
            for number, row in rows_of(sheet):
                words = " | ".join(str(value) for value in row if value is not None)
                yield f"{shown(sheet.title)}, row", number, words[:_CHARACTERS_A_PASSAGE]


def _hits(rows: list[tuple[str, str, int, str, str]], query: Query) -> Iterator[str]:
    """The best rows, at most a few of each file, as lines of the answer."""
    told: dict[str, int] = {}
    for path, unit, place, words, snippet in rows:
        if told.get(path, 0) == _HITS_A_FILE or sum(told.values()) == MOST_HITS:
            continue
        told[path] = told.get(path, 0) + 1
        where = f"{path}:{place + _line_of(words, query)}" if unit == "line" else f"{path}, {unit} {place}"
        marked = _snippet(words, query.literals[0]) if query.literals else snippet
        yield f"- {where}: {' '.join(marked.split())}"


def _snippet(words: str, literal: str) -> str:
    """What stands around a literal, which is marked."""
    found = re.search(r"\s+".join(map(re.escape, literal.split())), words, re.IGNORECASE)
    start, end = found.span() if found else (0, 0)  # in other letters: ss for sharp s
    return f"{words[max(0, start - _AROUND) : start]}**{words[start:end]}**{words[end : end + _AROUND]}".replace(
        "****", ""
    )


def _line_of(passage: str, query: Query) -> int:
    """Which line of a passage holds most of the query; the first if they are all alike."""
    wanted = {word.casefold()[:5] for word in (*query.words, *" ".join(query.phrases).split())} | set(query.literals)
    counts = [sum(stem in line.casefold() for stem in wanted) for line in passage.split("\n")]
    return counts.index(max(counts))
