"""For tools: files of the workspace, for a program that runs elsewhere."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.errors import FileTooLarge, SameNames
from adapters.skills.kinds import DOCUMENT_BYTES, spoken_size
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.skills.job import Job


def copying(job: Job) -> Outcome:
    """Deliver copies of the files of `job.subject`, one a line, under their last names."""
    room = DOCUMENT_BYTES
    copies: list[Path] = []
    for name in filter(str.strip, job.subject.split("\n")):
        path = job.workspace.find(name)
        copy = job.out / PurePosixPath(path).name
        if copy in copies:
            raise SameNames(path=shown(copy.name))
        with job.workspace.open(path) as file, copy.open("xb") as target:
            room -= (size := file.seek(0, 2))
            if room < 0:
                raise FileTooLarge(
                    path=shown(path), size=spoken_size(size), limit=f"{spoken_size(DOCUMENT_BYTES)} together"
                )
            file.seek(0)
            shutil.copyfileobj(file, target)
        copies.append(copy)
    return Outcome("", tuple(copies))
