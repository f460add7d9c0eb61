"""MCP with others at the other end: reference servers for the hub's agent, and the official client at `timmy mcp`."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.settings import McpGroup
from core.agent.tool import Use
from core.errors import HubError
from core.tokens import CONSOLE_OWNER
from tests.kill.hub_process import hub_process
from tests.program import ROOT
from tests.project import git
from tests.real.transcript import WRITTEN, Transcript
from tests.scenario.bot import NOBODY, hub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp import Client
    from mcp.types import CallToolResult

    from tests.kill.hub_process import HubProcess
    from tests.scenario.bot import Bot

LIBRARIES = ROOT / ".venv" / "mcp-servers"
missing = pytest.mark.skipif(
    not (LIBRARIES / "mcp_server_time").is_dir(),
    reason="the reference MCP servers are not installed (make test-real does it)",
)
pytestmark = [pytest.mark.timeout(180)]

HEAD = f"""{WRITTEN}\
# A hub in an MCP client

A real hub process, `timmy mcp`, and the client of the protocol's official library, which nobody of this project wrote; `make
test-real` holds this page true. What was typed on the hub's machine stands behind a `$`, what the client called behind a `>`:
beneath it is what came back, the text that a model would read. No model was running: nothing here needs one.
"""


def server(module: str, *args: str, **more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-m", module, *args], "env": {"PYTHONPATH": str(LIBRARIES)}, **more}


@asynccontextmanager
async def with_servers(folder: Path, **servers: Any) -> AsyncIterator[Bot]:
    """A hub that has these, once all are up."""
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    found = settings(folder).model_copy(update={"mcp": McpGroup(servers=folder / "mcp.json")})
    async with hub(folder, found=found) as bot:
        for name in servers:
            part = bot.app.health.parts[f"mcp.{name}"]
            await bot.see(partial(getattr, part, "up"), f"{name} up", pace=0)
        yield bot


async def called(bot: Bot, name: str, **arguments: Any) -> str:
    """What a tool of the agent's comes to, as the model reads it."""
    toolbox = bot.app.hub.assistant()._toolbox
    tool = toolbox.find(name)
    assert tool is not None, toolbox.closed()
    caller = await bot.app.hub.identities.caller(CONSOLE_OWNER, private=True)
    output = await tool.run(tool.read(arguments), Use(caller, CONSOLE_OWNER, "k"))
    assert output.outside
    return output.text


@missing
async def test_the_time_server_tells_the_time(tmp_path: Path) -> None:
    read = ["get_current_time", "convert_time"]
    async with with_servers(
        tmp_path, time=server("mcp_server_time", "--local-timezone", "Europe/Rome", read=read)
    ) as bot:
        now = json.loads((await called(bot, "time__get_current_time", timezone="Asia/Tokyo")).split("\n{")[0])
        assert now["timezone"] == "Asia/Tokyo"
        asked = {"source_timezone": "Europe/Rome", "time": "16:30", "target_timezone": "Asia/Tokyo"}
        assert "Tokyo" in await called(bot, "time__convert_time", **asked)
        assert (await called(bot, "time__get_current_time", timezone="Mars/Base")).startswith("Error: ")
        listed = (await bot.say("/tools"))["text"]
        assert "time__get_current_time: " in listed
        assert "(by itself)" in listed.partition("time__get_current_time: ")[2].splitlines()[0]


@missing
async def test_the_git_server_reads_a_repository_and_what_it_would_write_asks(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "Begin")
    (tmp_path / "notes.md").write_text("milk\n")
    reads = server("mcp_server_git", "--repository", str(tmp_path), read=["git_status", "git_log"])
    async with with_servers(tmp_path, git=reads) as bot:
        assert "notes.md" in await called(bot, "git__git_status", repo_path=str(tmp_path))
        assert "Begin" in await called(bot, "git__git_log", repo_path=str(tmp_path))
        listed = (await bot.say("/tools"))["text"]
        for name, how in (
            ("git_status", "(by itself)"),
            ("git_commit", "(asks you first)"),
            ("git_add", "(asks you first)"),
        ):
            assert how in listed.partition(f"git__{name}: ")[2].splitlines()[0], name


@missing
async def test_the_fetch_server_reads_a_page_and_is_gone_with_the_hub(tmp_path: Path) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(
            text="<html><body><h1>Weather</h1><p>It <b>rains</b>.</p></body></html>", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", page)
    site = TestServer(app)
    await site.start_server()
    fetch = server(
        "mcp_server_fetch", "--ignore-robots-txt", "--allow-private-ips", outward={"fetch": "url"}, read=["fetch"]
    )
    try:
        async with with_servers(tmp_path, web=fetch) as bot:
            assert "It **rains**." in await called(bot, "web__fetch", url=str(site.make_url("/")))
            tool = bot.app.hub.assistant()._toolbox.find("web__fetch")
            assert tool is not None
            assert tool.outward == "url"
            peer: Any = bot.app.hub.assistant()._toolbox
            with pytest.raises(HubError, match="it needs url"):
                tool.read({})
            assert peer._servers["web"].tools()
    finally:
        await site.close()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221
    assert f"{sys.executable} -m mcp_server_fetch" not in running


@asynccontextmanager
async def client(hub: HubProcess, token: Path | None = None) -> AsyncIterator[Client]:
    from mcp import Client, StdioServerParameters, stdio_client  # noqa: PLC0415 - a second, for those that are run

    env = {"TIMMY_DATA_DIR": str(hub.data), "PYTHONPATH": str(ROOT)}
    env |= {"TIMMY_MCP_TOKEN_FILE": str(token)} if token else {}
    program = StdioServerParameters(command=sys.executable, args=["-m", "bot.cli", "mcp"], env=env, cwd=hub.data.parent)
    async with Client(stdio_client(program)) as found:
        yield found


def shown(result: CallToolResult) -> str:
    """What a model reads of a result, without what is another each time."""
    (content,) = result.content
    text: str = content.text  # type: ignore[union-attr]
    text = re.sub(r'"uptime_s": \d+', '"uptime_s": 12', text)
    return f"(refused) {text}" if result.is_error else text


class Told:
    """A client's calls, on the page."""

    def __init__(self, client: Client, page: Transcript) -> None:
        self._client = client
        self._page = page

    async def lists(self) -> None:
        """List the tools."""
        found = await self._client.list_tools()
        self._page.called("tools/list", ", ".join(tool.name for tool in found.tools))

    async def calls(self, name: str, **arguments: Any) -> CallToolResult:
        """Call one."""
        result = await self._client.call_tool(name, arguments)
        self._page.called(f"{name} {json.dumps(arguments)}", shown(result))
        return result


async def test_the_client_of_the_docs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = Transcript("mcp-transcript.md", HEAD)
    auction = {"TIMMY_AUCTION_WINDOW": "1s"}
    async with hub_process(tmp_path, NOBODY, executed=True, **auction) as hub:
        await _without(hub, page)
        await _with(hub, page, tmp_path / "mcp-token")
    page.keep(write=request.config.getoption("--write-transcript"))


async def _without(hub: HubProcess, page: Transcript) -> None:
    page.scene("Without a token")
    frames = await hub.say("/task summarise welcome.md", wait="over")
    page.ran('timmy say "/task summarise welcome.md" --wait 60', f"{frames[0]['text']}\n…")
    async with client(hub) as reader:
        told = Told(reader, page)
        await told.lists()
        assert "welcome.md" not in shown(await told.calls("list_tasks"))
        assert "untrusted" not in shown(await told.calls("show_task", task="T-1"))
        assert (await told.calls("post_task", description="write a poem")).is_error


async def _with(hub: HubProcess, page: Transcript, held: Path) -> None:
    page.scene("With a token that posts tasks of at most 50 sats")
    token = await hub.timmy("token", "mcp", "laptop", "--for", CONSOLE_OWNER, "--task-limit", "50")
    await asyncio.to_thread(held.write_text, token)
    page.ran("(umask 077; timmy token mcp laptop --for console:owner --task-limit 50 > mcp-token)", "")
    page.told("The client is started again, with `TIMMY_MCP_TOKEN_FILE=mcp-token`.")
    async with client(hub, held) as writer:
        told = Told(writer, page)
        await told.lists()
        posted = {"description": "outline welcome.md", "max_sats": 45, "request_id": "one"}
        first = await told.calls("post_task", **posted)
        assert first.structured_content == (await told.calls("post_task", **posted)).structured_content
        await hub.reaches("T-2", "settled")
        assert "untrusted" in (await told.calls("show_task", task="T-2")).structured_content
        await told.calls("list_bids", task="T-2")
        await told.calls("post_task", description="draw a castle", max_sats=500)
        await told.calls("post_task", description="write a poem max=5000")
        page.told("What is over the limit waits for whoever the token is for:")
        page.ran('timmy say "/deny A-1"', (await hub.say("/deny A-1"))[0]["text"])
        page.ran("timmy token revoke mcp laptop", await hub.timmy("token", "revoke", "mcp", "laptop"))
        assert (await told.calls("list_tasks")).is_error
