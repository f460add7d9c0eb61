"""For tools: what is in a folder of the workspace."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.job import counted, left_out_of
from adapters.skills.kinds import spoken_size
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.skills.job import Job

_MOST_FILES = 150
"""How many files are listed one by one; of more, those of folders below are only counted."""

_MOST_LINES = 300


def listing(job: Job) -> Outcome:
    """List the folder `job.subject`; of a file, say how large it is."""
    top = job.workspace.find(job.subject or ".")
    if not job.workspace.is_folder(top):
        with job.workspace.open(top) as file:
            return Outcome(f"{shown(top)} is a file of {spoken_size(os.fstat(file.fileno()).st_size)}.")
    walk = job.workspace.walk(top)
    left_out = left_out_of(walk.left_out, is_whole=walk.is_whole)
    aside = f"; {left_out} left out, private or no plain files" if left_out else ""
    where = "The workspace" if top == "." else f"{shown(top)}/"
    head = f"{where} has {counted(len(walk.files), 'file')}{aside}."
    whole = len(walk.files) <= _MOST_FILES
    lines = list(_each(job, walk.files) if whole else _by_folder(job, top, walk.files))
    rest = [f"(and {len(lines) - _MOST_LINES:,} more: list one of the folders)"] if len(lines) > _MOST_LINES else []
    return Outcome("\n".join([head, *lines[:_MOST_LINES], *rest]))


def _each(job: Job, paths: tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        try:
            size = spoken_size(os.lstat(job.workspace.root / path).st_size)
        except OSError:  # it was there a moment ago
            continue
        yield f"{path} ({size})"


def _by_folder(job: Job, top: str, paths: tuple[str, ...]) -> Iterator[str]:
    """The files right in a folder, and how many are below each folder in it."""
    depth = len(PurePosixPath(top).parts)
    below: Counter[str] = Counter()
    here: list[str] = []
    for path in paths:
        parts = PurePosixPath(path).parts
        if len(parts) > depth + 1:
            below["/".join(parts[: depth + 1])] += 1
        else:
            here.append(path)
    yield from (f"{folder}/ ({counted(number, 'file')})" for folder, number in sorted(below.items()))
    yield from _each(job, tuple(here))
