"""For tools: every line with a text, or that fits a regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adapters.skills.alarm import at_most
from adapters.skills.closed import shown
from adapters.skills.errors import PatternBad, PatternSlow, QueryMissing
from adapters.skills.job import counted, left_out_of
from adapters.skills.kinds import SOURCE_BYTES, Kind, inspect
from adapters.skills.texts import decode
from adapters.skills.workspace import Walk
from core.agent.skill import Outcome
from core.errors import UserError

if TYPE_CHECKING:
    from adapters.skills.job import Job

SECONDS = 5
"""How long all files together may take: some expressions take for ever on an innocent line."""

_MOST_HITS = 60
_MOST_LETTERS = 160


def grep(job: Job) -> Outcome:
    """Search for `job.subject`, text or expression by the option `how`, in the file or folder of the option `in`."""
    if not job.subject.strip():
        raise QueryMissing
    try:
        wanted = re.compile(
            job.subject if job.options.get("how") == "pattern" else re.escape(job.subject), re.IGNORECASE
        )
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternBad(pattern=shown(job.subject), why=error) from None
    top = job.workspace.find(job.options.get("in", "."))
    walk = job.workspace.walk(top) if job.workspace.is_folder(top) else Walk((top,), 0)
    try:
        with at_most(SECONDS):
            return _found(job, walk, wanted)
    except TimeoutError:
        raise PatternSlow(pattern=shown(job.subject), seconds=SECONDS) from None


def _found(job: Job, walk: Walk, wanted: re.Pattern[str]) -> Outcome:
    hits: list[str] = []
    files = count = unread = 0
    for path in walk.files:
        try:
            with job.workspace.open(path) as file:
                inspect(file, path, Kind.TEXT, SOURCE_BYTES)
                lines = decode(file.read()).split("\n")
        except UserError:
            unread += 1
            continue
        found = [(number, match) for number, line in enumerate(lines, 1) if (match := wanted.search(line))]
        files += bool(found)
        count += len(found)
        hits += [f"{path}:{number}: {_around(match)}" for number, match in found[: _MOST_HITS - len(hits)]]
    left_out = left_out_of(walk.left_out + unread, is_whole=walk.is_whole)
    aside = f" ({left_out} left out: private, no text, or very large)" if left_out else ""
    where = f"{counted(len(walk.files) - unread, 'file')} searched{aside}"
    if not hits:
        return Outcome(f"Nothing was found for {shown(job.subject)}; {where}.")
    rest = [f"(and {count - len(hits):,} more lines: search in one folder, or for more)"] if count > len(hits) else []
    return Outcome("\n".join([f"{counted(count, 'line')} of {counted(files, 'file')}; {where}.", *hits, *rest]))


def _around(match: re.Match[str]) -> str:
    """The line of a hit, or what stands around it in a long one."""
    line = match.string
    if len(line) <= _MOST_LETTERS:
        return line.strip()
    start = max(0, min(match.start() - _MOST_LETTERS // 3, len(line) - _MOST_LETTERS))
    return f"…{line[start : start + _MOST_LETTERS].strip()}…"
