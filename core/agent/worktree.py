"""The port to a worktree: a copy of a folder of the workspace, in which an agent changes code on a branch of its own.

What people have is not touched. What comes of the work is a file that `git apply` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from core.agent.skill import Outcome, Skills

DIFF = "change.diff"
"""The name of that file."""


class Change(NamedTuple):
    """What was changed, in words, the names of the files, and that file; None where nothing was."""

    words: str
    files: tuple[str, ...] = ()
    diff: Path | None = None


class Worktree(Protocol):
    """One of them, as long as it is open."""

    branch: str
    folder: Path
    """Where its files are; nothing else is in there. A box runs a program in a copy of it."""

    skills: Skills
    """What reads and searches in it, as elsewhere in the workspace."""

    async def change(self, path: str, how: str, **options: str) -> Outcome:
        """Write a file: `new`, `replace` or `append` (`content`), `edit` (`old`, `new`, `all`), or `remove` it."""

    async def commit(self, message: str) -> str:
        """Commit what has changed since the last time to the branch; says what, or that it is nothing."""

    async def diff(self) -> Change:
        """All that was changed since it was opened, committed or not. The file lasts as long as the worktree."""


class Worktrees(Protocol):
    """Makes them."""

    async def project(self, names: Sequence[str]) -> str:
        """The folder of the project that the first of these names lies in which there is; empty where there is none of them."""

    def open(self, folder: str, branch: str) -> AbstractAsyncContextManager[Worktree]:
        """A worktree of a folder of the workspace, on a new branch; nothing of it is left after the block.

        Raises what the path helper does, `UserError`s for a name that is no branch's, and for a folder that is too large.
        """
