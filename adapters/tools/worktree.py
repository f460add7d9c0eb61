"""Tools that work in one worktree and reach nothing else: a task's own copy of a project, of which a person reads the diff."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from adapters.tools.changes import EVERYWHERE, NEW, OLD
from adapters.tools.declared import said, tool
from adapters.tools.files import list_files, read_file, search_files
from adapters.tools.here import Here
from adapters.tools.python import middle
from core.agent.changing import Work, untested, verdict
from core.agent.tool import Effect, Output, Use
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from adapters.tools.declared import Bound
    from core.agent.box import Box
    from core.agent.changing import Verdict
    from core.agent.skill import Match, Outcome, Skills
    from core.agent.worktree import Worktree

TEST_SECONDS = 90
"""Less than a call may take."""

MOST_SOURCES = 20

_PATH = Field(description="the file's path in the project, such as src/main.py, just as list_files shows it")


class Within:
    """The skills of a worktree; who writes a path as it is in the workspace means the same file."""

    def __init__(self, skills: Skills, path: Callable[[str], str]) -> None:
        self._skills = skills
        self._path = path

    def offered(self, skills: Sequence[str]) -> tuple[str, ...]:
        """See `Skills`."""
        return self._skills.offered(skills)

    def match(self, skills: Sequence[str], description: str) -> Match | None:
        """See `Skills`."""
        return self._skills.match(skills, description)

    async def check(self, match: Match) -> None:
        """See `Skills`."""
        await self._skills.check(self._meant(match))

    async def run(self, match: Match, out: Path) -> Outcome:
        """See `Skills`."""
        return await self._skills.run(self._meant(match), out)

    def _meant(self, match: Match) -> Match:
        if match.skill not in {"search", "grep"}:
            return match._replace(subject=self._path(match.subject))
        options = tuple((key, self._path(value) if key == "in" else value) for key, value in match.options)
        return match._replace(options=options)


class Suite:
    """The tests of a worktree, in a box; run once for what is the same. `command`: what runs those of a folder, if it is known."""

    def __init__(self, box: Box | None, folder: Path, command: Callable[[Path], Sequence[str]]) -> None:
        self._box = box
        self._folder = folder
        self._command = command
        self._known: Verdict | None = None

    def of(self, folder: Path) -> Suite:
        """The tests of another one."""
        return Suite(self._box, folder, self._command)

    def lacks(self) -> str:
        """Why they cannot be run; empty if they can."""
        return "it runs in a container, and there is no Docker" if self._box is None else self._box.lacks()

    def changed(self) -> None:
        """What is known of them is not so any more."""
        self._known = None

    async def run(self) -> Verdict:
        """What they say now."""
        if self._known is None:
            self._known = await self._ran()
        return self._known

    async def _ran(self) -> Verdict:
        if self._box is None or self.lacks():
            return untested(self.lacks())
        try:
            command = await asyncio.to_thread(self._command, self._folder)
            if not command:
                return untested("nothing in the project says how its tests are run")
            return verdict(command, await self._box.run_in(self._folder, command, seconds=TEST_SECONDS))
        except HubError as error:
            return untested(str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Here):
    """The ports of tools that work in a worktree; `skills` are the worktree's. `path`: what a name means in it."""

    tree: Worktree
    suite: Suite
    path: Callable[[str], str]

    async def change(self, path: str, how: str, **options: str) -> Output:
        """Have a file of it changed."""
        outcome = await self.tree.change(self.path(path), how, **options)
        self.suite.changed()
        return Output(outcome.text.partition(" restore_file")[0], outside=False)


def meant(folder: str, tree: Path, path: str) -> str:
    """What a path means in the worktree of a folder: one of the workspace loses the folder, unless there is such a one in it."""
    parts, top = PurePosixPath(path.strip()).parts, PurePosixPath(folder).parts
    if not top or parts[: len(top)] != top or (tree / parts[0]).exists():
        return path
    return PurePosixPath(*parts[len(top) :]).as_posix()


@tool(lambda a: f"write {said(a['path'])} in its copy", effect=Effect.OWN)
async def write_file(
    here: Site,
    use: Use,
    *,
    path: Annotated[str, _PATH],
    content: Annotated[str, Field(min_length=1, description="the whole text of the file")],
) -> Output:
    """Write a file of the project, new or all of it anew. To change a part of a file use edit_file."""
    return await here.change(path, "replace", content=content)


@tool(lambda a: f"change {said(a['path'])} in its copy", effect=Effect.OWN)
async def edit_file(
    here: Site,
    use: Use,
    *,
    path: Annotated[str, _PATH],
    old: Annotated[str, OLD],
    new: Annotated[str, NEW],
    everywhere: Annotated[bool, EVERYWHERE] = False,
) -> Output:
    """Replace a piece of text in a file of the project. Read the file first."""
    return await here.change(path, "edit", old=old, new=new, all=str(int(everywhere)))


@tool(lambda a: f"remove {said(a['path'])} from its copy", effect=Effect.OWN)
async def remove_file(here: Site, use: Use, *, path: Annotated[str, _PATH]) -> Output:
    """Remove a file of the project."""
    return await here.change(path, "remove")


def _lacks(here: Here) -> str:
    return here.suite.lacks() if isinstance(here, Site) else ""


@tool(lambda _: "run the tests in a container", needs=_lacks)
async def run_tests(here: Site, use: Use) -> Output:
    """Run the tests of the project as it is now, in a container without network."""
    found = await here.suite.run()
    return Output(f"{found.words}\n{middle(found.said)}" if found.said else found.words)


@tool(lambda _: "look at what it changed")
async def show_diff(here: Site, use: Use) -> Output:
    """Show all that you have changed in the project so far."""
    change = await here.tree.diff()
    if change.diff is None:
        return Output(change.words)
    text = await asyncio.to_thread(change.diff.read_text, "utf-8", "replace")
    return Output(f"{change.words}\n{text}")


TOOLS = (list_files, read_file, search_files, edit_file, write_file, remove_file, run_tests, show_diff)
"""All of them, the most useful first."""


class Bench:
    """`core.agent.changing.Bench`. `before` opens a worktree of the project as it was."""

    def __init__(self, site: Site, folder: str, before: Callable[[], AbstractAsyncContextManager[Worktree]]) -> None:
        self._site = site
        self._folder = folder
        self._open_before = before
        self._before: Verdict | None = None
        self._tools: Sequence[Bound] = [one.at(site) for one in TOOLS]

    @property
    def tools(self) -> Sequence[Bound]:
        """See `Bench`."""
        return [one for one in self._tools if not one.lacks()]

    async def work(self) -> Work:
        """See `Bench`."""
        change = await self._site.tree.diff()
        if change.diff is None:
            return Work(self._folder, change.words, (), b"", untested("nothing is changed"))
        diff = await asyncio.to_thread(change.diff.read_bytes)
        found = await self._site.suite.run()
        before = await self._tested_before() if found.ok is False else None
        sources = await asyncio.to_thread(_sources, self._site.tree.folder, change.files) if found.ok is None else ()
        return Work(self._folder, change.words, change.files, diff, found, before, sources)

    async def _tested_before(self) -> Verdict:
        if self._before is None:
            async with self._open_before() as tree:
                self._before = await self._site.suite.of(tree.folder).run()
        return self._before


def _sources(tree: Path, files: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The Python files among those that were changed; what was removed is none."""
    there = [name for name in files if name.endswith(".py") and (tree / name).is_file()][:MOST_SOURCES]
    return tuple((name, (tree / name).read_text("utf-8", "replace")) for name in there)
