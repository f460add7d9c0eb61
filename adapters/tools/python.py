"""Python that the model wrote, in a box or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.skill import Match
from core.agent.tool import Output, Use
from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from core.agent.box import Ran

SECONDS = 60
_SHOWN = 5_000
_MAIN = "main.py"


class NoBox(Unavailable):
    """Code of a model runs in a container or not at all, and there is no Docker here. See docs/containers.md."""


def _lacks(here: Here) -> str:
    return here.knows("copying") or (
        "it runs in a container, and there is no Docker" if here.box is None else here.box.lacks()
    )


@tool(
    lambda a: (
        f"run {len(a['code'].splitlines())} lines of Python{' with ' + said(', '.join(a['files'])) if a['files'] else ''}"
    ),
    needs=_lacks,
)
async def run_python(
    here: Here,
    use: Use,
    *,
    code: Annotated[
        str, Field(min_length=1, max_length=20_000, description="the whole program; what it prints is the answer")
    ],
    files: Annotated[
        list[str],
        Field(max_length=10, description="files of the workspace that it opens, by their last names; it gets copies"),
    ] = [],  # noqa: B006 - copied by pydantic for each call
) -> Output:
    """Run a Python program in a container without network, for at most a minute. Files that it writes are handed to the person."""
    given = await _copies(here, files) if files else []
    if here.box is None:
        raise NoBox
    ran = await here.box.run(["python3", "-X", "utf8", _MAIN], [(_MAIN, code.encode()), *given], seconds=SECONDS)
    folder = await here.shelf.folder()
    try:
        kept = await here.shelf.keep(await asyncio.to_thread(_written, folder, ran.files))
    finally:
        await here.shelf.discard(folder)
    made = [f"It made {', '.join(one.name for one in kept)}, which the person gets."] if kept else []
    return Output("\n".join([ending(ran), middle(ran.said), *made]), files=kept)


async def _copies(here: Here, names: Sequence[str]) -> list[tuple[str, bytes]]:
    folder = await here.shelf.folder()
    try:
        outcome = await here.skills.run(Match("copying", "\n".join(names), 1.0), folder)
        return await asyncio.to_thread(lambda: [(file.name, file.read_bytes()) for file in outcome.files])
    finally:
        await here.shelf.discard(folder)


def _written(folder: Path, files: Sequence[tuple[str, bytes]]) -> list[Path]:
    """Each in a folder of its own: two may have the same name."""
    places = []
    for number, (name, content) in enumerate(files):
        (folder / str(number)).mkdir()
        places.append(folder / str(number) / name)
        places[-1].write_bytes(content)
    return places


def ending(ran: Ran) -> str:
    """How a program ended, in words."""
    if ran.ended:
        return f"It did not end by itself: {ran.ended}. It said:"
    return "It ended well, and said:" if ran.status == 0 else f"It ended with exit status {ran.status}, and said:"


def middle(text: str) -> str:
    """What a program said, without the middle of very much: errors stand at the end."""
    text = text.strip() or "(nothing)"
    half = _SHOWN // 2
    if len(text) <= _SHOWN:
        return text
    return f"{text[:half]}\n[{len(text) - _SHOWN:,} characters are left out here]\n{text[-half:]}"
