"""`timmy mcp` as a program, with the official library's client at its other end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import ROOT
from tests.scenario.bot import hub
from tests.scenario.test_mcp_server import mint

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp import Client

pytestmark = [pytest.mark.long]

HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}},
}  # fmt: skip
READS = ["list_tasks", "show_task", "list_bids", "list_agents", "hub_status"]


@asynccontextmanager
async def client(data: Path, token: Path | None = None) -> AsyncIterator[Client]:
    from mcp import Client, StdioServerParameters, stdio_client  # noqa: PLC0415 - a second, for those that are run

    env = {"TIMMY_DATA_DIR": str(data), "PYTHONPATH": str(ROOT)}
    env |= {"TIMMY_MCP_TOKEN_FILE": str(token)} if token else {}
    program = StdioServerParameters(command=sys.executable, args=["-m", "bot.cli", "mcp"], env=env, cwd=data.parent)
    async with Client(stdio_client(program)) as found:
        yield found


async def test_the_official_client_lists_reads_and_writes_with_a_token_alone(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        data, held = bot.app.settings.data_dir, tmp_path / "token"
        held.write_text(await mint(bot))
        async with client(data) as reader:
            assert [tool.name for tool in (await reader.list_tools()).tools] == READS
            refused = await reader.call_tool("post_task", {"description": "write a poem"})
            assert (refused.is_error, refused.structured_content) == (True, {"ok": False, "error": "needs_token"})
        async with client(data, held) as writer:
            tools = {tool.name: tool for tool in (await writer.list_tools()).tools}
            assert len(tools) == 10
            assert all(tools[name].annotations.read_only_hint for name in READS)  # type: ignore[union-attr]
            posted = await writer.call_tool("post_task", {"description": "write a poem"})
            assert not posted.is_error
            assert posted.structured_content["task"] == "T-1"
            await bot.settled("T-1")
            shown = await writer.call_tool("show_task", {"task": "T-1"})
            assert shown.structured_content["untrusted"]["result"] == "quill did write a poem"
        held.write_text("timmy_mcp_" + "x" * 43)
        async with client(data, held) as stranger:
            with pytest.raises(Exception, match="opens nothing"):
                await stranger.list_tools()


async def test_a_client_outlives_the_hub_and_is_told_when_it_is_down(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        data = bot.app.settings.data_dir
        held = tmp_path / "token"
        held.write_text(await mint(bot))
    async with client(data, held) as one:
        assert len((await one.list_tools()).tools) == 10
        down = await one.call_tool("list_tasks", {})
        assert down.is_error
        assert "No hub runs on" in down.content[0].text  # type: ignore[union-attr]
        async with hub(tmp_path):
            assert (await one.call_tool("list_tasks", {})).structured_content["total"] == 0


async def _begun(data: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "mcp", cwd=data.parent,
        env={"PATH": os.environ["PATH"], "TIMMY_DATA_DIR": str(data), "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _answer(program: Process, *lines: dict[str, Any] | bytes) -> dict[str, Any]:
    """Send lines, and read one answer."""
    assert program.stdin is not None
    assert program.stdout is not None
    for line in lines:
        program.stdin.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
    found: dict[str, Any] = json.loads(await program.stdout.readline())
    return found


async def test_it_speaks_the_protocol_alone_survives_garbage_and_ends_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for how in ("the end of input", "SIGTERM"):
        program = await _begun(data)
        async with asyncio.timeout(30):
            hello = await _answer(program, b"not json", b'{"jsonrpc": "1"}', HELLO)
            assert hello["result"]["serverInfo"]["name"] == "timmy"
            if how == "SIGTERM":
                program.send_signal(signal.SIGTERM)
            else:
                program.stdin.close()  # type: ignore[union-attr]
            out, _ = await program.communicate()
        assert (program.returncode, out) == (0, b""), how
