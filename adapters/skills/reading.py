"""For tools: the text of a file, from one line to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.documents import KINDS, read_document
from adapters.skills.errors import KindUnsupported, LinesMissing, NotAFile
from adapters.skills.job import counted
from adapters.skills.kinds import Kind, inspect, kind_of
from adapters.skills.texts import decode
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.skills.job import Job

MOST_LETTERS = 5_500
"""How much is read at once; the answer says where it goes on."""

_LONGEST_LINE = 4_000


def reading(job: Job) -> Outcome:
    """The file `job.subject` from the line of the option `first` to that of `last` (0: as far as there is room)."""
    path = job.workspace.find(job.subject)
    if job.workspace.is_folder(path):
        raise NotAFile(path=shown(path), what="a folder")
    lines = _lines(job, path)
    first, last = int(job.options.get("first", "1")), int(job.options.get("last", "0")) or len(lines)
    if first > len(lines):
        raise LinesMissing(path=shown(path), lines=counted(len(lines), "line"), first=first)
    kept = list(_fitting(lines[first - 1 : last]))
    end = first - 1 + len(kept)
    head = f"{shown(path)}, lines {first} to {end} of {len(lines):,}:"
    more = [] if end >= min(last, len(lines)) else [f"(it goes on: read it again from line {end + 1})"]
    return Outcome("\n".join([head, *kept, *more]))


def _lines(job: Job, path: str) -> list[str]:
    kind = kind_of(path)
    if kind is Kind.EXCEL:
        tables = "describe_table and query_table read tables"
        raise KindUnsupported(path=shown(path), skill="read_file", kinds=f"{KINDS}; {tables}")
    if kind in {Kind.PDF, Kind.DOCX}:
        return [line for block in read_document(job.workspace, path).blocks for line in block.text.split("\n")]
    with job.workspace.open(path) as file:
        inspect(file, path, Kind.TEXT)
        lines = decode(file.read()).split("\n")
    return lines[:-1] if not lines[-1] else lines


def _fitting(lines: list[str]) -> Iterator[str]:
    """As many lines as there is room for, the first in any case."""
    room = MOST_LETTERS
    for number, line in enumerate(lines):
        cut = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}… ({len(line):,} characters)"
        room -= len(cut) + 1
        if room < 0 and number:
            return
        yield cut
