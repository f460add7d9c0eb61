"""What the hub finds out about a task's file before anybody bids: by its name, its size and its first bytes, cheaply.

Nothing of the file is parsed here: that is a child's (`look.py`), which a hostile file may take over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adapters.skills.asked import unheeded, unknown
from adapters.skills.catalogue import KNOWN, Takes
from adapters.skills.closed import shown
from adapters.skills.documents import KINDS
from adapters.skills.errors import (
    ChartUnable,
    FileEmpty,
    KindUnsupported,
    NothingNamed,
    SeveralFiles,
    SkillMissing,
    UnknownColumn,
)
from adapters.skills.job import listed
from adapters.skills.kinds import HEAD_BYTES, TABLES, Kind, inspect, kind_of
from adapters.skills.query import Query
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from adapters.skills.workspace import Workspace
    from core.agent.skill import Match

TABLE_KINDS = "a CSV, TSV or Excel (.xlsx) file; a document can be summarised or outlined"
_KNOWN = re.compile(r"\.(?:md|markdown|txt|pdf|docx|csv|tsv|tab|xlsx|xlsm|html?|json|ya?ml|log|py)$", re.IGNORECASE)


def check(workspace: Workspace, match: Match) -> str | None:
    """The path of the one file that a match is about; None if there is none. Raises what is wrong with it by its look."""
    if match.skill not in KNOWN:
        raise SkillMissing(skill=match.skill)
    takes, options = KNOWN[match.skill].takes, dict(match.options)
    if takes is Takes.QUERY:
        Query.parse(match.subject)
        workspace.find(options.get("in", "."))
    if takes in {Takes.QUERY, Takes.NOTHING}:
        return None
    if not match.subject:
        example = "sample.csv" if takes is Takes.TABLE else "welcome.md"
        raise NothingNamed(skill=match.skill, example=f"{match.skill} {example}")
    others = [other for other in options.get("also", "").split("\n") if _is_file(workspace, other)]
    if others:
        raise SeveralFiles(skill=match.skill, files=listed([match.subject, *others]))
    path = workspace.find(match.subject)
    if takes is Takes.ANYTHING and workspace.is_folder(path):
        return None
    kind = _suited(match.skill, path, takes)
    with workspace.open(path) as file:
        inspect(file, path, kind)
        if kind is Kind.TABLE:
            _check_head(file, path, options.get("words", ""))
    return path


def _suited(skill: str, path: str, takes: Takes) -> Kind:
    """The kind of a file as the skill reads it."""
    kind = kind_of(path)
    if takes is Takes.TABLE and kind not in TABLES:
        raise KindUnsupported(path=shown(path), skill=skill, kinds=TABLE_KINDS)
    if takes is Takes.DOCUMENT and kind is Kind.EXCEL:
        raise KindUnsupported(path=shown(path), skill=skill, kinds=KINDS)
    return Kind.TEXT if takes is Takes.ANYTHING else kind


def _is_file(workspace: Workspace, name: str) -> bool:
    """Whether a further word of the task is the name of a file, there or meant to be."""
    try:
        return bool(name) and (_KNOWN.search(name) is not None or bool(workspace.find(name)))
    except UserError:
        return False


def _check_head(file: BinaryIO, path: str, words: str) -> None:
    """Refuse a table without rows, and a chart that cannot be, by what the first lines name."""
    head = file.read(HEAD_BYTES)
    first, *rest = filter(None, map(bytes.strip, re.split(rb"[\r\n]+", head)))
    if not rest:
        if len(head) < HEAD_BYTES:
            raise FileEmpty(path=shown(path))
        return
    try:
        columns = _fields(first.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return
    cells = {cell for line in rest for cell in _fields(line.decode(errors="replace"))}
    if phrase := unheeded(columns, words, cells):
        raise ChartUnable(asked=shown(phrase))
    if phrase := unknown(columns, words):
        raise UnknownColumn(path=shown(path), named=shown(phrase), columns=listed(columns))


def _fields(line: str) -> list[str]:
    """What stands in a line of a table, as far as can be told without reading the rest."""
    names: Iterable[str] = line.split(max(",;\t|", key=line.count))
    return [name.strip(" \"'") for name in names]
