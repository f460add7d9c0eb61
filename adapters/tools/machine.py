"""The machine and its files, looked at for what is wrong, by the skills in their children."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use


@tool(lambda a: f"scan {said(a['path'])}", needs=lambda here: here.knows("scan"))
async def scan_security(
    here: Here,
    use: Use,
    *,
    path: Annotated[str, Field(description="a file or folder of the workspace; . is all of it")] = ".",
    only: Annotated[
        Literal["all", "secrets", "code"],
        Field(description="secrets: leaked keys and passwords; code: dangerous Python"),
    ] = "all",
) -> Output:
    """Look for leaked secrets and dangerous Python in files of the workspace; tells each with its line, and shows no secret."""
    return await here.ask("scan", path, **({} if only == "all" else {"for": only}))


@tool(lambda _: "look at this machine", needs=lambda here: here.knows("machine"))
async def system_report(here: Here, use: Use) -> Output:
    """Report the load, memory, disk, temperature and largest programs of the machine that the hub runs on."""
    return await here.ask("machine")
