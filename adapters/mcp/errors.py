"""What can be wrong with an MCP server, and with a call of one of its tools."""

from __future__ import annotations

from core.errors import Refused, Unavailable


class ServerNotFound(Unavailable):
    """The MCP server {server} cannot start: there is no program {command}. Install it, or give its whole path in mcpServers."""


class ServerEnded(Unavailable):
    """The MCP server {server} ended ({how}); it is started again."""


class ServerBabbles(Unavailable):
    """The MCP server {server} sent {what}, and was ended; it is started again later."""


class ServerSilent(Unavailable):
    """The MCP server {server} did not answer within {seconds} s."""


class ServerDown(Unavailable):
    """The MCP server {server} is down ({why}). /status shows when it is up again."""


class ServerRefused(Unavailable):
    """The MCP server {server} does not work with this hub: {why}"""


class AddressRefused(Refused):
    """The MCP server {server} is not reached: {host} is not in your own network. With "public": true it is (https only)."""


class ServerTooBusy(Unavailable):
    """{count} calls wait for the MCP server {server} already. Call it later."""
