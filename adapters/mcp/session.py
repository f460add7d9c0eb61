"""One MCP server as the hub has it: a connection that is kept, its tools as they were agreed to, and calls of them.

`run` is one life of the connection, to be supervised: it raises once the server is no use any more. The protocol is the official
library's; what a server asks for in return (a model's words, a person's, folders) is refused by having none to give.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from adapters.mcp.errors import (
    ServerDown,
    ServerEnded,
    ServerRefused,
    ServerSilent,
    ServerTooBusy,
)
from adapters.mcp.process import process
from adapters.mcp.tool import McpTool, Told, shown_name, usable
from adapters.mcp.wire import http, watched
from core.agent.prompt import plain
from core.chat import one_line
from core.errors import HubError, cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from mcp.client._transport import TransportStreams as Streams

    from adapters.mcp.servers import ServerSpec
    from core.events import Json
    from core.ports import Clock

    Agree = Callable[[str, Mapping[str, Told]], Awaitable[frozenset[str]]]

log = logging.getLogger(__name__)

HELLO_SECONDS = 30.0
"""How long a server may take to say what it can do: some download themselves first."""

MAX_TOOLS = 64
MAX_PAGES = 10
MAX_CALLS = 4
"""Calls of one server at a time."""

MAX_WAITING = 20
MAX_SILENT = 3
"""Calls, one after the other, that were not answered in time, after which the server is started anew."""

PAUSE_MS = 5000
"""Between two looks at what a server says that it changed."""

MAX_TEXT = 64_000
"""Characters of a result."""

LOG_LINES = 20
"""Lines of its standard error that are logged in a minute."""

CHANGED = "it is not what the owner agreed to: the server changed it"


class McpServer:
    """See the module. `agree` is told all tools and says which are as they were agreed to."""

    def __init__(self, name: str, spec: ServerSpec, home: Path, clock: Clock, agree: Agree) -> None:
        self.name = name
        self.spec = spec
        self._home = home
        self._clock = clock
        self._agree = agree
        self._client: Client | None = None
        self._told: dict[str, Told] = {}
        self._tools: dict[str, McpTool] = {}
        self._closed: dict[str, str] = {}
        self._turns = asyncio.Semaphore(MAX_CALLS)
        self._waiting = 0
        self._silent = 0
        self._end: Exception | None = None
        self._wake = asyncio.Event()
        self._changed = self._agreed = False
        self._logged = (0, 0)
        self._why = "it has only begun"

    # For the toolbox -------------------------------------------------------------------------------------------

    def tools(self) -> list[McpTool]:
        """Those that can be called now."""
        return list(self._tools.values()) if self._client is not None else []

    def find(self, name: str) -> McpTool | None:
        """One of them, by the name that the model has it under."""
        return next((tool for tool in self.tools() if tool.spec.name == name), None)

    def closed(self) -> list[tuple[str, str]]:
        """What cannot be called now, and why."""
        if self._client is None:
            return [(f"{self.name}__*", f"the MCP server is down ({one_line(self._why)[:200].rstrip('.')})")]
        return [(shown_name(self.name, tool), why) for tool, why in self._closed.items()]

    def look_again(self) -> None:
        """What was agreed to has changed."""
        self._agreed = True
        self._wake.set()

    # One life --------------------------------------------------------------------------------------------------

    async def run(self, reached: Callable[[], None]) -> None:
        """Connect, learn the tools, and stay until the server is no use any more. Raises why."""
        self._end = None
        self._silent = 0
        self._changed = self._agreed = False
        self._wake.clear()
        try:
            async with self._connected() as client:
                async with asyncio.timeout(HELLO_SECONDS):
                    await self._learn(client)
                self._client = client
                reached()
                await self._live(client)
        except TimeoutError:
            raise ServerSilent(server=self.name, seconds=f"{HELLO_SECONDS:g}") from None
        except Exception as error:  # whatever the libraries below it raise, alone or in a group
            raise self._meant(error) from error
        finally:
            self._client = None
            self._tools, self._closed = {}, {}

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        client = Client(
            self._streams(), read_timeout_seconds=HELLO_SECONDS, message_handler=self._noticed, cache=None,
            client_info=types.Implementation(name="timmy", version="1"),
        )  # fmt: skip
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(HELLO_SECONDS):
                await stack.enter_async_context(client)
            yield client

    @contextlib.asynccontextmanager
    async def _streams(self) -> AsyncIterator[Streams]:
        by_http = bool(self.spec.url)
        begun = (
            http(self.name, self.spec)
            if by_http
            else process(self.name, self.spec, self._home, self._said, self._ended)
        )
        async with begun as streams, watched(self.name, streams, self._clock, self._ended) as kept:
            yield kept

    async def _live(self, client: Client) -> None:
        """Look at the tools again whenever it says that they changed, or what was agreed to did, until it ends."""
        looked: int | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen, client)
            while not self._over:
                await self._wake.wait()
                self._wake.clear()
                soon = looked is not None and self._clock.now() - looked < PAUSE_MS
                if self._changed and soon and not (self._agreed or self._over):
                    await self._clock.until((looked or 0) + PAUSE_MS, self._wake)
                    self._wake.set()
                elif (self._changed or self._agreed) and not self._over:
                    looked = self._clock.now() if self._changed else looked
                    self._changed = self._agreed = False
                    await self._learn(client)
            group.cancel_scope.cancel()
        raise self._end or ServerEnded(server=self.name, how="as it was told")

    @property
    def _over(self) -> bool:
        return self._end is not None

    async def _listen(self, client: Client) -> None:
        """A server of the protocol's newer era tells of changes only to whoever listens."""
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._note_change()

    async def _learn(self, client: Client) -> None:
        """List its tools, and keep of them what is asked for, agreed to, and can be offered."""
        told: dict[str, Told] = {}
        cursor = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools[: MAX_TOOLS + 1]:
                told.setdefault(tool.name, Told(tool.name, tool.description or "", tool.input_schema))
            cursor = page.next_cursor
            if cursor is None or len(told) > MAX_TOOLS:
                break
        wanted = {name: one for name, one in told.items() if self.spec.tools is None or name in self.spec.tools}
        wanted = dict(list(wanted.items())[:MAX_TOOLS])
        closed = {name: why for name, one in wanted.items() if (why := usable(one))}
        agreed = await self._agree(self.name, {name: one for name, one in wanted.items() if name not in closed})
        tools: dict[str, McpTool] = {}
        for name, one in wanted.items():
            if name in closed:
                continue
            if name not in agreed:
                closed[name] = CHANGED
            elif any(made.spec.name == shown_name(self.name, name) for made in tools.values()):
                closed[name] = "another of its tools has the same name, but for its signs"
            else:
                outward = self.spec.outward.get(name, "")
                tools[name] = McpTool(self.name, one, self.call, reads=name in self.spec.read, outward=outward)
        for name in self.spec.tools or ():
            if name not in told:
                closed[plain(name)] = "the server has no such tool"
        self._tools, self._closed = tools, closed

    async def _noticed(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._note_change()

    def _note_change(self) -> None:
        self._changed = True
        self._wake.set()

    def _ended(self, why: Exception) -> None:
        self._end = self._end or why
        self._why = str(self._end)
        self._client = None
        self._wake.set()

    def _said(self, line: str) -> None:
        minute, count = self._logged
        now = self._clock.steady() // 60_000
        self._logged = (now, count + 1 if minute == now else 1)
        if self._logged[1] <= LOG_LINES:
            log.info("the MCP server %s says: %s", self.name, one_line(line))

    def _meant(self, error: Exception) -> Exception:
        """What an error of a life means: the first cause, in the hub's words."""
        error = self._end or error
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if not isinstance(error, HubError):
            error = ServerRefused(server=self.name, why=_words(error))
        self._why = str(error)
        return error

    # Calls -----------------------------------------------------------------------------------------------------

    async def call(self, tool: str, arguments: Mapping[str, Json]) -> str:
        """Call a tool; what it answered, as text. Raises the errors of this package."""
        if self._waiting >= MAX_WAITING:
            raise ServerTooBusy(server=self.name, count=self._waiting)
        self._waiting += 1
        try:
            async with self._turns:
                return await self._called(tool, arguments)
        finally:
            self._waiting -= 1

    async def _called(self, tool: str, arguments: Mapping[str, Json]) -> str:
        client = self._client
        if client is None or tool not in self._tools:
            raise ServerDown(server=self.name, why=self._why.rstrip("."))
        try:
            async with asyncio.timeout(self.spec.timeout):
                result = await client.call_tool(tool, dict(arguments), read_timeout_seconds=self.spec.timeout + 1)
        except TimeoutError:
            self._silent += 1
            silent = ServerSilent(server=self.name, seconds=f"{self.spec.timeout:g}")
            if self._silent >= MAX_SILENT:
                self._ended(silent)
            raise silent from None
        except (MCPError, ValidationError, RuntimeError, httpx2.HTTPError, anyio.ClosedResourceError, OSError) as error:
            if self._end is not None:
                raise self._meant(error) from None
            if isinstance(error, MCPError) and error.error.code == types.CONNECTION_CLOSED:
                raise ServerDown(server=self.name, why=_words(error)) from None
            raise ServerRefused(server=self.name, why=_words(error)) from None
        self._silent = 0
        return f"Error: {_text(result)}" if result.is_error else _text(result)


def _words(error: BaseException) -> str:
    """What an error says, short and in one line, without addresses."""
    if isinstance(error, ValidationError):
        return "its answer is not what the protocol says"
    said = str(error) if isinstance(error, (MCPError, RuntimeError)) else cause(error)
    return one_line(plain(said))[:300] or type(error).__name__


def _text(result: types.CallToolResult) -> str:
    """What a result says; what is no text is named, and not followed."""
    parts = [_part(one) for one in result.content[:200]]
    if result.structured_content is not None:
        whole = json.dumps(result.structured_content, ensure_ascii=False)
        if not any(_same(part, result.structured_content) for part in parts):
            parts.append(whole)
    text = plain("\n".join(parts)) or "(it answered nothing)"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n[cut: {len(text):,} characters in all]"


def _part(one: object) -> str:
    match one:
        case types.TextContent():
            return one.text
        case types.ImageContent() | types.AudioContent():
            return f"[{one.mime_type[:60]}, not shown]"
        case types.ResourceLink():
            return f"[the resource {one.uri[:200]}, not followed]"
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return resource.text
        case _:
            return "[something that is no text]"


def _same(text: str, structured: object) -> bool:
    """Whether a text says the same; what is no object of its own is wrapped as `result` by the official library's servers."""
    if isinstance(structured, dict) and set(structured) == {"result"} and _same_value(text, structured["result"]):
        return True
    return _same_value(text, structured)


def _same_value(text: str, structured: object) -> bool:
    if text == structured:
        return True
    with contextlib.suppress(ValueError, RecursionError):
        return bool(json.loads(text) == structured)
    return False
