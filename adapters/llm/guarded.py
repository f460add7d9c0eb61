"""httpx for model servers: connections only to addresses that may be reached, no answer without end, no redirect, no proxy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.llm.reach import Reach

LONGEST_LINE = 1024 * 1024
"""Bytes of one line: an answer comes in lines of a few words each."""

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of an answer that is read whole: the list of models, or an error."""


_STREAMS = ("/api/chat", "/api/pull", "/chat/completions")
"""What is read line by line, however long."""


_BLANKS = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""What ends an event of a stream of them."""


class TooMuch(ValueError):
    """An answer that no model server gives."""


def options(url: str, *, connect: float, reach: Reach) -> dict[str, Any]:
    """What a client of httpx is made with. Silence is measured by who reads; `connect` is in seconds."""
    return {
        "timeout": httpx.Timeout(None, connect=connect),
        "transport": _Checked(url, reach),
        "follow_redirects": False,
        "trust_env": False,
        "headers": {"Accept-Encoding": "identity"},
    }


async def bounded(response: httpx.Response) -> None:
    """No answer grows without end, nor unpacks into more than came: none was asked to be packed. A hook of httpx."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooMuch("a compressed answer")
    if isinstance(response.stream, httpx.AsyncByteStream):
        streamed = response.is_success and response.request.url.path.endswith(_STREAMS)
        events = streamed and response.headers.get("content-type", "").startswith("text/event-stream")
        response.stream = _Bounded(response.stream, whole=not streamed, events=events)


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with `TooMuch` before it fills the memory."""

    def __init__(self, stream: httpx.AsyncByteStream, *, whole: bool, events: bool) -> None:
        self._stream = stream
        self._whole = whole
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line = body = event = 0
        end = b""
        async for chunk in self._stream:
            first, *rest = chunk.split(b"\n")
            longest = max(line + len(first), *map(len, rest), 0)
            line = len(rest[-1]) if rest else line + len(first)
            body += len(chunk)
            if self._whole and body > LARGEST_BODY:
                raise TooMuch(f"an answer of more than {LARGEST_BODY // 2**20} MB")
            if not self._whole and longest > LONGEST_LINE:
                raise TooMuch(f"a line of more than {LONGEST_LINE // 2**20} MB")
            if self._events:
                ended = max((end + chunk).rfind(blank) for blank in _BLANKS)
                event = event + len(chunk) if ended < 0 else len(end) + len(chunk) - ended
                end = (end + chunk)[-3:]
                if event > LARGEST_BODY:
                    raise TooMuch(f"an event of more than {LARGEST_BODY // 2**20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Lines(httpx.Response):
    """An answer whose lines end as JSON's do (NDJSON): httpx's end at U+0085 and U+2028 too, which stand in texts as they are."""

    @classmethod
    def of(cls, response: httpx.Response) -> _Lines:
        """The same answer, not begun to be read."""
        return cls(
            response.status_code, headers=response.headers, stream=response.stream, extensions=response.extensions
        )

    async def aiter_lines(self) -> AsyncIterator[str]:
        line = list[str]()
        async for text in self.aiter_text():
            first, *others = text.split("\n")
            line.append(first)
            for other in others:
                yield "".join(line)
                line = [other]
        if any(line):
            yield "".join(line)


class _Checked(httpx.AsyncBaseTransport):
    """Connects to addresses that were judged; certificates are still held to the server's name."""

    def __init__(self, url: str, reach: Reach) -> None:
        self._inner = httpx.AsyncHTTPTransport(
            verify=_trust(url), trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=4)
        )
        self._reach = reach

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host, request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        try:
            *others, last = await self._reach.addresses(host, port)
        except (OSError, ValueError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        for address in others:
            try:
                return _Lines.of(await self._inner.handle_async_request(_at(request, address)))
            except (httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent
                continue
        return _Lines.of(await self._inner.handle_async_request(_at(request, last)))

    async def aclose(self) -> None:
        await self._inner.aclose()


def _at(request: httpx.Request, address: str) -> httpx.Request:
    if address == request.url.host:
        return request
    return httpx.Request(
        request.method, request.url.copy_with(host=address), headers=request.headers, stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )  # fmt: skip


def _trust(url: str) -> ssl.SSLContext | bool:
    """Public authorities for https; none for http, as loading them takes 40 ms and they are never asked."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
