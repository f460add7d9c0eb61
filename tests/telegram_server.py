"""A Telegram of our own making that speaks the Bot API over real loopback HTTP, and refuses what Telegram refuses.

A real `telegram.Bot` talks to it: `Bot(server.token, base_url=server.base_url, base_file_url=server.base_file_url)`.
Tests make its people act (`server.say`, `tap`), order faults (`flood`, `down`, `drop_reply`) and look at what the bot did
(`messages`, `calls`, `answers`). It outlives the bots it serves. Rules: `tests.telegram_rules`; source:
https://core.telegram.org/bots/api.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from adapters.clockwork import SystemClock
from tests.telegram_methods import Methods
from tests.telegram_people import People
from tests.telegram_rules import Args, Refused, Upload

if TYPE_CHECKING:
    from core.ports import Clock
    from tests.telegram_rules import Json
    from tests.telegram_world import Where

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
TAKEN = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
HOOKED = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
FAR = 10
"""An offset further than this beyond the queue is taken for none (as the real queue does)."""


@dataclass(frozen=True)
class Call:
    """One call of the API as it was answered. Files in it are in `files` by name of their part."""

    method: str
    params: Json
    files: dict[str, Upload]
    at: int
    """Unix milliseconds."""
    status: int
    """0: the connection was closed without an answer."""
    answer: Json

    @property
    def chat_id(self) -> int:
        """0 when it names none."""
        return Args(self.params).int("chat_id")


class TelegramServer(People):
    """The server. Use `async with TelegramServer() as server`."""

    def __init__(
        self, *, token: str = TOKEN, username: str = "timmy_bot", clock: Clock | None = None, log: int | None = 10_000
    ) -> None:
        super().__init__(clock or SystemClock(), token, username)
        self.calls: deque[Call] = deque(maxlen=log)
        """The newest calls, `log` at most (0: none)."""
        self.host = "127.0.0.1"
        self.port = 0
        self.revoked = False
        self.polls = 0
        """How many polls were begun."""
        self._api = Methods(self)
        self._runner: web.ServerRunner | None = None
        self._poller: asyncio.Future[Refused | None] | None = None
        self._flooded: dict[int, list[Any]] = {}
        self._down: list[Any] | None = None
        self._stalled: asyncio.Event | None = None
        self._dropped: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        self._gates: dict[str, tuple[asyncio.Event, bool]] = {}

    # -- being there

    @property
    def base_url(self) -> str:
        """For `Bot(base_url=...)`."""
        return f"http://{self.host}:{self.port}/bot"

    @property
    def base_file_url(self) -> str:
        """For `Bot(base_file_url=...)`."""
        return f"http://{self.host}:{self.port}/file/bot"

    async def __aenter__(self) -> Self:
        """Serve."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Go away."""
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Serve on a free port, or on the one of before."""
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, port or self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections; everything known stays, and `start` brings it back at the same port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # -- faults

    def flood(self, chat: Where, seconds: int, times: int | None = None) -> None:
        """Answer 429 to what is sent to a chat, so often or until `calm`."""
        self._flooded[self._where(chat).id] = [seconds, times]

    def calm(self, chat: Where) -> None:
        """End a flood wait."""
        self._flooded.pop(self._where(chat).id, None)

    def down(self, status: int = 502, times: int | None = None, method: str = "") -> None:
        """Answer every call (or one method) with a server's error, so often or until `up`."""
        self._down = [status, times, method.lower()]

    def up(self) -> None:
        """Be well again."""
        self._down = None

    def stall(self) -> None:
        """Never answer a poll, until `flow`."""
        self._stalled = self._stalled or asyncio.Event()
        if self._poller and not self._poller.done():
            self._poller.set_result(None)

    def flow(self) -> None:
        """Answer polls again, those that wait too."""
        if self._stalled:
            self._stalled.set()
            self._stalled = None

    def drop_reply(self, method: str, times: int = 1) -> None:
        """Do what a method says and close the connection without an answer."""
        self._dropped[method.lower()] = times

    def drop_request(self, method: str, times: int = 1) -> None:
        """Close the connection before a method does anything."""
        self._lost[method.lower()] = times

    def hold(self, method: str, *, after: bool = True) -> asyncio.Event:
        """Make a method wait for the returned event, after its effect or before it; the call is not logged till then."""
        self._gates[method.lower()] = gate = (asyncio.Event(), after)
        return gate[0]

    def release(self, method: str) -> None:
        """End a `hold`."""
        self._gates.pop(method.lower())[0].set()

    def revoke(self) -> None:
        """The token is no more."""
        self.revoked = True
        self._wake()

    def restore(self) -> None:
        """The token is good again."""
        self.revoked = False

    # -- the wire

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/file/bot"):
            return self._download(path.removeprefix("/file/bot"))
        token, _, method = path.removeprefix("/bot").rpartition("/")
        args = await self._args(request)
        name = method.lower()
        if self._spend(self._lost, name):
            return self._hang_up(request, method, args)
        if token != self.token or self.revoked:
            return self._answer(method, args, self._unauthorized(token))
        before, after = self._gate(name)
        if before:
            await before.wait()
        answer = await self._call(name, args)
        if after:
            self.touch()
            await after.wait()
        if self._spend(self._dropped, name):
            return self._hang_up(request, method, args)
        return self._answer(method, args, answer)

    def _gate(self, name: str) -> tuple[asyncio.Event | None, asyncio.Event | None]:
        gate, after = self._gates.get(name, (None, False))
        return (None, gate) if after else (gate, None)

    def _spend(self, counted: dict[str, int], name: str) -> bool:
        if counted.get(name, 0) <= 0:
            return False
        counted[name] -= 1
        return True

    def _hang_up(self, request: web.BaseRequest, method: str, args: Args) -> web.Response:
        self._log(method, args, 0, {})
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    def _answer(self, method: str, args: Args, answer: Any) -> web.Response:
        if isinstance(answer, Refused):
            body: Json = {"ok": False, "error_code": answer.code, "description": answer.description}
            if answer.parameters:
                body["parameters"] = answer.parameters
            status = answer.code
        else:
            body, status = {"ok": True, "result": answer}, 200
        self._log(method, args, status, body)
        wait = body.get("parameters", {}).get("retry_after")
        headers = {"Retry-After": str(wait)} if wait else None
        return web.Response(
            status=status, body=json.dumps(body).encode(), content_type="application/json", headers=headers
        )

    def _log(self, method: str, args: Args, status: int, answer: Json) -> None:
        if self.calls.maxlen != 0:
            self.calls.append(Call(method, args.params, args.files, self.clock.now(), status, answer))
        self.touch()

    def _unauthorized(self, token: str) -> Refused:
        return Refused(401, "Unauthorized" if ":" in token else "Unauthorized: invalid token specified")

    async def _args(self, request: web.BaseRequest) -> Args:
        params: Json = dict(request.query) if request.query_string else {}
        files: dict[str, Upload] = {}
        request._client_max_size = 1 << 30  # the size is judged here
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                data = bytes(await part.read())
                if part.filename is None:
                    params[str(part.name)] = data.decode()
                else:
                    mime = part.headers.get("Content-Type", "application/octet-stream")
                    files[str(part.name)] = Upload(part.filename, mime, data)
        elif body := await request.read():
            if request.content_type == "application/json":
                params |= json.loads(body)
            else:
                params |= parse_qsl(body.decode(), keep_blank_values=True)
        return Args(params, files)

    def _download(self, rest: str) -> web.Response:
        token, _, path = rest.partition("/")
        file = self.files.get(path.split("/")[1]) if path.startswith("files/") else None
        if token != self.token or self.revoked or file is None or file.path != path:
            found = Refused(401, "Unauthorized") if token != self.token or self.revoked else Refused(404, "Not Found")
            return self._answer("", Args({}), found)
        return web.Response(body=file.data, content_type="application/octet-stream")

    # -- the calls

    async def _call(self, name: str, args: Args) -> Any:
        try:
            self._stumble(name, args)
            if name == "getupdates":
                return await self._get_updates(args)
            method = self._api.table.get(name)
            if method is None:
                return Refused(404, "Not Found: method not found")
            result = method(args)
        except Refused as refusal:
            return refusal
        if name == "setwebhook" and self._api.webhook["url"]:
            self._wake()
        return result

    def _stumble(self, name: str, args: Args) -> None:
        if self._down and self._down[2] in ("", name) and self._counted(self._down):
            raise Refused(
                self._down[0], {502: "Bad Gateway", 500: "Internal Server Error"}.get(self._down[0], "Gateway")
            )
        if sum(len(upload.data) for upload in args.files.values()) > self.limits.upload:
            raise Refused(413, "Request Entity Too Large")
        if self._flooded and not name.startswith("get"):
            flood = self._flooded.get(args.int("chat_id"))
            if flood and self._counted(flood):
                raise Refused(429, f"Too Many Requests: retry after {flood[0]}", {"retry_after": flood[0]})

    def _counted(self, fault: list[Any]) -> bool:
        if fault[1] is None:
            return True
        fault[1] -= 1
        return bool(fault[1] >= 0)

    # -- polling

    def touch(self) -> None:
        """See `World`; a waiting poll is answered too."""
        super().touch()
        if self.queue and self._stalled is None:
            self._wake()

    def _wake(self) -> None:
        if self._poller and not self._poller.done():
            self._poller.set_result(None)

    async def _get_updates(self, args: Args) -> list[Json]:
        if self._api.webhook["url"]:
            raise Refused(409, HOOKED)
        offset, limit = args.int("offset"), min(max(args.int("limit", 100), 1), 100)
        timeout = min(max(args.int("timeout"), 0), self.limits.poll)
        if args.params.get("allowed_updates") is not None:
            self.allowed = list(args.json("allowed_updates", "allowed updates"))
        self._acknowledge(offset)
        self.polls += 1
        if timeout and not self.queue and self._stalled is None:
            await self._long(timeout)
        while self._stalled is not None:
            await self._stalled.wait()
        return [self.queue[at] for at in range(min(limit, len(self.queue)))]

    def _acknowledge(self, offset: int) -> None:
        if offset < 0:
            while len(self.queue) > -offset:
                self.queue.popleft()
        elif offset <= self._last_update + 1 + FAR:
            while self.queue and self.queue[0]["update_id"] < offset:
                self.queue.popleft()

    async def _long(self, timeout: float) -> None:
        if self._poller and not self._poller.done():
            self._poller.set_result(Refused(409, TAKEN))
        self._poller = mine = asyncio.get_running_loop().create_future()
        super().touch()
        try:
            await asyncio.wait([mine], timeout=timeout)
            if mine.done() and (refusal := mine.result()):
                raise refusal
        finally:
            mine.cancel()
        if self.revoked:
            raise Refused(401, "Unauthorized")
        if self._api.webhook["url"]:
            raise Refused(409, "Conflict: terminated by setWebhook request")
