"""Changes of files, each agreed to by a person first, and what the files held before."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from adapters.tools.declared import said, tool, whole
from adapters.tools.here import Here
from core.agent.skill import Match
from core.agent.tool import Effect, Output, Use
from core.chat import spelt
from core.errors import HubError, UserError

if TYPE_CHECKING:
    from pathlib import Path

MOST_KEPT = 100
"""How many versions of files are kept before the oldest goes."""

_BEFORE = "before"
"""The folder of them in the data folder."""

_PATH = Field(description="the file's path in the workspace, such as notes.md")
OLD = Field(min_length=1, description="the text to replace, just as it stands in the file, line breaks included")
NEW = Field(description="the text to put in its place; empty takes it out")
EVERYWHERE = Field(description="true: every place that has this text")
_HEADS = {"new": "write the new file", "replace": "replace", "append": "add to the end of"}


class NothingKept(UserError):
    """Nothing is kept of {path}: it was not changed here, or too long ago."""


@tool(
    lambda a: f"{_HEADS[a['how']]} {whole(a['path'])}:\n{seen('+', a['content'])}",
    effect=Effect.ASK,
    needs=lambda here: here.knows("change"),
    look=lambda here, _, path, **given: here.look("change", path, **given),
)
async def write_file(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, _PATH],
    content: Annotated[
        str, Field(min_length=1, description="the text, whole; of a long one the first part, then append the others")
    ],
    how: Annotated[
        Literal["new", "replace", "append"],
        Field(description="new: there is no such file yet; replace: all of it; append: to its end"),
    ] = "new",
) -> Output:
    """Write a text file of the workspace, once the person has agreed. To change a part of a file use edit_file."""
    return await _made(here, use, path, how=how, content=content)


@tool(
    lambda a: (
        f"change {whole(a['path'])}{' everywhere' if a['everywhere'] else ''}:\n{seen('-', a['old'])}\n{seen('+', a['new'])}"
    ),
    effect=Effect.ASK,
    needs=lambda here: here.knows("change"),
    look=lambda here, _, path, **given: here.look("change", path, **_edit(**given)),
)
async def edit_file(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, _PATH],
    old: Annotated[str, OLD],
    new: Annotated[str, NEW],
    everywhere: Annotated[bool, EVERYWHERE] = False,
) -> Output:
    """Replace a piece of text in a file of the workspace, once the person has agreed. Read the file first."""
    return await _made(here, use, path, **_edit(old, new, everywhere=everywhere))


@tool(
    lambda a: f"delete {whole(a['path'])}",
    effect=Effect.ASK,
    needs=lambda here: here.knows("change"),
    look=lambda here, _, path: here.look("change", path, how="remove"),
)
async def remove_file(here: Here, use: Use, *, path: Annotated[str, _PATH]) -> Output:
    """Delete a file of the workspace, once the person has agreed. restore_file brings it back."""
    return await _made(here, use, path, how="remove")


async def _look_back(here: Here, use: Use, path: str) -> str:
    return await here.look("change", path, **await _back(here, use, path))


@tool(
    lambda a: f"put {whole(a['path'])} back as it was before its last change (one that was new goes)",
    effect=Effect.ASK,
    needs=lambda here: here.knows("change"),
    look=_look_back,
)
async def restore_file(here: Here, use: Use, *, path: Annotated[str, _PATH]) -> Output:
    """Put a file back as it was before it was changed or deleted here last. Once more, and it is as changed again."""
    return await _made(here, use, path, **await _back(here, use, path))


def _edit(old: str, new: str, *, everywhere: bool) -> dict[str, str]:
    return {"how": "edit", "old": old, "new": new, "all": str(int(everywhere))}


async def _back(here: Here, use: Use, path: str) -> dict[str, str]:
    """Raises `NothingKept`."""
    kept = await asyncio.to_thread(_last, _home(here, path), use.key)
    if kept is None:
        raise NothingKept(path=said(path))
    return {"how": "back", "kept": str(kept)}


async def _made(here: Here, use: Use, path: str, **options: str) -> Output:
    """Have a child make a change; what the file held stays in the data folder."""
    if use.seen:
        options["seen"] = use.seen
    room = await asyncio.to_thread(_room, here, path, use.key)
    if await asyncio.to_thread(_is_begun, room):
        options["begun"] = str(room)
    try:
        outcome = await here.skills.run(Match("change", path, 1.0, tuple(options.items())), room)
    except HubError:
        if "begun" not in options:
            await asyncio.to_thread(_drop_unless_kept, room)
        raise
    return Output(outcome.text, outside=False)


def seen(mark: str, text: str) -> str:
    """Lines as a person is shown them: all of each, and what is not seen spelled out."""
    return "\n".join(f"{mark} {spelt(line)}" for line in text.split("\n"))


def _home(here: Here, path: str) -> Path:
    name = "/".join(part for part in path.strip().split("/") if part not in {"", "."})
    return here.data / _BEFORE / hashlib.sha256(name.encode()).hexdigest()[:20]


def _room(here: Here, path: str, key: str) -> Path:
    """Where what a file holds is kept before the change of this key: the same as before a crash."""
    home, name = _home(here, path), hashlib.sha256(key.encode()).hexdigest()[:12]
    if found := next(home.glob(f"*-{name}"), None):
        return found
    _thin(here.data / _BEFORE)
    room = home / f"{here.clock.now():013}-{name}"
    room.mkdir(mode=0o700, parents=True)
    return room


def _is_begun(room: Path) -> bool:
    """Whether what the file held is kept there, whole."""
    return any(not one.name.startswith(".") for one in room.iterdir())


def _drop_unless_kept(room: Path) -> None:
    """Nothing was changed where nothing was kept."""
    if not _is_begun(room):
        shutil.rmtree(room)


def _last(home: Path, key: str) -> Path | None:
    """The folder with the newest version of a file that is not of the change that asks."""
    own = hashlib.sha256(key.encode()).hexdigest()[:12]
    rooms = sorted(room for room in home.glob("*-*") if not room.name.endswith(own))
    return next((room for room in reversed(rooms) if _is_begun(room)), None)


def _thin(top: Path) -> None:
    """Let the oldest versions go."""
    rooms = sorted(top.glob("*/*-*"), key=lambda room: room.name)
    for room in rooms[: max(0, len(rooms) - MOST_KEPT + 1)]:
        shutil.rmtree(room, ignore_errors=True)
