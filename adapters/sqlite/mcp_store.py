"""What MCP clients were answered, and the tools of MCP servers as the owner agreed to them, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.sqlite.message_store import OUTGOING, outgoing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from core.chat import Outgoing


class McpRows:
    """`bot.mcp_desk.AnswerStore` and `bot.mcp_servers.PinStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def answer(self, cause: str) -> Outgoing | None:
        """See `AnswerStore`."""
        row = self._connection.execute(
            f"SELECT {OUTGOING} FROM outgoing WHERE surface = 'mcp' AND cause = ? ORDER BY id LIMIT 1",  # noqa: S608
            (cause,),
        ).fetchone()
        return None if row is None else outgoing(*row)

    def pins(self, server: str) -> dict[str, str]:
        """See `PinStore`."""
        return dict(
            self._connection.execute("SELECT tool, digest FROM mcp_tool WHERE server = ?", (server,)).fetchall()
        )

    def pin(self, server: str, tools: Mapping[str, str], now: int) -> None:
        """See `PinStore`."""
        self._connection.execute("DELETE FROM mcp_tool WHERE server = ?", (server,))
        self._connection.executemany(
            "INSERT INTO mcp_tool VALUES (?, ?, ?, ?)", [(server, tool, digest, now) for tool, digest in tools.items()]
        )
