"""Between a transport and the official library's session: what is passed on, how much of it, and to which addresses.

The session believes a server more than the hub does: it checks results against the schema that the server sent for them, which
may be made to take for ever. So those are taken out on the way, and messages are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx2
import mcp_types as types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from adapters.mcp.errors import AddressRefused, ServerBabbles, ServerEnded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp.client._transport import TransportStreams as Streams

    from adapters.mcp.servers import ServerSpec
    from core.ports import Clock

MAX_MESSAGES = 500
"""Messages of a server in `WINDOW_MS`; more is a flood."""

WINDOW_MS = 10_000
MAX_BODY = 4 * 1024 * 1024
"""Bytes of an HTTP answer that is no stream."""

MAX_EVENT = 1024 * 1024
"""Bytes of one event of a stream."""

_OWN = tuple(
    ipaddress.ip_network(block)
    for block in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)
_METADATA = tuple(ipaddress.ip_network(block) for block in ("100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::/32"))
"""Where clouds answer their machines, inside of what is else a private network's."""


@contextlib.asynccontextmanager
async def watched(
    name: str, streams: Streams, clock: Clock, ended: Callable[[Exception], None]
) -> AsyncIterator[Streams]:
    """The same streams, with what is too much, or too dangerous for the session, kept from it."""
    reading, writing = streams
    inner, session = anyio.create_memory_object_stream[SessionMessage | Exception](0)

    async def relay() -> None:
        began, count = clock.steady(), 0
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with inner:
                async for message in reading:
                    if clock.steady() - began > WINDOW_MS:
                        began, count = clock.steady(), 0
                    count += 1
                    if count > MAX_MESSAGES:
                        return ended(ServerBabbles(server=name, what=f"more than {MAX_MESSAGES} messages in 10 s"))
                    if not isinstance(message, Exception):
                        _disarm(message.message)
                    await inner.send(message)
        ended(ServerEnded(server=name, how="and closed the connection"))
        return None

    async with anyio.create_task_group() as group:
        group.start_soon(relay)
        try:
            yield session, writing
        finally:
            session.close()
            group.cancel_scope.cancel()


def _disarm(message: types.JSONRPCMessage) -> None:
    """Take out what a result would be checked against."""
    if isinstance(message, types.JSONRPCResponse) and isinstance(tools := message.result.get("tools"), list):
        for tool in tools:
            if isinstance(tool, dict):
                tool.pop("outputSchema", None)


def is_own(address: str) -> bool:
    """Whether an address is this machine's or of its own network, and no cloud's service for its machines."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in net for net in _OWN) and not any(mapped in net for net in _METADATA)


class _Checked(httpx2.AsyncBaseTransport):
    """HTTP to one host, at an address that was looked at first, with answers of bounded length."""

    def __init__(self, name: str, spec: ServerSpec) -> None:
        self._name = name
        self._public = spec.public
        self._host = urlsplit(spec.url).hostname or ""
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_connections=8))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it to where the host's name leads now."""
        if request.url.host != self._host:
            raise AddressRefused(server=self._name, host=request.url.host)
        address = await self._address(request.url.port or (443 if request.url.scheme == "https" else 80))
        there = httpx2.Request(
            request.method, request.url.copy_with(host=address),
            headers=request.headers,  # its Host was made of the name
            stream=request.stream, extensions={**request.extensions, "sni_hostname": self._host},
        )  # fmt: skip
        response = await self._inner.handle_async_request(there)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, self._name)
        return response

    async def _address(self, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(self._host, port, type=socket.SOCK_STREAM)
        addresses = [str(one[4][0]) for one in found]
        if not self._public and not all(map(is_own, addresses)):
            raise AddressRefused(server=self._name, host=self._host)
        return addresses[0]

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its bytes, as long as they are few."""
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MAX_BODY:
                raise httpx2.ReadError(f"an answer of more than {MAX_BODY:,} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextlib.asynccontextmanager
async def http(name: str, spec: ServerSpec) -> AsyncIterator[Streams]:
    """A server that is reached by streamable HTTP. Redirections off its origin are not followed (the library's rule)."""
    client = httpx2.AsyncClient(
        transport=_Checked(name, spec), headers=spec.headers, trust_env=False, cookies=None,
        timeout=httpx2.Timeout(spec.timeout, connect=10, read=300),
    )  # fmt: skip
    async with client, streamable_http_client(spec.url, http_client=client, max_sse_event_size=MAX_EVENT) as streams:
        yield streams
