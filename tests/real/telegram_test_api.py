"""`telegram-test-api` (npm, MIT, Jehy and others): an emulator of the Bot API over HTTP, started here, spoken to by a hub.

Between the hub and the emulator stands a shim. It repairs five things and nothing else; without the first four python-telegram-bot
refuses what the emulator says, the fifth keeps a hub from asking thousands of times a second:

- `getMe` says that the bot is a bot;
- dates are seconds, not milliseconds;
- a method that has nothing to say answers `true`, not `null`;
- a pressed button has a `chat_instance`;
- a poll that finds nothing waits for something, as long as it asked for.

What the emulator does not know (`setMyCommands`, `sendChatAction`, files) stays refused. It never hands an update out again.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from tests.real.npm import MODULES, needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LAUNCHER = Path(__file__).with_name("telegram_test_api.js")
TOKEN = "123456:emulated"
NAME = "TestNameBot"
PATIENCE = 20.0
MILLISECONDS = 10**11
"""A date as large as this is none in seconds."""

missing = needs("telegram-test-api")


@dataclass(frozen=True)
class Shown:
    """A message of the bot as its chat shows it now."""

    id: int
    text: str
    buttons: dict[str, str]


class Emulator:
    """The emulator and its shim: what people do goes straight to it, what the hub does passes the shim."""

    def __init__(self, session: aiohttp.ClientSession, emulator: str) -> None:
        self._session = session
        self._emulator = emulator
        self._moved = asyncio.Condition()
        self.url = ""
        self.calls: list[str] = []
        self.polls = 0
        self._said = 0
        self._given: list[int] = []
        self._confirmed = 0

    # The hub's side ------------------------------------------------------------------------------------------------

    async def shim(self, request: web.Request) -> web.Response:
        """One call of the hub."""
        method, body = request.match_info["method"], await request.json()
        async with self._moved:
            self.calls.append(method)
            self._confirmed = body.get("offset", 1) - 1 if method == "getUpdates" else self._confirmed
            self._moved.notify_all()
        if method == "getUpdates":
            status, answer = 200, await self._poll(request.path, body)
        else:
            status, answer = await self._ask(request.path, body)
        async with self._moved:
            self._moved.notify_all()
        return web.json_response(repaired(method, answer), status=status)

    async def _poll(self, path: str, body: dict[str, Any]) -> Any:
        """What is there, or what comes in the time that the poll has. The emulator hands an update out once: no call is cut off."""
        self.polls += 1
        over = asyncio.get_running_loop().time() + body["timeout"]
        try:
            async with self._moved:
                while True:
                    _, answer = await self._ask(path, body)
                    self._given += [update["update_id"] for update in answer["result"]]
                    if answer["result"] or not await self._something(over):
                        return answer
        finally:
            self.polls -= 1

    async def _something(self, over: float) -> bool:
        """Wait until something happened; False once the time is over."""
        try:
            async with asyncio.timeout_at(over):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with self._session.post(self._emulator + path, json=body) as answer:
            return answer.status, await answer.json()

    # The people's side ---------------------------------------------------------------------------------------------

    async def do(self, what: str, **facts: Any) -> Any:
        """Something that a person does: `sendMessage`, `sendCommand`, `sendCallback`; see the emulator's README."""
        async with self._moved:
            status, answer = await self._ask(f"/{what}", {"botToken": TOKEN, **facts})
            self._said += 1
            self._moved.notify_all()
        assert status == 200, answer
        return answer["result"]

    async def call(self, method: str, **facts: Any) -> None:
        """A method of the Bot API, called by somebody else who has the token."""
        status, answer = await self._ask(f"/bot{TOKEN}/{method}", facts)
        assert status == 200, answer

    async def shown(self, chat: int) -> list[Shown]:
        """Every message of the bot in a chat."""
        _, answer = await self._ask("/getUpdatesHistory", {"token": TOKEN})
        return [_shown(one) for one in answer["result"] if str(one.get("message", {}).get("chat_id")) == str(chat)]

    async def taken(self) -> None:
        """Wait until the hub has confirmed everything that was said: the emulator hands nothing out again."""
        await self.until(
            lambda: len(self._given) == self._said and self._confirmed == self._given[-1], "a confirmation"
        )

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something about the hub's calls is true."""
        try:
            async with asyncio.timeout(PATIENCE), self._moved:
                await self._moved.wait_for(true)
        except TimeoutError:
            raise AssertionError(f"never saw {what}") from None

    async def silence(self) -> None:
        """Wait until no poll is held: what is said from now on waits in the emulator."""
        async with asyncio.timeout(PATIENCE):
            while self.polls:
                await self._ask("/getUpdatesHistory", {"token": TOKEN})

    async def told(self, chat: int, words: str, *, after: int = 0) -> Shown:
        """Wait for a message that holds these words, however it came to say them."""
        seen: list[Shown] = []
        try:
            async with asyncio.timeout(PATIENCE), self._moved:
                while True:
                    seen = await self.shown(chat)
                    found = next((one for one in seen if words in one.text and one.id > after), None)
                    if found is not None:
                        return found
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"never saw {words!r} in {seen}") from None


class Person:
    """Somebody in a chat with the bot: among two, or in a group."""

    def __init__(self, emulator: Emulator, number: int, name: str, *, group: int | None = None) -> None:
        self._emulator = emulator
        self._user = {"id": number, "first_name": name, "is_bot": False}
        self.chat = number if group is None else group
        self._place = {"id": self.chat, "type": "private", "first_name": name}
        if group is not None:
            self._place = {"id": group, "type": "supergroup", "title": "The Group"}

    async def says(self, text: str) -> None:
        """Write a line."""
        command = re.match(r"/\S+", text)
        entities = [{"type": "bot_command", "offset": 0, "length": len(command[0])}] if command else []
        what = "sendCommand" if command else "sendMessage"
        await self._emulator.do(what, **self._written(), text=text, entities=entities)

    async def presses(self, message: Shown, label: str) -> None:
        """Press a button under a message of the bot."""
        bot = {"id": 666, "first_name": "Test First name", "is_bot": True, "username": NAME}
        under = {**self._written(), "from": bot, "message_id": message.id, "text": message.text}
        await self._emulator.do("sendCallback", **{"from": self._user}, message=under, data=message.buttons[label])

    async def hears(self, words: str, *, after: int = 0) -> Shown:
        """Wait until the bot says this."""
        return await self._emulator.told(self.chat, words, after=after)

    async def heard(self, words: str) -> list[Shown]:
        """Every message of the bot that holds these words now."""
        return [one for one in await self._emulator.shown(self.chat) if words in one.text]

    def _written(self) -> dict[str, Any]:
        return {"from": self._user, "chat": self._place, "date": 1_750_000_000}


def repaired(method: str, answer: Any) -> Any:
    """An answer of the emulator as Telegram would put it."""
    match answer:
        case {"ok": True, "result": None}:
            return {**answer, "result": True}
        case {"ok": True, "result": dict() as bot} if method == "getMe":
            return {**answer, "result": {**bot, "is_bot": True}}
        case {"ok": True, "result": list() as updates} if method == "getUpdates":
            return {**answer, "result": [_update(one) for one in updates]}
        case {"ok": True, "result": dict() as message}:
            return {**answer, "result": _dated(message)}
        case _:
            return answer


def _update(update: dict[str, Any]) -> dict[str, Any]:
    if "callback_query" not in update:
        return {**update, "message": _dated(update["message"])}
    query = update["callback_query"]
    message = _dated(query["message"])
    return {**update, "callback_query": {**query, "message": message, "chat_instance": str(message["chat"]["id"])}}


def _dated(message: dict[str, Any]) -> dict[str, Any]:
    date = message.get("date", 0)
    return {**message, "date": date // 1000} if date > MILLISECONDS else message


def _shown(kept: dict[str, Any]) -> Shown:
    message = kept["message"]
    text = message["text"]
    if message.get("parse_mode") == "HTML":
        text = unescape(re.sub(r"<[^>]+>", "", text))
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    return Shown(kept["messageId"], text, {one["text"]: one["callback_data"] for row in rows for one in row})


@asynccontextmanager
async def emulator() -> AsyncIterator[Emulator]:
    """A running emulator in which nothing has happened yet. Ends what it started."""
    process = await asyncio.create_subprocess_exec(
        "node", "--use_strict", LAUNCHER, env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session, _shimmed(Emulator(session, url)) as found:
            yield found
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _shimmed(found: Emulator) -> AsyncIterator[Emulator]:
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", found.shim)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
    finally:
        await runner.cleanup()
