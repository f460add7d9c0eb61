"""The port through which a persona does work without a model.

A skill reads files of the workspace and answers with text and files. It is matched by the words of a task,
checked against the real file before its persona may bid (an honest bid), and run apart from the hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Match(NamedTuple):
    """A skill that understands a task: its name, the subject it found (a workspace path or a query), its options.

    `fit` is 0.0 to 1.0: how surely the words of the task mean this skill (1.0: verb and file both named).
    """

    skill: str
    subject: str
    fit: float
    options: tuple[tuple[str, str], ...] = ()


class Outcome(NamedTuple):
    """What a skill delivers: plain text (Markdown), and the files it wrote into the folder it was given."""

    text: str
    files: tuple[Path, ...] = ()


class Skills(Protocol):
    """All skills of this machine."""

    def offered(self, skills: Sequence[str]) -> tuple[str, ...]:
        """Those of the named skills that can run on this machine now (their libraries are there)."""

    def match(self, skills: Sequence[str], description: str) -> Match | None:
        """The best of the named skills for a task's words, or None. Pure and fast: no file is touched."""

    async def check(self, match: Match) -> None:
        """Raise a `UserError` with what to do if the subject cannot be worked on: missing, closed, too large, binary."""

    async def run(self, match: Match, out: Path) -> Outcome:
        """Do the work, writing files only into `out`. Raises `UserError` or `Unavailable`, each with one clear line."""
