"""Files of the workspace: listed, read and searched in limited children, by the one path helper."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use

_FOLDER = Field(description="a folder of the workspace; . is all of it")
_PATH = Field(description="the file's path in the workspace, such as notes.md or src/main.py")


@tool(lambda a: f"list {said(a['folder'])}", needs=lambda here: here.knows("listing"))
async def list_files(here: Here, use: Use, *, folder: Annotated[str, _FOLDER] = ".") -> Output:
    """List the files of the workspace, or of one folder of it, with their sizes."""
    return await here.ask("listing", folder)


@tool(lambda a: f"read {said(a['path'])}{_lines(a['first'], a['last'])}", needs=lambda here: here.knows("reading"))
async def read_file(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, _PATH],
    first: Annotated[int, Field(ge=1, description="the first line wanted")] = 1,
    last: Annotated[int, Field(ge=0, description="the last line wanted; 0 is as many as fit")] = 0,
) -> Output:
    """Read a text, Markdown, PDF or Word file of the workspace, from one line to another. Tables have tools of their own."""
    return await here.ask("reading", path, first=str(first), last=str(last))


@tool(lambda a: f"search {said(a['folder'])} for {said(a['query'])}", needs=lambda here: here.knows("search", "grep"))
async def search_files(
    here: Here,
    use: Use,
    *,
    query: Annotated[str, Field(description="what to look for")],
    folder: Annotated[str, _FOLDER] = ".",
    how: Annotated[
        Literal["words", "exact", "pattern"],
        Field(
            description="words: the best passages; exact: every line with just this text; pattern: a regular expression"
        ),
    ] = "words",
) -> Output:
    """Search the files of the workspace; answers with file, line and text of what was found."""
    if how == "words":
        return await here.ask("search", query, **{"in": folder})
    return await here.ask("grep", query, how=how, **{"in": folder})


def _lines(first: int, last: int) -> str:
    return "" if first == 1 and not last else f", from line {first}{f' to {last}' if last else ''}"
