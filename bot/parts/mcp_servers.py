"""The MCP servers of TIMMY_MCP_SERVERS: one supervised part each, whose tools come beside the hub's own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from adapters.mcp.servers import load
from bot.mcp_servers import KIND, Agreeing, Said
from config.log import hide
from core.chat import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from adapters.mcp.servers import ServerSpec
    from adapters.mcp.session import Agree, McpServer
    from adapters.mcp.tool import Told
    from bot.approvals import Approvals
    from bot.mcp_servers import PinTx
    from bot.supervisor import Supervisor
    from config.settings import Settings
    from core.agent.tool import Tool, Toolbox
    from core.chat import Caller
    from core.ports import Clock
    from core.store import Store

LONGEST_PAUSE = 60.0
"""Seconds between two starts of a server that keeps ending."""


def listed(file: Path) -> Mapping[str, ServerSpec]:
    """The servers of a file. Raises `BadServers`."""
    return load(file)


class Servers:
    """See `core.agent.tool.Toolbox`: what is in another toolbox, and the tools of every server that is up."""

    def __init__(self, settings: Settings, others: Toolbox) -> None:
        assert settings.mcp.servers is not None  # noqa: S101 - made only where it is set
        self._specs = load(settings.mcp.servers)
        self._home = settings.data_dir / "mcp"
        self._others = others
        self._servers: dict[str, McpServer] = {}
        for secret in (one for spec in self._specs.values() for one in spec.secrets):
            hide(secret)

    def begin(
        self, store: Store[PinTx], clock: Clock, approvals: Approvals, owners: Callable[[], Collection[str]],
        supervisor: Supervisor,
    ) -> None:  # fmt: skip
        """Start them, each by itself."""

        def again(name: str) -> None:
            if name in self._servers:
                self._servers[name].look_again()

        agreeing = Agreeing(store, clock, approvals, owners, again)
        approvals.carries(KIND, agreeing.carry)

        async def agree(name: str, told: Mapping[str, Told]) -> frozenset[str]:
            return await agreeing.agreed(name, {tool: Said(one.digest, one.description) for tool, one in told.items()})

        for name, spec in self._specs.items():
            supervisor.reach(f"mcp.{name}", partial(self._run, name, spec, clock, agree), longest=LONGEST_PAUSE)

    async def _run(self, name: str, spec: ServerSpec, clock: Clock, agree: Agree, reached: Callable[[], None]) -> None:
        """One life of a server. The library is loaded beside the hub's start, which does not wait for it."""
        if name not in self._servers:
            self._servers[name] = await asyncio.to_thread(_made, name, spec, self._home / name, clock, agree)
        await self._servers[name].run(reached)

    def offered(self, names: Sequence[str], caller: Caller) -> Sequence[Tool]:
        """See `Toolbox`. A server acts with its owner's rights, so others have its tools only where its owner says so."""
        found = [*self._others.offered(names, caller)]
        for server in self._servers.values():
            if caller.role is Role.OWNER or (server.spec.members and caller.role is not Role.GUEST):
                found += [tool for tool in server.tools() if not names or tool.spec.name in names]
        return found

    def find(self, name: str) -> Tool | None:
        """See `Toolbox`."""
        return self._others.find(name) or next(self._found(name), None)

    def _found(self, name: str) -> Iterator[Tool]:
        for server in self._servers.values():
            if (tool := server.find(name)) is not None:
                yield tool

    def closed(self) -> Sequence[tuple[str, str]]:
        """See `Toolbox`."""
        begun = [one for server in self._servers.values() for one in server.closed()]
        waits = [(f"{name}__*", "the MCP server is starting") for name in self._specs if name not in self._servers]
        return [*self._others.closed(), *begun, *waits]


def _made(name: str, spec: ServerSpec, home: Path, clock: Clock, agree: Agree) -> McpServer:
    from adapters.mcp.session import McpServer  # noqa: PLC0415 - the library takes a second, and most hubs have none

    return McpServer(name, spec, home, clock, agree)
