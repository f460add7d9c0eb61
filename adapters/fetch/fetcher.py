"""`core.ports.Fetcher` over aiohttp: one connection for each request, to an address that was checked, and bounds on all that comes.

The name is resolved inside the connection (`Checked`), so that what is checked is what is connected to: a name that answers
otherwise the next time gains nothing. Redirections are followed here and each is checked like a first address.
No cookies, no proxy or `.netrc` of the environment, no connection that is used again.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from adapters.fetch.addresses import Reach, check_address, checked
from core.errors import Refused, Unavailable, UserError, cause
from core.ports import Page

if TYPE_CHECKING:
    import socket
    import ssl

    from aiohttp.abc import ResolveResult

HOPS = 3
"""Redirections that are followed at most."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FIRST_ERROR = 400
_ERROR_BYTES = 16 * 1024
"""What is kept of the words of an error."""

_CHUNK = 64 * 1024
_ANY_HEADER = zlib.MAX_WBITS | 32
"""zlib's sign for: gzip or zlib, as the data say."""

_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_CHALLENGES = 8
"""`WWW-Authenticate` headers that are looked at."""


class PageNotReached(Unavailable):
    """{host} could not be fetched: {why}. Try again later."""


class BadRedirect(Refused):
    """{host} sends elsewhere, and that is not followed: {why}."""


class PageTooLarge(UserError):
    """What {host} answers is larger than the {limit} that are taken."""

    status = 413


class PageUnreadable(Unavailable):
    """What {host} answers cannot be read: {why}."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds`: for the whole of it, redirections and look-ups too. `size`: bytes of a page, before and after unpacking."""

    seconds: float = 30.0
    size: int = 4 * 2**20


class PageFetcher:
    """See `core.ports.Fetcher`. `resolver` and `trust` (which certificates are believed) are for tests."""

    def __init__(
        self,
        reach: Reach | None = None,
        bounds: Bounds | None = None,
        *,
        resolver: AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._reach = reach or Reach()
        self._bounds = bounds or Bounds()
        self._resolver = resolver
        self._trust = trust

    def check(self, url: str) -> None:
        """See `Fetcher`."""
        checked(url, self._reach)

    async def get(self, url: str, *, authorization: str = "") -> Page:
        """See `Fetcher`. Raises what `checked` does, and the errors above."""
        target = checked(url, self._reach)
        host = target.raw_host
        try:
            async with asyncio.timeout(self._bounds.seconds):
                return await self._follow(target, authorization)
        except TimeoutError:
            raise PageNotReached(host=host, why=f"it took longer than {self._bounds.seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PageNotReached(
                host=host, why=cause(error)
            ) from None  # from: what libraries say may hold the whole address

    async def _follow(self, target: URL, authorization: str) -> Page:
        origin = target.origin()
        for _ in range(HOPS + 1):
            found = await self._ask(target, authorization if target.origin() == origin else "")
            if isinstance(found, Page):
                return found
            target = self._next(target, found)
        raise BadRedirect(host=origin.raw_host, why=f"more than {HOPS} times, one after the other")

    def _next(self, here: URL, location: str) -> URL:
        """Where a redirection leads. Raises what `checked` does of it."""
        try:
            text = str(here.join(URL(location)))
        except ValueError:
            raise BadRedirect(host=here.raw_host, why="where it leads is not written as an address") from None
        there = checked(text, self._reach)
        if here.scheme == "https" and there.scheme != "https":
            raise BadRedirect(host=here.raw_host, why="it leads from https to http")
        return there

    async def _ask(self, url: URL, authorization: str) -> Page | str:
        """One request: the page, or where else it is."""
        resolver = Checked(self._resolver or ThreadedResolver(), self._reach, allowed=self._reach.allows(url))
        headers = {"User-Agent": "timmy", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
        if authorization:
            headers["Authorization"] = authorization
        async with (
            aiohttp.ClientSession(
                connector=TCPConnector(
                    resolver=resolver, use_dns_cache=False, force_close=True, ssl=self._trust or True
                ),
                cookie_jar=DummyCookieJar(),
                middlewares=(_once,),
                timeout=ClientTimeout(total=None),  # ours is for the whole
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            location = answer.headers.get("Location", "")
            if answer.status in _REDIRECTS and location:
                return location
            return await self._page(answer, url)

    async def _page(self, answer: aiohttp.ClientResponse, url: URL) -> Page:
        good = answer.status < _FIRST_ERROR
        limit = self._bounds.size if good else _ERROR_BYTES
        try:
            body = await self._body(answer, url, limit)
        except PageUnreadable:
            if good:
                raise
            body = b""  # what an error is in its status and headers is told all the same
        if len(body) > limit and good:
            raise self._too_large(url)
        return Page(
            answer.status,
            str(url),
            answer.content_type if "Content-Type" in answer.headers else "",
            answer.charset or "",
            body[:limit],
            tuple(answer.headers.getall("WWW-Authenticate", ())[:_CHALLENGES]),
        )

    async def _body(self, answer: aiohttp.ClientResponse, url: URL, limit: int) -> bytes:
        raw = await self._read(answer, url, limit)
        packing = answer.headers.get("Content-Encoding", "").strip().lower()
        if not raw or packing in {"", "identity"}:
            return raw
        return await asyncio.to_thread(_unpacked, raw, packing, limit, url)

    async def _read(self, answer: aiohttp.ClientResponse, url: URL, limit: int) -> bytes:
        """The body as it was sent; of an error what fits."""
        body = bytearray()
        async for piece in answer.content.iter_chunked(_CHUNK):
            body += piece
            if len(body) > limit:
                if answer.status < _FIRST_ERROR:
                    raise self._too_large(url)
                break
        return bytes(body)

    def _too_large(self, url: URL) -> PageTooLarge:
        return PageTooLarge(host=url.raw_host, limit=_size(self._bounds.size))


def _unpacked(raw: bytes, packing: str, limit: int, url: URL) -> bytes:
    """At most one byte more than `limit`, so that a small bomb does not grow."""
    if packing not in _PACKED:
        raise PageUnreadable(host=url.raw_host, why="it is packed in a way that was not asked for")
    inflate = zlib.decompressobj(_ANY_HEADER)
    try:
        body = inflate.decompress(raw, limit + 1)
    except zlib.error:
        raise PageUnreadable(host=url.raw_host, why="its packing is broken") from None
    if not inflate.eof and len(body) <= limit and len(raw) <= limit:
        raise PageUnreadable(host=url.raw_host, why="its packing breaks off")
    return body


async def _once(request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Left to itself aiohttp asks again where an answer is lost, which may use up what a token is good for."""
    try:
        return await ask(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(cause(error)) from None


def _size(limit: int) -> str:
    return f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit:,} bytes"


class Checked(AbstractResolver):
    """Resolves a name for a connection, and lets it have the addresses only if each of them may be fetched from."""

    def __init__(self, resolver: AbstractResolver, reach: Reach, *, allowed: bool) -> None:
        self._resolver = resolver
        self._reach = reach
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily | int = 0) -> list[ResolveResult]:
        """Raises `ClosedAddress`: one address that may not be reached closes the name."""
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]
        for result in found:
            check_address(ip_address(result["host"]), host, self._reach, allowed=self._allowed)
        return found

    async def close(self) -> None:
        """The resolver is the caller's."""
