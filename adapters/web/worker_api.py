"""`/internal/*`: workers of other processes and hosts, in any language. A token opens it for the one agent of its name.

Every request is checked as a whole before anything is done. A worker that is refused is told why, and may go on asking.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from aiohttp import web

from adapters.web.guard import CREDENTIAL
from adapters.web.l402_reading import BODY_SECONDS, BodyTooSlow
from adapters.web.routes import JSON, answer, plain
from adapters.web.shortcuts import BodyNotJson, TextTooLong
from adapters.web.worker_routes import INSTANCE, LONGEST_WAIT
from core.chat import MAX_TEXT
from core.errors import Refused, UserError
from core.ids import parse_task, task_name
from core.money import to_sats
from core.tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.swarm.desk import Beat
    from core.swarm.ports import ResultFile
    from core.swarm.task import Task
    from core.tokens import TokenRow

LARGEST_RESULT = 28 * 2**20
"""Bytes of a body with a result: the files that are kept, in Base64, and some room."""

LARGEST = 64 * 1024
"""Bytes of every other body."""

AT_A_TIME = 2
"""Large results that are read at a time, one of a worker: each is in memory several times meanwhile."""

MOST_A_SECOND = 2000
"""Requests of one worker, at first in one go: whoever asks without end leaves time for the others."""

PAUSE = 1.0
"""Seconds until a worker that asks more often is told so: else it would ask again at once."""

RESULT_SECONDS = 60.0
"""How long the body of a result may take to come in."""

LONGEST_INSTANCE = 64
"""Characters by which a process is told from another."""

_JSON = {"Content-Type": f"{JSON}; charset=utf-8"}
_STRICT = {"strict": True, "extra": "forbid"}
_WAIT = re.compile("[0-9]{1,2}")
Body = TypeVar("Body")


class NotThisAgent(Refused):
    """Your token is the agent {mine}'s, and this names {given}. Use the name that the token was minted for."""


class TooOften(UserError):
    """You ask more than {most} times a second. Wait a second, then go on."""

    status = 429


class BadBody(UserError):
    """The request is not as it should be: {wrong}."""


class BodyTooLarge(UserError):
    """The body is larger than the {limit} that are taken."""

    status = 413


class BadWait(UserError):
    """Say in wait how many seconds to wait for an answer, 0 to {most}."""


class BadContent(UserError):
    """{name} is not Base64."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A worker: its name, what it can do, and how many tasks at a time (0: nothing more)."""

    __pydantic_config__ = _STRICT
    name: str
    capabilities: list[str]
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class AgentIs:
    """What a worker is called from now on."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class OpenTask:
    """An auction that a worker may bid in, until `closes_at` (Unix ms). `capabilities`: what it calls for.

    `model`: the one that its requester wishes it to be done with, where there is one.
    """

    task_id: str
    description: str
    status: str
    budget_sats: int
    closes_at: int
    capabilities: list[str]
    model: str | None = None


OpenTasks = list[OpenTask]


@dataclass(frozen=True, slots=True)
class BidBody:
    """A bid in whole sats, or `refuse: true`. `eta_s`: seconds from the award to the result."""

    __pydantic_config__ = _STRICT
    task_id: str
    agent_id: str
    bid_sats: int | None = None
    eta_s: int | None = None
    note: str = ""
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class BidIs:
    """Whether a bid counts, and why not."""

    accepted: bool
    message: str
    task_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task that is the worker's to begin; `lease_until` (Unix ms): a heartbeat must come before. `model`: as in the auction."""

    task_id: str
    description: str
    attempt: int
    lease_token: str
    lease_until: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Which attempt it is about."""

    __pydantic_config__ = _STRICT
    lease_token: str


@dataclass(frozen=True, slots=True)
class BeatIs:
    """Until when the lease is good (Unix ms); `cancel`: the work was called off."""

    lease_until: int
    cancel: bool


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a result."""

    __pydantic_config__ = _STRICT
    name: str
    content_base64: str


@dataclass(frozen=True, slots=True)
class ResultBody:
    """The work, done."""

    __pydantic_config__ = _STRICT
    lease_token: str
    result: str
    files: list[Attached] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """How it goes, in a few words."""

    __pydantic_config__ = _STRICT
    lease_token: str
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it cannot be done."""

    __pydantic_config__ = _STRICT
    lease_token: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatusIs:
    """How the task stands."""

    status: str


class Desk(Protocol):
    """Where the crew is served (`core/swarm/desk.py`)."""

    async def enrol(self, name: str, capabilities: Sequence[str], concurrency: int, instance: str) -> None:
        """Enrol a worker, or change it."""

    def check_instance(self, name: str, instance: str) -> None:
        """Raise where another process of a worker has enrolled since."""

    async def tasks(self, name: str, wanted: frozenset[str], seconds: float, instance: str) -> list[Task]:
        """The auctions that a worker may bid in."""

    async def bid(self, name: str, number: int, sats: int, *, eta: int | None, note: str) -> str:
        """A worker bids; why that does not count."""

    async def refuse(self, name: str, number: int, note: str) -> None:
        """A worker will not do a task."""

    async def given(self, name: str, seconds: float, instance: str) -> Task | None:
        """The task that a worker is to begin."""

    async def beat(self, name: str, number: int, lease: str, instance: str) -> Beat:
        """A worker is at it."""

    async def progress(self, name: str, number: int, lease: str, text: str) -> Task:
        """How the work goes."""

    async def holds(self, name: str, number: int, lease: str, text: str, digests: Sequence[str]) -> None:
        """Raise unless a worker may deliver this."""

    async def deliver(self, name: str, number: int, lease: str, text: str, files: Sequence[ResultFile]) -> Task:
        """A result."""

    async def give_up(self, name: str, number: int, lease: str, why: str, *, blame: bool) -> Task:
        """A worker cannot do it."""

    def calls_for(self, task: Task) -> list[str]:
        """The capabilities that a task calls for."""


class WorkerApi:
    """Answers the routes of the worker API; its parts are those of `WorkerRoutes`."""

    def __init__(
        self,
        desk: Desk,
        check: Callable[[str], Awaitable[TokenRow | None]],
        keep: Callable[[Sequence[tuple[str, bytes]]], Awaitable[tuple[ResultFile, ...]]],
    ) -> None:
        self._desk = desk
        self._check = check
        self._keep = keep
        self._reading = asyncio.Semaphore(AT_A_TIME)
        self._listed: tuple[list[Task], bytes] = ([], b"[]")
        self._sends: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._paces: dict[str, tuple[float, float]] = {}

    async def serve(self, what: str, request: web.Request) -> web.Response:
        """Answer a request. Raises `TooOften`, and what the answer does."""
        name, now = request[CREDENTIAL].name, asyncio.get_running_loop().time()
        left, since = self._paces.get(name, (MOST_A_SECOND, now))
        left = min(MOST_A_SECOND, left + (now - since) * MOST_A_SECOND)
        self._paces[name] = max(left - 1, 0), now
        if left < 1:
            await _later(PAUSE)
            raise TooOften(most=f"{MOST_A_SECOND:,}")
        answered: web.Response = await getattr(self, what)(request)
        return answered

    # Joining and bidding ---------------------------------------------------------------------------------------

    async def enrol(self, request: web.Request) -> web.Response:
        """Enrol a worker, or change what it does."""
        agent = await self._body(request, Agent)
        name = _own(request, agent.name)
        await self._desk.enrol(name, agent.capabilities, agent.concurrency, _instance(request))
        return answer(AgentIs(name))

    async def tasks(self, request: web.Request) -> web.Response:
        """The auctions that it may bid in."""
        wanted = frozenset(
            one.strip().lower() for one in request.query.get("capabilities", "").split(",") if one.strip()
        )
        found = await self._desk.tasks(_own(request), wanted, wait := _wait(request), _instance(request))
        if wait:
            await self._still(request)
        if not found:
            return web.Response(status=204)
        return web.Response(body=self._list(found), headers=_JSON)

    def _list(self, tasks: list[Task]) -> bytes:
        """Auctions as they are told. Many ask for the same at a time: it is written once for all of them."""
        if tasks != self._listed[0]:
            self._listed = (tasks, f"[{', '.join(map(self._show, tasks))}]".encode())
        return self._listed[1]

    def _show(self, task: Task) -> str:
        one = OpenTask(
            task.name, task.description, task.status.value, to_sats(task.budget), task.closes_at or task.deadline,
            self._desk.calls_for(task), task.model,
        )  # fmt: skip
        return json.dumps(plain(one))

    async def bid(self, request: web.Request) -> web.Response:
        """A bid, or a refusal."""
        bid = await self._body(request, BidBody)
        name, number = _own(request, bid.agent_id), parse_task(bid.task_id, "GET /internal/tasks lists them")
        self._desk.check_instance(name, _instance(request))
        if bid.refuse:
            if bid.bid_sats is not None:
                raise BadBody(wrong="A refusal has no bid_sats")
            await self._desk.refuse(name, number, bid.note)
            return answer(BidIs(accepted=True, message="refused", task_id=task_name(number), agent_id=name))
        if bid.bid_sats is None:
            raise BadBody(wrong="bid_sats is missing: a whole number of sats, or refuse: true")
        eta = None if bid.eta_s is None else bid.eta_s * 1000
        why = await self._desk.bid(name, number, bid.bid_sats, eta=eta, note=bid.note)
        return answer(BidIs(not why, why or "your bid counts", task_name(number), name))

    # Work ------------------------------------------------------------------------------------------------------

    async def assignment(self, request: web.Request) -> web.Response:
        """What it is to begin."""
        name = _own(request, request.query.get("agent_id", ""))
        task = await self._desk.given(name, wait := _wait(request), _instance(request))
        if wait:
            await self._still(request)
        if task is None:
            return web.Response(status=204)
        return answer(
            Assignment(task.name, task.description, task.attempt, task.lease or "", task.lease_until or 0, task.model)
        )

    async def heartbeat(self, request: web.Request) -> web.Response:
        """It is at a task."""
        lease = await self._body(request, Lease)
        beat = await self._desk.beat(_own(request), _number(request), lease.lease_token, _instance(request))
        return answer(BeatIs(beat.lease_until, beat.cancel))

    async def progress(self, request: web.Request) -> web.Response:
        """How it goes."""
        body = await self._body(request, Progress)
        return _status(await self._desk.progress(_own(request), _number(request), body.lease_token, body.text))

    async def result(self, request: web.Request) -> web.Response:
        """The work."""
        name, size = _own(request), request.content_length
        if size is not None and size <= LARGEST:
            return await self._delivered(name, _number(request), await self._body(request, ResultBody))
        async with self._sends[name], self._reading:
            raw = await _read(request, LARGEST_RESULT, RESULT_SECONDS)
            await self._still(request)
            return await self._delivered(name, _number(request), await asyncio.to_thread(_checked, raw, ResultBody))

    async def _delivered(self, name: str, number: int, body: ResultBody) -> web.Response:
        text = body.result.encode(errors="replace").decode()
        if len(text.encode()) > MAX_TEXT:
            raise TextTooLong(field="result", limit=f"{MAX_TEXT:,}")
        kept: tuple[ResultFile, ...] = ()
        if body.files:
            contents, digests = await asyncio.to_thread(_contents, body.files)
            await self._desk.holds(name, number, body.lease_token, text, digests)
            kept = await self._keep(contents)
        return _status(await self._desk.deliver(name, number, body.lease_token, text, kept))

    async def fail(self, request: web.Request) -> web.Response:
        """Why there is none."""
        body = await self._body(request, Failure)
        reason = body.reason.strip() or "it failed"
        name, number = _own(request), _number(request)
        return _status(await self._desk.give_up(name, number, body.lease_token, reason, blame=True))

    async def handback(self, request: web.Request) -> web.Response:
        """Somebody else should do it."""
        body = await self._body(request, Lease)
        return _status(await self._desk.give_up(_own(request), _number(request), body.lease_token, "", blame=False))

    async def _body(self, request: web.Request, shape: type[Body]) -> Body:
        """A small body. Raises `BodyNotJson`, `BadBody`, `BodyTooLarge`, `BodyTooSlow`, `BadToken`."""
        waits = not request.content.is_eof()
        raw = await _read(request, LARGEST, BODY_SECONDS)
        if waits:
            await self._still(request)
        return _checked(raw, shape)

    async def _still(self, request: web.Request) -> None:
        """Raise `BadToken` where the token was revoked while its worker waited, or had its body waited for."""
        if await self._check(request.headers["Authorization"].partition(" ")[2].strip()) is None:
            raise BadToken


async def _later(seconds: float) -> None:
    """Return after so many seconds, or when whoever asked has gone."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()


def _status(task: Task) -> web.Response:
    return answer(StatusIs(task.status.value))


def _own(request: web.Request, given: str | None = None) -> str:
    """The agent that a token is for. Raises `NotThisAgent` where the request names another."""
    name = request[CREDENTIAL].name
    if given is not None and given != name:
        raise NotThisAgent(mine=name, given=repr(given[:80]))
    return name


def _instance(request: web.Request) -> str:
    """Which process of a worker it is, as far as it says."""
    return request.headers.get(INSTANCE, "")[:LONGEST_INSTANCE]


def _number(request: web.Request) -> int:
    return parse_task(request.match_info["id"], "GET /internal/assignments has yours")


def _wait(request: web.Request) -> float:
    """Raises `BadWait`."""
    given = request.query.get("wait", "0")
    if not _WAIT.fullmatch(given) or int(given) > LONGEST_WAIT:
        raise BadWait(most=LONGEST_WAIT)
    return float(given)


async def _read(request: web.Request, limit: int, seconds: float) -> bytes:
    """A body as it comes. Raises `BodyTooLarge`, before all of it is there, and `BodyTooSlow`."""
    told = f"{limit >> 20} MB" if limit >> 20 else f"{limit >> 10} kB"
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit=told)
    if request.content.is_eof() and request.content.total_bytes <= limit:
        return await request.content.read()  # it came with its head, and nobody waits
    content = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_any():
                content += piece
                if len(content) > limit:
                    raise BodyTooLarge(limit=told)
    except TimeoutError:
        raise BodyTooSlow(seconds=round(seconds)) from None
    return bytes(content)


@cache
def _reader(shape: type[Body]) -> Callable[[bytes], Body]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - for the first worker

    return TypeAdapter(shape).validate_json


def _checked(raw: bytes, shape: type[Body]) -> Body:
    """Raises `BodyNotJson`, and `BadBody`, which names the first field that is wrong."""
    from pydantic import ValidationError  # noqa: PLC0415 - as in `_reader`

    try:
        found: Body = _reader(shape)(raw)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    else:
        return found
    if first["type"] == "json_invalid":
        raise BodyNotJson
    where = ".".join(map(str, first["loc"]))
    raise BadBody(wrong=f"{where[:80] or 'The body'}: {first['msg'][:1].lower()}{first['msg'][1:]}")


def _contents(files: Sequence[Attached]) -> tuple[list[tuple[str, bytes]], list[str]]:
    """What files hold, by name, and the SHA-256 of each. Raises `BadContent`."""
    found: list[tuple[str, bytes]] = []
    for file in files:
        try:
            found.append((file.name, base64.b64decode(file.content_base64, validate=True)))
        except (binascii.Error, ValueError):
            raise BadContent(name=repr(file.name[:80])) from None
    return found, [hashlib.sha256(content).hexdigest() for _, content in found]
