"""What children found wrong with files: remembered while a file stays the same, so that nobody tries it again in vain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from adapters.skills.workspace import Workspace
    from core.agent.skill import Match
    from core.errors import UserError

MOST_FAULTS = 500


class Case(NamedTuple):
    """A match with the file it is about: its real path, what it is, its size and when it was last changed."""

    match: Match
    path: str
    stamp: tuple[int, ...]

    @classmethod
    def of(cls, workspace: Workspace, match: Match, path: str) -> Case:
        """The case as it is now; `path` is as `Workspace.find` gave it. Raises like `Workspace.open`."""
        with workspace.open(path) as file:
            status = os.fstat(file.fileno())
        return cls(match, path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


class Faults:
    """The newest findings: an error, or None for a file that was looked at and found sound."""

    def __init__(self) -> None:
        self._found: dict[Case, UserError | None] = {}

    def __contains__(self, case: Case) -> bool:
        return case in self._found

    def note(self, case: Case, error: UserError | None) -> None:
        """Remember a finding, and forget the oldest beyond `MOST_FAULTS`."""
        self._found[case] = error
        if len(self._found) > MOST_FAULTS:
            del self._found[next(iter(self._found))]

    def raise_for(self, case: Case) -> None:
        """Raise the error that is known of a case."""
        if (error := self._found.get(case)) is not None:
            raise type(error)(**error.facts)
