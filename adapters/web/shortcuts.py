"""`/shortcuts/*`: what Siri Shortcuts on a phone or a watch ask. A token opens them for one device, which speaks for one person.

What a person may be told (no sats, no such agent, not allowed) is an answer like any other; only what is no request at all is
an HTTP error. `Idempotency-Key` as in draft-ietf-httpapi-idempotency-key-header-07: the same key with another request is 422;
unlike there, a key need not be quoted, and one that is being answered is waited for with the first.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web  # noqa: TC002 - handlers are looked at by the library

from adapters.web.guard import CREDENTIAL
from adapters.web.routes import Access, Parameter, Route, answer
from core.chat import MAX_TEXT
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from core.tokens import TokenRow

LARGEST_RECORDING = 8 * 2**20
KEY = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
_AUDIO = re.compile(r"(?:audio|video)/(?:x-|vnd\.)?([a-z0-9]{1,10})[a-z0-9.+-]*|application/octet-stream")


class BodyNotJson(UserError):
    """The body is not JSON."""

    status = 400


class WrongFields(UserError):
    """The body must be an object with the one text "{field}", and nothing else."""


class Blank(UserError):
    """The {field} is empty. Say what you want."""


class TextTooLong(UserError):
    """The {field} is longer than the {limit} bytes that are taken."""

    status = 413


class NoRecording(UserError):
    """The body is no recording. Send the file itself, with its type (Content-Type: audio/...)."""


class RecordingTooLarge(UserError):
    """The recording is larger than the {limit} MB that are taken. Say it shorter."""

    status = 413


class BadKey(UserError):
    """The Idempotency-Key must be 1 to 200 printable ASCII characters, such as a UUID."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is said to the hub."""

    message: str


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be done."""

    description: str


@dataclass(frozen=True, slots=True)
class SpokenAnswer:
    """`speech` is to be spoken, `text` says everything. Where it is not `done`, ask /shortcuts/result/{job}."""

    speech: str
    text: str
    done: bool
    task_id: str | None = None
    job: str | None = None


class Said(Protocol):
    """An answer of the surface, as `SpokenAnswer` has it."""

    @property
    def speech(self) -> str:
        """What is spoken."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def done(self) -> bool:
        """Whether that is the answer."""

    @property
    def task_id(self) -> str | None:
        """The task it is about."""

    @property
    def job(self) -> str | None:
        """What to ask for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording and the ending of its type."""

    content: bytes
    media: str


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks what, on which route: what they `said`, and the `text` that it means. `alive` says whether they are still there."""

    device: TokenRow
    route: str
    said: str
    text: str
    key: str | None
    recording: Recorded | None
    alive: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests are answered. `task_line` makes the command that posts a task of some words.

    `held` counts a request whose body still comes in, and refuses one too many: it is not yet one that can be asked.
    """

    held: Callable[[TokenRow], AbstractContextManager[None]]
    ask: Callable[[Request], Awaitable[Said]]
    result: Callable[[TokenRow, str, Callable[[], bool]], Awaitable[Said]]
    task_line: Callable[[str], str]


class Shortcuts:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        key = Parameter(KEY, "header", "the same key with the same request is one request, however often it is sent")
        job = Parameter("job", "path", "the name in an answer that is not done", required=True)
        post: dict[str, Any] = {"access": Access.SHORTCUT, "gives": SpokenAnswer, "takes": (key,)}
        get: dict[str, Any] = {"access": Access.SHORTCUT, "gives": SpokenAnswer, "head": False}
        wrong: tuple[int, ...] = (400, 413, 422, 503)
        return (
            Route(
                "POST", "/shortcuts/chat", "shortcutsChat", "Say something to the hub", self._chat, body=Message,
                refuses=wrong, **post,
            ),
            Route(
                "POST", "/shortcuts/task", "shortcutsTask", "Post a task", self._task, body=Description, refuses=wrong, **post
            ),
            Route(
                "POST", "/shortcuts/audio", "shortcutsAudio", "Say something in a recording", self._audio, body=bytes,
                refuses=(413, 422, 429, 503), **post,
            ),
            Route("GET", "/shortcuts/status", "shortcutsStatus", "How the hub is", self._status, refuses=(503,), **get),
            Route("GET", "/shortcuts/swarm", "shortcutsSwarm", "Who can work", self._swarm, refuses=(503,), **get),
            Route(
                "GET", "/shortcuts/result/{job}", "shortcutsResult", "The answer that was not ready", self._result,
                refuses=(404, 503), takes=(job,), **get,
            ),
        )  # fmt: skip

    async def _chat(self, request: web.Request) -> web.Response:
        return await self._answered(request, await self._said(request, "message"))

    async def _task(self, request: web.Request) -> web.Response:
        description = await self._said(request, "description")
        return await self._answered(request, description, text=self._desk.task_line(description))

    async def _audio(self, request: web.Request) -> web.Response:
        with self._desk.held(request[CREDENTIAL]):
            recording = await _recording(request)
        return await self._answered(request, "", recording)

    async def _status(self, request: web.Request) -> web.Response:
        return await self._answered(request, "/status")

    async def _swarm(self, request: web.Request) -> web.Response:
        return await self._answered(request, "/agents")

    async def _said(self, request: web.Request, field: str) -> str:
        with self._desk.held(request[CREDENTIAL]):
            return _field(await request.read(), field)

    async def _answered(
        self, request: web.Request, said: str, recording: Recorded | None = None, *, text: str | None = None
    ) -> web.Response:
        key = read_key(request.headers.get(KEY)) if request.method == "POST" else None
        asked = Request(
            request[CREDENTIAL], request.path, said, said if text is None else text, key, recording, _alive(request)
        )
        return _spoken(await self._desk.ask(asked))

    async def _result(self, request: web.Request) -> web.Response:
        return _spoken(await self._desk.result(request[CREDENTIAL], request.match_info["job"], _alive(request)))


def _spoken(said: Said) -> web.Response:
    return answer(SpokenAnswer(said.speech, said.text, said.done, said.task_id, said.job))


def _alive(request: web.Request) -> Callable[[], bool]:
    return lambda: request.transport is not None and not request.transport.is_closing()


def _field(body: bytes, name: str) -> str:
    """The one text of a body. Raises what is wrong with it; another field beside it may be a limit, and is not passed over."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BodyNotJson from None
    if not isinstance(found, dict) or set(found) != {name} or not isinstance(found[name], str):
        raise WrongFields(field=name)
    text: str = found[name].encode(errors="replace").decode()
    if not text.strip():
        raise Blank(field=name)
    if len(text.encode()) > MAX_TEXT:
        raise TextTooLong(field=name, limit=f"{MAX_TEXT:,}")
    return text


async def _recording(request: web.Request) -> Recorded:
    """The body, as it comes: it may be larger than those of other routes."""
    kind = _AUDIO.fullmatch(request.content_type)
    if kind is None:
        raise NoRecording
    content = bytearray()
    async for piece in request.content.iter_any():
        content += piece
        if len(content) > LARGEST_RECORDING:
            raise RecordingTooLarge(limit=LARGEST_RECORDING >> 20)
    if not content:
        raise NoRecording
    return Recorded(bytes(content), kind[1] or "bin")


def read_key(given: str | None) -> str | None:
    """An Idempotency-Key, with or without the quotes of a structured field (RFC 8941). Raises `BadKey`."""
    if given is None:
        return None
    quoted = len(given) > 1 and given[0] == given[-1] == '"'
    key = given[1:-1] if quoted else given
    if not _KEY.fullmatch(key):
        raise BadKey
    return key
