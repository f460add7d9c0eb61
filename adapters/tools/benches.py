"""Where personas change code. The tools are loaded by the first task that does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from adapters.tools.here import Here
    from adapters.tools.worktree import Bench
    from core.agent.worktree import Worktrees


class Benches:
    """`core.agent.changing.Benches`. `command`: what runs the tests of a folder; empty where nothing says so."""

    def __init__(self, here: Here, command: Callable[[Path], Sequence[str]]) -> None:
        self._here = here
        self._command = command

    async def project(self, names: Sequence[str]) -> str:
        """See `Benches`."""
        from adapters.tools.code import needs_copies  # noqa: PLC0415 - for the first task

        return "" if needs_copies(self._here) else await self._worktrees().project(names)

    @asynccontextmanager
    async def open(self, folder: str, branch: str) -> AsyncIterator[Bench]:
        """See `Benches`."""
        from adapters.tools.worktree import Bench, Site, Suite, Within, meant  # noqa: PLC0415 - for the first task

        async with self._worktrees().open(folder, branch) as tree:
            path = partial(meant, folder, tree.folder)
            ports = {one.name: getattr(self._here, one.name) for one in fields(self._here)}
            site = Site(
                **{**ports, "skills": Within(tree.skills, path)}, tree=tree, path=path,
                suite=Suite(self._here.box, tree.folder, self._command),
            )  # fmt: skip
            yield Bench(site, folder, partial(self._worktrees().open, folder, branch))

    def _worktrees(self) -> Worktrees:
        assert self._here.worktrees is not None  # noqa: S101 - where nothing is lacking
        return self._here.worktrees()
