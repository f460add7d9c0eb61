"""LND's REST on the wire: its headers, its errors, its streams of lines; every call has a deadline.

LND's gateway turns gRPC into JSON: int64 are strings, bytes are base64, and an error is `{"code", "message"}`, or in a stream
`{"error": {...}}`. The code, not the status, says what it means: LND gives most of its refusals no code of their own, and such a
one (2, unknown) comes with status 500. What no LND answered, a proxy's page for one, is the node being down.
No error of this module carries a URL or a macaroon.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from core.errors import UserError, cause
from core.wallet.lightning import NodeDown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from pathlib import Path

BACKEND = "lnd"
_LARGEST = 8 * 2**20
"""The most that is read of one answer or one line of a stream, bytes: a payment in many parts lists every attempt."""

_LONGEST_WHY = 200
UNKNOWN, NOT_FOUND, ALREADY_EXISTS = 2, 5, 6
_PASSING = frozenset({1, 4, 8, 10, 13, 14})
"""gRPC's codes of what is no answer to the question: cancelled, deadline, exhausted, aborted, internal, unavailable."""

_ASLEEP = (
    "wallet locked",
    "wallet not created",
    "waiting to start",
    "process of starting up",
    "shutting down",
    "server exiting",
)
"""What LND says, under code 2, while it is not open for work (rpcperms/interceptor.go and its servers)."""


class BadCertificate(UserError):
    """TIMMY_LND_TLS_CERT_PATH is wrong: {why}. It is the file tls.cert in LND's own folder."""


class Answered(Exception):
    """LND's own error: its gRPC code, and what it says."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, an answer, a payment beyond the time that the node itself was given.

    A stream of settlements may rightly be silent, and so may a dead connection: after `idle` it is asked for anew, after `first`
    where nothing was ever settled.
    """

    connect: float = 10
    answer: float = 30
    grace: float = 10
    idle: float = 300
    first: float = 5


class Wire:
    """The connections to one node. Only the certificate at `certificate` is trusted; without one, public authorities are."""

    def __init__(self, url: str, certificate: Path | None, patience: Patience) -> None:
        self._root = url.rstrip("/")
        self._trust = _trust(certificate)
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Close every connection; none is opened any more."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def get(self, path: str, macaroon: str) -> dict[str, Any]:
        """An answer to a question. Raises `Answered` and `NodeDown`."""
        return await self._whole("GET", path, macaroon, None)

    async def post(self, path: str, macaroon: str, body: Mapping[str, object]) -> dict[str, Any]:
        """An answer to an order. Raises `Answered`, and `NodeDown`, after which it may have been carried out."""
        return await self._whole("POST", path, macaroon, body)

    async def _whole(self, method: str, path: str, macaroon: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._patience.answer), self._call(method, path, macaroon, body) as answer:
                whole = bytearray()
                async for chunk in answer.content.iter_any():
                    whole += chunk
                    _bounded(whole)
                return _read(whole, answer.status)
        except TimeoutError:
            raise silent(self._patience.answer) from None

    async def lines(
        self, method: str, path: str, macaroon: str, body: Mapping[str, object] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The results of a stream as they come, without a deadline; it ends when LND ends it.

        Raises `Answered`, and `NodeDown` when it breaks.
        """
        async with self._call(method, path, macaroon, body) as answer:
            rest = bytearray()
            async for chunk in answer.content.iter_any():
                *ends, begins = chunk.split(b"\n")
                for end in ends:
                    rest += end
                    yield _result(_read(rest, answer.status))
                    rest.clear()
                rest += begins
                _bounded(rest)
            if rest.strip():
                yield _result(_read(rest, answer.status))

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, macaroon: str, body: Mapping[str, object] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._connected().request(
                method,
                URL(self._root + path, encoded=True),
                json=body,
                headers={"Grpc-Metadata-macaroon": macaroon, "Accept-Encoding": "identity"},
                allow_redirects=False,  # nobody else is to see the macaroon
            ) as answer:
                yield answer
        except (aiohttp.ClientError, OSError) as error:
            raise down(_why(error)) from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._closed:
            raise down("the hub has let go of it")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust, limit=0),  # each payment under way holds one
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
                auto_decompress=False,
            )
        return self._session


def down(why: str) -> NodeDown:
    """The node does not answer, or what answers there is not it."""
    return NodeDown(backend=BACKEND, why=why)


def silent(seconds: float) -> NodeDown:
    """The deadline has passed."""
    return down(f"no answer within {seconds:g} s")


def _bounded(data: bytearray) -> None:
    if len(data) > _LARGEST:
        raise down("its answer has no end")


def _read(text: bytearray, status: int) -> dict[str, Any]:
    """The object of an answer. Raises `Answered` where it is LND's error, and `NodeDown` where it is not LND's at all."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise down(f"status {status} and no JSON: what answers there is not LND")
    error = found.get("error", found) if status != HTTPStatus.OK else found.get("error")
    if error is None:
        return found
    if not isinstance(error, dict) or type(error.get("code")) is not int or not isinstance(error.get("message"), str):
        raise down(f"status {status} and no error of LND's")
    code, message = error["code"], one_line(error["message"])
    if code in _PASSING or any(words in message for words in _ASLEEP):
        raise down(message or f"code {code}")
    raise Answered(code, message)


def _result(line: dict[str, Any]) -> dict[str, Any]:
    found = line.get("result")
    if not isinstance(found, dict):
        raise down("a line of its stream has no result")
    return found


def one_line(text: str) -> str:
    """The node's own words: one line that can be shown, cut, without a full stop; no address, and no key that it may repeat."""
    said = " ".join("".join(one if one.isprintable() else " " for one in text[:_LONGEST_WHY]).split()).rstrip(". ")
    return re.sub(r"[0-9a-fA-F]{32,}|\w*://\S*", "…", said)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not the one of TIMMY_LND_TLS_CERT_PATH, or not for this host"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return cause(error)


def _trust(certificate: Path | None) -> ssl.SSLContext | bool:
    """Who is believed to be the node: who has the key of this one certificate, and nobody whom an authority vouches for.

    LND signs its own, so it is its own authority. The host's name is compared too: the file may as well be an authority's, which
    others have certificates of. LND writes the names into it that it knows, and those of `tlsextradomain` and `tlsextraip`.
    """
    if certificate is None:
        return True
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trust.load_verify_locations(certificate)
    except ssl.SSLError:
        raise BadCertificate(why=f"{certificate} is no certificate (PEM)") from None
    except OSError as error:
        raise BadCertificate(why=f"{certificate} cannot be read ({cause(error)})") from None
    return trust
