"""Who may come in: the right Host, no foreign Origin, the right token. Being on this machine is no credential.

The Host check stops DNS rebinding (a foreign name that resolves to 127.0.0.1); the Origin check, with the browser's own
Sec-Fetch-Site, stops other pages in the owner's browser, those on other ports of this machine included.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from aiohttp import web

from adapters.web.errors import ForeignHost, ForeignOrigin, NoToken, PackedBody, WrongScope
from adapters.web.routes import Access
from core.tokens import BadToken, TokenKind, TokenRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?P<port>:[0-9]{1,5})?")
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_OPENED_BY = {
    Access.READ: frozenset({TokenKind.OWNER, TokenKind.READ}),
    Access.PAGE: frozenset({TokenKind.OWNER, TokenKind.READ}),
    Access.SHORTCUT: frozenset({TokenKind.SHORTCUT}),
    Access.WORKER: frozenset({TokenKind.WORKER}),
    Access.OWNER: frozenset({TokenKind.OWNER}),
}
_READER = "read NAME"
_MINTED = {Access.SHORTCUT: "shortcut NAME --for ACTOR", Access.WORKER: "worker NAME", Access.OWNER: "owner NAME"}
"""What to mint for a route, where it is not a read token."""

COOKIE = "timmy_session"
"""The cookie of a login; the hub's port is added, as browsers keep one jar for all ports of a machine."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "timmy",
}
"""On every response. Nothing is cached: the page is three small files, and all else is private or live."""

CREDENTIAL = web.RequestKey("credential", TokenRow)
"""The token row that opened a request, for routes that act as somebody."""


class Sessions(Protocol):
    """The logins of a page."""

    def knows(self, session: str) -> bool:
        """Whether a session goes on."""


class Guard:
    """Checks requests. `hosts` are the public host and those of TIMMY_HTTP_ALLOWED_HOSTS, each with or without a port."""

    def __init__(
        self,
        public_url: str | None,
        hosts: Iterable[str],
        check: Callable[[str], Awaitable[TokenRow | None]],
        logins: Sessions,
        *,
        proxy: str | None = None,
    ) -> None:
        public = urlsplit(public_url) if public_url else None
        self._scheme = public.scheme if public else ""
        self._public = _bare(public.netloc.lower(), self._scheme) if public else ""
        self._hosts = frozenset(host for host in (*(host.lower() for host in hosts), self._public) if host)
        self._check = check
        self._logins = logins
        self._proxy = ipaddress.ip_network(proxy, strict=False) if proxy else None
        self.cookie = COOKIE
        self._is_ours = lru_cache(64)(self._names_us)  # most requests name the same

    def listens_on(self, port: int) -> None:
        """The hub's port is known."""
        self.cookie = f"{COOKIE}_{port}"

    def client(self, request: web.Request) -> str:
        """The address of whoever asks: what the trusted proxy saw, or the other end of the connection."""
        seen = ",".join(request.headers.getall("X-Forwarded-For", ())).rpartition(",")[2].strip()
        return seen if seen and self._by_proxy(request) else request.remote or ""

    def encrypted(self, request: web.Request) -> bool:
        """Whether whoever asks does so over https, as the public URL or the trusted proxy says."""
        if self._by_proxy(request) and (scheme := request.headers.get("X-Forwarded-Proto")):
            return scheme.lower() == "https"
        return self._scheme == "https"

    def _by_proxy(self, request: web.Request) -> bool:
        seen = parsed(request.remote or "") if self._proxy is not None else None
        return self._proxy is not None and seen is not None and seen in self._proxy

    def place(self, request: web.Request) -> None:
        """Raise `ForeignHost` or `ForeignOrigin`. A request without a Host is foreign too: HTTP/1.1 demands one.

        Raise `PackedBody` for one that nobody here unpacks.
        """
        hosts = request.headers.getall("Host", ())
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._is_ours(host):
            raise ForeignHost
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower().rstrip("/") not in self._origins(host, request):
            raise ForeignOrigin
        navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
        if request.headers.get("Sec-Fetch-Site") in _ELSEWHERE and not (navigates and request.method == "GET"):
            raise ForeignOrigin
        if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise PackedBody

    async def admit(self, request: web.Request, access: Access) -> None:
        """Raise `NoToken`, `BadToken` or `WrongScope` unless the request may use such a route."""
        kinds = _OPENED_BY.get(access)
        if kinds is None:
            return
        header = request.headers.get("Authorization")
        if header is None:
            if access is Access.PAGE and self.signed_in(request):
                return
            raise NoToken(wanted=_MINTED.get(access, _READER))
        credential = await self._credential(header)
        if credential is None:
            raise BadToken
        if credential.kind not in kinds:
            raise WrongScope(kind=credential.kind, wanted=_MINTED.get(access, _READER))
        request[CREDENTIAL] = credential

    async def still(self, request: web.Request) -> bool:
        """Whether the token that opened a long answer is still good."""
        return CREDENTIAL not in request or await self._credential(request.headers["Authorization"]) is not None

    def signed_in(self, request: web.Request) -> bool:
        """Whether the request carries the cookie of a login."""
        return self._logins.knows(request.cookies.get(self.cookie, ""))

    async def _credential(self, header: str) -> TokenRow | None:
        scheme, _, token = header.partition(" ")
        return await self._check(token.strip()) if scheme.lower() == "bearer" else None

    def _names_us(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        names = {host, found["name"], _bare(host, self._scheme)}
        return bool(names & self._hosts) or _loopback(found["name"])

    def _origins(self, host: str, request: web.Request) -> set[str]:
        """What a page of ours has as its Origin (browsers leave a default port out). Where https is said, http is foreign."""
        if self._scheme and _bare(host, self._scheme) == self._public:
            return {f"{self._scheme}://{self._public}"}
        https = f"https://{_bare(host, 'https')}"
        if self._by_proxy(request) and self.encrypted(request):
            return {https}
        return {f"http://{_bare(host, 'http')}", https}


@lru_cache(4096)
def parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, or None where it is none. The same few come again and again."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _bare(host: str, scheme: str) -> str:
    """A host without the port that its scheme means anyway."""
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ""))


def _loopback(name: str) -> bool:
    found = parsed(name.strip("[]"))
    return name == "localhost" or (found is not None and found.is_loopback)
