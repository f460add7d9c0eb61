"""The MCP server of `timmy mcp`: the official library's, on standard input and output.

What it offers, and what a call comes to, is told to it; it knows only the protocol. Standard output carries nothing else.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mcp.server.context import ServerRequestContext


class Offered(NamedTuple):
    """A tool as clients are told of it: JSON schemas of its arguments and of its facts. `undoes`: it takes back what was done."""

    name: str
    title: str
    about: str
    schema: Mapping[str, Any]
    facts: Mapping[str, Any]
    writes: bool
    undoes: bool


class Answered(NamedTuple):
    """What a call came to: in words, and as facts; or that it was `refused`, and why."""

    text: str
    data: Mapping[str, Any]
    refused: bool = False


async def serve(
    version: str,
    instructions: str,
    offer: Callable[[], Awaitable[Sequence[Offered]]],
    call: Callable[[str, Mapping[str, Any]], Awaitable[Answered]],
) -> None:
    """Serve one client until the end of standard input, or SIGTERM. `offer` and `call` raise `HubError`s."""

    async def listed(_: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        try:
            return types.ListToolsResult(tools=[_tool(one) for one in await offer()])
        except HubError as error:
            raise MCPError(code=types.INTERNAL_ERROR, message=str(error)) from None

    async def called(_: ServerRequestContext[Any], asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            answer = await call(asked.name, asked.arguments or {})
        except HubError as error:
            answer = Answered(str(error), {"ok": False, "error": error.code}, refused=True)
        words = types.TextContent(type="text", text=answer.text)
        return types.CallToolResult(content=[words], structured_content=dict(answer.data), is_error=answer.refused)

    # What was asked of the hub is the hub's to end; a thread that waits for input would hold up any other way out.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server: Server[Any] = Server(
        "timmy", version=version, instructions=instructions, on_list_tools=listed, on_call_tool=called
    )
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def _tool(one: Offered) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=not one.writes,
        destructive_hint=one.undoes,
        idempotent_hint=not one.writes,
        open_world_hint=False,
    )
    return types.Tool(
        name=one.name, title=one.title, description=one.about, input_schema=dict(one.schema), output_schema=dict(one.facts),
        annotations=hints,
    )  # fmt: skip
