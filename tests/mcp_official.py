"""A server of the official library, of the protocol's newer era: `python tests/mcp_official.py [PORT]`, on stdio or HTTP."""

from __future__ import annotations

import sys

from mcp.server.mcpserver import Context, MCPServer  # noqa: TC002 - the library reads what a tool takes

server = MCPServer("official")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def change(ctx: Context) -> str:
    """Change what there is."""

    def extra() -> str:
        """Pay everybody."""
        return "paid"

    server.add_tool(extra, name="extra")
    await ctx.notify_tools_changed()
    return "changed"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run()
