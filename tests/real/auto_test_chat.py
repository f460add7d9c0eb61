"""`tg-auto-test` (PyPI): an emulator of Telegram that knows files, formatting, menus and pop-ups, for one private chat.

It has no HTTP: it stands where python-telegram-bot would make requests. So a small Bot API server here takes what a hub says and
hands it to the emulator's stand-in for PTB's HTTP, and gives the hub the updates that the emulator makes of what its person does.
Two methods are this server's own, since the emulator has none: `deleteWebhook`, and `getUpdates` with its offsets.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from base64 import b64decode, b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters.clockwork import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("auto_test_child.py")
LIBRARIES = ROOT / ".venv" / "tg-auto-test"
TOKEN = "123456:emulated"
PERSON = 9001
"""The emulator's one person."""

PATIENCE = 20.0
LINE = 2**26

missing = pytest.mark.skipif(
    not (LIBRARIES / "tg_auto_test").is_dir(), reason="tg-auto-test is not installed (make test-real does it)"
)


@dataclass(frozen=True)
class Words:
    """What a message says, and the labels of its buttons."""

    text: str
    buttons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown(Words):
    """A message of the bot as the person's Telegram shows it now, and as it began: `content` is the bytes of its file."""

    id: int = 0
    began: Words = Words("")
    styles: tuple[str, ...] = ()
    photo: bool = False
    name: str | None = None
    width: int | None = None
    content: bytes = b""
    beneath: bool = False


class Chat:
    """The private chat: what its person does and sees, and the Bot API server in front of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._updates: list[dict[str, Any]] = []
        self._moved = asyncio.Condition()
        self.url = ""
        self.refused: list[str] = []
        """What the emulator could not do."""

    # The hub's side ------------------------------------------------------------------------------------------------

    async def method(self, request: web.Request) -> web.Response:
        """One call of the hub."""
        name = request.match_info["method"]
        parameters, files = await _given(request)
        match name:
            case "deleteWebhook":
                return web.json_response({"ok": True, "result": True})
            case "getUpdates":
                return web.json_response({"ok": True, "result": await self._poll(parameters)})
            case _:
                return await self._pass(str(request.url), parameters, files)

    async def file(self, request: web.Request) -> web.Response:
        """A file, fetched by the hub."""
        return await self._pass(str(request.url), {}, {})

    async def _pass(self, url: str, parameters: dict[str, str], files: dict[str, list[str]]) -> web.Response:
        try:
            answer = await self._ask("call", url=url, parameters=parameters, files=files)
        except NotEmulated as error:
            self.refused.append(str(error))
            return web.json_response({"ok": False, "error_code": 404, "description": str(error)}, status=404)
        async with self._moved:
            self._moved.notify_all()
        return web.Response(status=answer["status"], body=b64decode(answer["body"]), content_type="application/json")

    async def _poll(self, parameters: dict[str, str]) -> list[dict[str, Any]]:
        offset = int(parameters["offset"])
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        try:
            async with asyncio.timeout(float(parameters["timeout"])), self._moved:
                await self._moved.wait_for(lambda: self._updates)
        except TimeoutError:
            return []
        return self._updates

    # The person's side ---------------------------------------------------------------------------------------------

    async def says(self, text: str) -> None:
        """Write a line; returns when the hub has said something since."""
        await self._ask("say", text=text)

    async def sends(self, name: str, content: bytes, *, caption: str = "", kind: str = "document") -> None:
        """Send a file: a `document`, a `photo` or a `voice` note."""
        await self._ask("send", name=name, content=b64encode(content).decode(), caption=caption, kind=kind)

    async def presses(self, message: Shown, label: str) -> str:
        """Press a button; returns the words that pop up, if any, once its spinner has ended."""
        return str(await self._ask("press", message=message.id, label=label))

    async def menu(self, chat: int | None = None) -> dict[str, str]:
        """The commands that Telegram offers while somebody types "/" in a chat, or everywhere."""
        return dict(await self._ask("menu", chat=chat))

    async def shown(self) -> list[Shown]:
        """Every message of the bot."""
        return [_shown(one) for one in await self._ask("look")]

    async def hears(self, words: str, *, so: Callable[[Shown], bool] = lambda _: True) -> Shown:
        """Wait for a message that holds these words (and is so), however it came to be."""
        seen: list[Shown] = []
        try:
            async with asyncio.timeout(PATIENCE), self._moved:
                while True:
                    seen = await self.shown()
                    found = next((one for one in seen if words in one.text and so(one)), None)
                    if found is not None:
                        return found
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"never saw {words!r} in {[one.text for one in seen]}") from None

    # The emulator's process ----------------------------------------------------------------------------------------

    async def _ask(self, what: str, **facts: Any) -> Any:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": what, **facts}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            answer = await future
        if "error" in answer:
            raise NotEmulated(answer["error"])
        return answer["result"]

    async def listen(self) -> None:
        """Read what the emulator says, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            frame = json.loads(line)
            if "update" in frame:
                async with self._moved:
                    self._updates.append(frame["update"])
                    self._moved.notify_all()
            else:
                self._waiting.pop(frame["id"]).set_result(frame)


class NotEmulated(Exception):
    """The emulator cannot do this."""


async def _given(request: web.Request) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The parameters of a call as PTB would put them, and its files: name, then content as base64."""
    if request.content_type == "application/json":
        body = await request.json()
        return {name: one if isinstance(one, str) else json.dumps(one) for name, one in body.items()}, {}
    parameters, files = {}, {}
    for name, one in (await request.post()).items():
        if isinstance(one, web.FileField):
            files[name] = [one.filename, b64encode(one.file.read()).decode()]
        else:
            parameters[name] = str(one)
    return parameters, files


def _shown(seen: dict[str, Any]) -> Shown:
    began = Words(seen["began"]["text"], tuple(seen["began"]["buttons"]))
    return Shown(
        seen["text"], tuple(seen["buttons"]), seen["id"], began, tuple(seen["styles"]), seen["photo"],
        seen["name"], seen["width"], b64decode(seen["content"] or ""),
    )  # fmt: skip


@asynccontextmanager
async def chat() -> AsyncIterator[Chat]:
    """A private chat in which nothing was said yet. Ends what it started."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TIMMY_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-SP", CHILD, env={**own, "PYTHONPATH": str(LIBRARIES)}, limit=LINE,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert json.loads(await process.stdout.readline()) == {"ready": True}
        found = Chat(process)
        async with running(found.listen(), "the emulator"):
            try:
                async with _served(found):
                    yield found
            finally:
                process.stdin.close()
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _served(found: Chat) -> AsyncIterator[None]:
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/bot{token}/{method}", found.method)
    app.router.add_get("/file/bot{token}/{path:.+}", found.file)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()
