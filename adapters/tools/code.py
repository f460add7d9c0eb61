"""Code of the workspace changed in a copy, its tests run in a box, and the change handed over as a file for `git apply`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.git import needs_git
from adapters.tools.here import Here
from adapters.tools.python import ending, middle
from core.agent.tool import BadCall, Output, Use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.agent.worktree import Worktree

SECONDS = 80
"""For the tests: the whole call has two minutes."""

_KEYS = frozenset({"path", "old", "new"})


def needs_copies(here: Here) -> str:
    """What is lacking here to change code in a copy; empty if nothing."""
    return here.knows("fork", "change") or needs_git(here) or ("" if here.worktrees else "there is no place for copies")


@tool(
    lambda a: f"change {said(', '.join(_paths(a['changes'])))} in a copy of {said(a['folder'])}{_tests(a['tests'])}",
    needs=needs_copies,
)
async def change_code(
    here: Here,
    use: Use,
    *,
    changes: Annotated[
        list[dict[str, str]],
        Field(
            min_length=1, max_length=30,
            description="each with path (in the folder), old (the text to replace, just as it stands; empty for a new file)"
            " and new (the text in its place)",
        ),
    ],
    folder: Annotated[str, Field(description="the project's folder in the workspace; . is all of it")] = ".",
    tests: Annotated[
        str, Field(max_length=300, description="what runs its tests, such as python3 -m unittest; empty runs none")
    ] = "",
) -> Output:  # fmt: skip
    """Change files of a project in a copy, run its tests there, and hand the person the change. To mend it, give all again."""
    if here.worktrees is None:
        raise BadCall(tool="change_code", why="there is no place for copies")
    command = _words(tests)
    for one in changes:
        if not one.get("path") or one.keys() - _KEYS:
            raise BadCall(tool="change_code", why=f"each change has path, old and new, and not {said(', '.join(one))}")
    async with here.worktrees().open(folder, _branch(use)) as tree:
        for one in changes:
            await _changed(tree, one)
        change = await tree.diff()
        if change.diff is None:
            return Output("Nothing is changed by that.")
        ran = await _ran(here, tree, command) if command else "No tests were run."
        kept = await here.shelf.keep((change.diff,))
    return Output(
        f"{change.words}. The person gets it as {kept[0].name}, and applies it with git apply.\n{ran}", files=kept
    )


async def _changed(tree: Worktree, one: Mapping[str, str]) -> None:
    old, new = one.get("old", ""), one.get("new", "")
    if old:
        await tree.change(one["path"], "edit", old=old, new=new)
    else:
        await tree.change(one["path"], "new", content=new)


async def _ran(here: Here, tree: Worktree, command: Sequence[str]) -> str:
    """How the tests went; they are code of a model's by now, so they run in a box, or not at all."""
    lacks = "there is no Docker here" if here.box is None else here.box.lacks()
    if here.box is None or lacks:
        return f"The tests were not run: they run in a container or not at all, and {lacks}."
    ran = await here.box.run_in(tree.folder, command, seconds=SECONDS)
    return f"The tests: {ending(ran)}\n{middle(ran.said)}"


def _branch(use: Use) -> str:
    """The branch of a call: of a task it has the task's number."""
    return f"timmy/{re.sub(r'[^A-Za-z0-9]+', '-', use.key)[:40].strip('-') or 'change'}"


def _words(tests: str) -> list[str]:
    try:
        return shlex.split(tests)
    except ValueError as error:
        raise BadCall(tool="change_code", why=f"tests: {error}") from None


def _paths(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(one.get("path", "")) for one in changes))


def _tests(tests: str) -> str:
    return f" and run {said(tests)}" if tests else ""
