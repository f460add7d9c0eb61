"""phoenixd's HTTP API on the wire: its password, its forms, its errors, its events; every call has a deadline.

Bodies are forms, answers JSON, errors plain text: 400 where an argument is wrong, 401 for the password, 404 "Not found" for what it
has not seen, 500 for all else (Api.kt of phoenixd 0.8). What no phoenixd answered, a proxy's page for one, is the node being down.
No error of this module carries a URL or the password.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from adapters.lightning.answers import Answers
from core.chat import one_line
from core.errors import cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

BACKEND = "phoenixd"
SAID = Answers(BACKEND, "phoenixd 0.5 or later")
NOT_FOUND = "Not found"
_LARGEST = 4 * 2**20
"""The most that is read of one answer, bytes: a page of a hundred payments is 100 KB."""

_CLOSING = aiohttp.ClientWSTimeout(ws_close=1)
"""Seconds for a goodbye."""

_LONGEST_WHY = 200
_WRONG = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED})
"""What it answers before it does anything."""


class Answered(Exception):
    """phoenixd's own refusal, before it did anything: what it says."""


class Wire:
    """The connections to one phoenixd. Times in seconds: `connect` for a connection, `answer` for an answer."""

    def __init__(self, url: str, password: str, *, connect: float, answer: float) -> None:
        self._root = url.rstrip("/")
        self._headers = {
            "Authorization": aiohttp.encode_basic_auth("", password, encoding="utf-8"),
            "Accept-Encoding": "identity",
        }
        self._connect = connect
        self._answer = answer
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Close every connection; none is opened any more."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The answer to a question; None: it has not seen what was asked for. Raises `NodeDown`."""
        try:
            return await self._whole("GET", path, self._answer, query=query)
        except Answered as refused:
            raise SAID.down(str(refused)) from None

    async def post(self, path: str, form: Mapping[str, str], *, answer: float | None = None) -> Any:
        """The answer to an order. Raises `Answered`: it was not carried out; `NodeDown`: it may have been.

        Raises `TimeoutError` where the caller gave a time to `answer`, and it has passed.
        """
        return await self._whole(
            "POST", path, self._answer if answer is None else answer, form=form, own=answer is not None
        )

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Events]:
        """What it tells by itself, from now on. Raises `NodeDown`."""
        try:
            async with asyncio.timeout(self._answer):
                socket = await self._opened().ws_connect(
                    f"{self._root}/websocket", heartbeat=self._answer, max_msg_size=_LARGEST, timeout=_CLOSING
                )
            async with socket:
                yield Events(socket)
        except (aiohttp.ClientError, OSError) as error:
            raise SAID.down(_why(error)) from None

    async def _whole(
        self,
        method: str,
        path: str,
        seconds: float,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        own: bool = False,
    ) -> Any:
        try:
            async with (
                asyncio.timeout(seconds),
                self._opened().request(method, self._root + path, params=query, data=form) as answer,
            ):
                body = bytearray()
                while len(body) <= _LARGEST and (more := await answer.content.read(_LARGEST)):
                    body += more
                return _opened(answer.status, body)
        except (aiohttp.ClientError, OSError) as error:
            if own and isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise SAID.down(_why(error)) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise SAID.down("the hub has let go of it")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # a payment may hold its own for long
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_nowhere_else,),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect),
                headers=self._headers,
                auto_decompress=False,
            )
        return self._session


async def _nowhere_else(request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """No redirection is followed: a websocket's cannot be told so in any other way, and another server's events are none of its."""
    answer = await ask(request)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - HTTP's
        answer.close()
        raise aiohttp.ClientConnectionError(f"status {answer.status}")
    return answer


class Events:
    """The websocket, which tells of payments that came in while somebody listens, and of no other."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def next(self, seconds: float) -> Any:
        """The next event, None when none came in `seconds`. Raises `NodeDown` when the connection ends."""
        try:
            message = await self._socket.receive(seconds)
        except TimeoutError:
            return None
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SAID.down("its stream of events ended")
        return _json(message.data)


def _opened(status: int, body: bytearray) -> Any:
    """What an answer holds; None where it is "Not found". Raises `Answered` and `NodeDown`."""
    if len(body) > _LARGEST:
        raise SAID.odd()
    if status == HTTPStatus.OK:
        return _json(body)
    said = one_line(body[: 4 * _LONGEST_WHY].decode(errors="replace"))[:_LONGEST_WHY].rstrip(".")
    if status == HTTPStatus.NOT_FOUND and said == NOT_FOUND:
        return None
    if status == HTTPStatus.UNAUTHORIZED:
        said = "TIMMY_PHOENIXD_PASSWORD is not its http-password, or the limited one, which may not pay"
    if status in _WRONG:
        raise Answered(said or f"status {status}")
    raise SAID.down(f"status {status}: {said}" if said else f"status {status}")


def _json(text: str | bytearray) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise SAID.odd() from None
    if found is None:
        raise SAID.odd()
    return found


def _why(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else cause(error)
