"""HTTP for python-telegram-bot on aiohttp: the hub's one HTTP library, and about three times as fast as the default.

No error of this module carries a URL, since a bot's URL holds its token.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest

from core.errors import cause

if TYPE_CHECKING:
    from telegram.request import RequestData

READ_SECONDS = 20.0
CONNECT_SECONDS = 10.0
MAX_DOWNLOAD = 25 * 2**20
"""The most that is read of one answer, bytes: a file that a bot may fetch has at most 20 MB."""


class NotReached(NetworkError):
    """The request never left: it has had no effect."""


class NotTelegram(NetworkError):
    """The server's answer is none of the Bot API's: a page of a captive portal, or of a proxy."""


class AnswerTooLarge(NetworkError):
    """The server's answer is larger than any that it should give."""


class Transport(BaseRequest):
    """One pool of connections."""

    __slots__ = ("_limit", "_session")

    def __init__(self, *, connections: int = 64) -> None:
        self._limit = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        """See `BaseRequest`."""
        return READ_SECONDS

    async def initialize(self) -> None:
        """See `BaseRequest`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
            )

    async def shutdown(self) -> None:
        """See `BaseRequest`."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def do_request(  # noqa: PLR0913, PLR0917 - see `BaseRequest`
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - the read timeout covers it
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002
    ) -> tuple[int, bytes]:
        """See `BaseRequest`. Raises `NotReached` where nothing can have happened, `TimedOut` or `NetworkError` where it may."""
        if self._session is None:
            raise NotReached("the connection is closed")
        seconds = READ_SECONDS if isinstance(read_timeout, type(BaseRequest.DEFAULT_NONE)) else read_timeout
        limits = aiohttp.ClientTimeout(sock_read=seconds, sock_connect=CONNECT_SECONDS, connect=CONNECT_SECONDS * 3)
        try:
            async with self._session.request(method, url, timeout=limits, **_body(request_data)) as answer:
                content = await _read(answer)
                return answer.status, content if answer.ok or _json(
                    content
                ) is not None else b"{}"  # no page in the log
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotReached(_named(error)) from None
        except TimeoutError:
            raise TimedOut from None
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
            raise NetworkError(f"the connection broke ({_named(error)})") from None

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """See `BaseRequest`, which writes a traceback and the whole answer into the log where it is no JSON."""
        found = _json(payload)
        if found is None:
            raise NotTelegram("what answers there is not Telegram: its answer is no JSON")
        return found


def _json(payload: bytes) -> dict[str, Any] | None:
    """The object of an answer; None if it is none."""
    try:
        found = json.loads(payload.decode(errors="replace"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _body(data: RequestData | None) -> dict[str, Any]:
    if data is None:
        return {}
    if not data.contains_files:
        return {"data": json.dumps(data.parameters).encode(), "headers": {"Content-Type": "application/json"}}
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, kind) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return {"data": form}


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = await answer.content.read(MAX_DOWNLOAD)
    while chunk := await answer.content.read(MAX_DOWNLOAD):
        content += chunk
        if len(content) > MAX_DOWNLOAD:
            raise AnswerTooLarge("the answer is too large")
    return content


def _named(error: Exception) -> str:
    """Why, without a URL: what the system says; what else the library says may carry one."""
    return cause(error) if isinstance(error, OSError) else type(error).__name__
