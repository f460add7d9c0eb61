"""`core.agent.worktree`: copies of folders of the workspace, in the hub's scratch, worked on in limited children.

The scratch is swept at each start of the hub, so a crash leaves nothing either.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.skills.fork import HISTORY, TREE
from adapters.skills.runner import SkillRunner
from core.agent.skill import Match
from core.agent.worktree import Change
from core.store import DiskFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.agent.skill import Outcome, Skills


class Worktrees:
    """`skills` are those of the workspace, `scratch` the folder that is swept."""

    def __init__(self, skills: Skills, scratch: Path) -> None:
        self._skills = skills
        self._scratch = scratch

    async def project(self, names: Sequence[str]) -> str:
        """See `Worktrees`."""
        home = await asyncio.to_thread(_new, self._scratch)
        try:
            return (await self._skills.run(Match("fork", "\n".join(names), 1.0, (("do", "project"),)), home)).text
        finally:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)

    @asynccontextmanager
    async def open(self, folder: str, branch: str) -> AsyncIterator[Tree]:
        """See `Worktrees`."""
        home = await asyncio.to_thread(_new, self._scratch)
        try:
            options = (("do", "open"), ("branch", branch))
            await self._skills.run(Match("fork", folder, 1.0, options), home)
            yield Tree(home, branch, self._scratch)
        finally:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


class Tree:
    """`core.agent.worktree.Worktree`."""

    def __init__(self, home: Path, branch: str, scratch: Path) -> None:
        self.branch = branch
        self.folder = home / TREE
        self.skills: Skills = SkillRunner(self.folder, scratch=scratch)
        self._home = home

    async def change(self, path: str, how: str, **options: str) -> Outcome:
        """See `Worktree`."""
        if how == "remove":
            return await self._run("fork", path, do="remove")
        return await self._run("change", path, how=how, **options)

    async def commit(self, message: str) -> str:
        """See `Worktree`."""
        return (await self._fork("commit", message=message)).text

    async def diff(self) -> Change:
        """See `Worktree`."""
        outcome = await self._fork("diff")
        words, _, names = outcome.text.partition("\n")
        return Change(words, tuple(filter(None, names.split("\t"))), outcome.files[0] if outcome.files else None)

    async def _fork(self, do: str, **options: str) -> Outcome:
        return await self._run(
            "fork", ".", do=do, branch=self.branch, **{HISTORY: str(self._home / HISTORY)}, **options
        )

    async def _run(self, skill: str, subject: str, **options: str) -> Outcome:
        out = await asyncio.to_thread(_new, self._home)
        return await self.skills.run(Match(skill, subject, 1.0, tuple(options.items())), out)


def _new(root: Path) -> Path:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="worktree-", dir=root))
    except OSError as error:
        raise DiskFull(why=error.strerror) from error
