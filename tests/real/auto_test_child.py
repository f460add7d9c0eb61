"""Runs the emulator `tg-auto-test` in a process of its own, with its own libraries; one JSON object a line, both ways.

The emulator drives a python-telegram-bot `Application` in process and answers its calls from a stand-in for PTB's HTTP
(`StubTelegramRequest`, a `BaseRequest`). The application here has a single handler: it hands every update on, and is done with it
once the bot has answered. What the bot calls comes back in and goes to the stand-in as PTB would put it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from base64 import b64decode, b64encode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telegram import InputFile, Update
from telegram.ext import TypeHandler
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter
from telethon.tl import functions, types
from tg_auto_test.test_utils.response_processor import _MESSAGE_METHODS, process_api_call
from tg_auto_test.test_utils.serverless_telegram_client import ServerlessTelegramClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from telegram.ext import Application, ApplicationBuilder

ANSWER = "answerCallbackQuery"


class Room:
    """One private chat with the bot, seen by the emulator's person."""

    def __init__(self) -> None:
        self.client: Any = ServerlessTelegramClient(
            self._application, first_name="Ann", bot_username="timmy_bot", bot_first_name="Timmy"
        )
        self.talk: Any = None
        self.shown: dict[int, Any] = {}
        self.began: dict[int, Any] = {}
        self._called = asyncio.Condition()
        self._calls: list[str] = []

    def _application(self, builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any]) -> Any:
        application: Application[Any, Any, Any, Any, Any, Any] = builder.build()
        application.add_handler(TypeHandler(Update, self._hand_on))
        return application

    async def _hand_on(self, update: Update, _context: object) -> None:
        awaited = {ANSWER} if update.callback_query else _MESSAGE_METHODS
        before = len(self._calls)
        out({"update": update.to_dict()})
        async with self._called:
            await self._called.wait_for(lambda: not awaited.isdisjoint(self._calls[before:]))

    # What the bot does ---------------------------------------------------------------------------------------------

    async def call(self, url: str, parameters: dict[str, str], files: dict[str, list[str]]) -> dict[str, Any]:
        """A call of the bot, or the fetching of a file (no parameters)."""
        uploads = [
            RequestParameter(name, None, [InputFile(b64decode(content), filename=filename)])
            for name, (filename, content) in files.items()
        ]
        given = [RequestParameter(name, value, None) for name, value in parameters.items()]
        status, body = await self.client._request.do_request(url, "POST", RequestData([*given, *uploads]))
        async with self._called:
            self._calls.append(url.rpartition("/")[2])
            self._called.notify_all()
        return {"status": status, "body": b64encode(body).decode()}

    def keep(self, call: Any) -> None:
        """Keep the message as the emulator makes it for its person; an edit takes its place."""
        if call.api_method in _MESSAGE_METHODS:
            found = process_api_call(call, self.client._request.file_store, {}, self.client._handle_click)
            self.shown[found.id] = found
            self.began.setdefault(found.id, found)

    # What the person does ------------------------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        """Write a line, as it stands."""
        await self.talk.send_message(text, parse_mode=None)

    async def send(self, name: str, content: str, caption: str, kind: str) -> None:
        """Send a file: a `document`, a `photo` or a `voice` note."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(b64decode(content))
            await self.talk.send_file(
                path, caption=caption, parse_mode=None, force_document=kind == "document", voice_note=kind == "voice"
            )

    async def press(self, message: int, label: str) -> str:
        """Press a button; returns the words that pop up, if any."""
        answer = await self.shown[message].click(text=label)
        return str(answer.message)

    async def menu(self, chat: int | None) -> list[list[str]]:
        """The commands that Telegram offers in a chat, or everywhere."""
        scope = types.BotCommandScopePeer(types.InputPeerUser(chat, 0)) if chat else types.BotCommandScopeDefault()
        found = await self.client(functions.bots.GetBotCommandsRequest(scope=scope, lang_code=""))
        return [[one.command, one.description] for one in found]

    async def look(self) -> list[dict[str, Any]]:
        """Every message of the bot, as it stands now and as it began."""
        return [await _seen(one) | {"began": _words(self.began[at])} for at, one in sorted(self.shown.items())]


def _words(message: Any) -> dict[str, Any]:
    return {"text": message.text, "buttons": [one.text for row in message.buttons or [] for one in row]}


async def _seen(message: Any) -> dict[str, Any]:
    content = await message.download_media() if message.file else None
    return {
        "id": message.id,
        **_words(message),
        "styles": [type(one).__name__.removeprefix("MessageEntity") for one in message.entities],
        "photo": message.photo is not None,
        "name": message.file.name if message.file else None,
        "width": message.file.width if message.file else None,
        "content": b64encode(content).decode() if content else None,
    }


def out(frame: dict[str, Any]) -> None:
    """Say something to the test."""
    sys.stdout.write(json.dumps(frame) + "\n")
    sys.stdout.flush()


async def _answer(number: int, work: Callable[[], Awaitable[Any]]) -> None:
    try:
        out({"id": number, "result": await work()})
    except (AssertionError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        out({"id": number, "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    """Serve until standard input ends."""
    room = Room()
    await room.client.connect()
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with room.client.conversation("timmy") as room.talk, asyncio.TaskGroup() as group:
        live = room.client._request.on_api_call

        def called(call: Any) -> None:
            live(call)
            room.keep(call)

        room.client._request.on_api_call = called
        out({"ready": True})
        while line := await reader.readline():
            frame = json.loads(line)
            number, work = frame.pop("id"), getattr(room, frame.pop("do"))
            group.create_task(_answer(number, partial(work, **frame)))
        for waiting in asyncio.all_tasks() - {asyncio.current_task()}:
            waiting.cancel()
    await room.client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
