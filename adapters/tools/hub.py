"""The hub itself, as its slash commands show it to the person who asks, and to nobody else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use


@tool(lambda a: f"look at task {said(a['task'])}" if a["task"] else "look at the tasks")
async def tasks(
    here: Here,
    use: Use,
    *,
    task: Annotated[
        str, Field(max_length=20, description="one task by its name, such as T-12; empty lists the newest")
    ] = "",
) -> Output:
    """List the newest tasks of this hub with how they stand, or show one with its result."""
    return Output(await here.reads(f"/show {_one(task)}" if task.strip() else "/tasks", use))


@tool(lambda _: "look at the balance")
async def balance(here: Here, use: Use) -> Output:
    """Tell how many sats the person who asks has: free, held for tasks and payments, in escrow. In a private chat only."""
    return Output(await here.reads("/balance", use), outside=False)


@tool(lambda a: f"look at agent {said(a['name'])}" if a["name"] else "look at the agents")
async def agents(
    here: Here,
    use: Use,
    *,
    name: Annotated[str, Field(max_length=64, description="one agent by its name; empty lists all")] = "",
) -> Output:
    """List the agents that work for this hub, with what they can do and whether they can now; or show one with its record."""
    return Output(await here.reads(f"/agent {_one(name)}" if name.strip() else "/agents", use))


def _one(word: str) -> str:
    """What a model wrote, as one argument of a command."""
    return '"' + "".join(sign for sign in " ".join(word.split()) if sign not in '"\\') + '"'
