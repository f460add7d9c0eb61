"""The fake Telegram in a process of its own, driven by lines of JSON on standard input: what it costs is nobody's figure.

`burst`: everybody says many things at once; answers with the seconds until the last reply and whether each chat got its
replies in order. `pace`: one message at a time, so many a second; answers with the milliseconds from each to its reply.
`each`: a message from each of many new people; answers once all were answered. `flood`: a chat is made to wait.
`busy`: everybody asks the agent for a long tale; answers once all of them have begun to read it. `control`: as `pace`, with
commands that do not wait for the tale; one that is stopped is begun anew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from tests.telegram_server import TelegramServer

FIRST = 5001
PATIENCE = 120.0


class Wire(TelegramServer):
    """Notes when each text was sent to whom."""

    def __init__(self) -> None:
        super().__init__(log=0)
        self.replies: list[tuple[int, str, float]] = []

    async def _call(self, name: str, args: Any) -> Any:
        answer = await super()._call(name, args)
        if name == "sendmessage" and isinstance(answer, dict):
            self.replies.append((args.int("chat_id"), args.params["text"], time.perf_counter()))
        return answer


async def _answered(wire: Wire, count: int) -> None:
    await wire.until(lambda: len(wire.replies) >= count, timeout=PATIENCE)


async def _burst(wire: Wire, chats: int, each: int) -> dict[str, Any]:
    wire.replies.clear()
    began = time.perf_counter()
    for number in range(each):
        for chat in range(FIRST, FIRST + chats):
            wire.say(wire.chats[chat], chat, f"/show T-{number + 1000}")
    await _answered(wire, chats * each)
    ordered = all(
        [text for chat, text, _ in wire.replies if chat == one]
        == sorted(
            (text for chat, text, _ in wire.replies if chat == one), key=lambda text: int(text.split("T-")[1][:4])
        )
        for one in range(FIRST, FIRST + chats)
    )
    return {"seconds": wire.replies[-1][2] - began, "ordered": ordered}


async def _pace(wire: Wire, chats: int, rate: float, seconds: float) -> dict[str, Any]:
    wire.replies.clear()
    said: dict[int, list[float]] = {}
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    count = round(rate * seconds)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        chat = FIRST + number % chats
        said.setdefault(chat, []).append(time.perf_counter())
        wire.say(wire.chats[chat], chat, f"/show T-{number + 1000}")
    await _answered(wire, count)
    took = []
    for chat, _, at in wire.replies:
        if said.get(chat):
            took.append((at - said[chat].pop(0)) * 1000)
    return {"ms": took}


async def _busy(wire: Wire, chats: int, words: int) -> dict[str, Any]:
    wire.replies.clear()
    for chat in range(FIRST, FIRST + chats):
        wire.say(wire.chats[chat], chat, _tale(words))
    await _answered(wire, chats)  # with the beginning of the tale, which is edited from then on
    return {}


CONTROL = {"/status": "All parts are up", "/balance": " sats", "/stop": "Stopped"}
"""What is said in the middle of a tale, and what its answer has in it."""


async def _control(wire: Wire, chats: int, rate: float, seconds: float, words: int) -> dict[str, Any]:
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    took: dict[str, list[float]] = {command: [] for command in CONTROL}
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        command = [*CONTROL][number % len(CONTROL)]
        chat, said = FIRST + number % chats, time.perf_counter()
        wire.replies.clear()
        wire.say(wire.chats[chat], chat, command)
        took[command].append((await _said(wire, chat, CONTROL[command]) - said) * 1000)
        if command == "/stop":
            wire.say(wire.chats[chat], chat, _tale(words))
    return {"ms": took}


async def _said(wire: Wire, chat: int, words: str) -> float:
    """When a chat was sent these words."""

    def found() -> list[float]:
        return [at for where, text, at in wire.replies if where == chat and words in text]

    await wire.until(lambda: bool(found()), timeout=PATIENCE)
    return found()[0]


def _tale(words: int) -> str:
    return "tell me " + "more " * words


async def _each(wire: Wire, first: int, count: int) -> dict[str, Any]:
    wire.replies.clear()
    for number in range(first, first + count):
        wire.say(wire.private(number, f"Person {number}"), number, "/start")
    await _answered(wire, count)
    return {}


async def main() -> None:
    """Serve until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Wire() as wire:
        for number in range(int(sys.argv[1])):
            wire.private(FIRST + number, f"Person {number}")
        print(json.dumps({"root": wire.base_url.removesuffix("/bot"), "token": wire.token}), flush=True)
        while line := await reader.readline():
            said = json.loads(line)
            answer: dict[str, Any] = {}
            match said.pop("op"):
                case "burst":
                    answer = await _burst(wire, **said)
                case "pace":
                    answer = await _pace(wire, **said)
                case "busy":
                    answer = await _busy(wire, **said)
                case "control":
                    answer = await _control(wire, **said)
                case "each":
                    answer = await _each(wire, **said)
                case "polled":
                    await wire.until(lambda: wire.polls > 0, timeout=PATIENCE)
                case "flood":
                    wire.flood(said["chat"], said["seconds"])
                    wire.say(wire.chats[said["chat"]], said["chat"], "/show T-999")
                case _:
                    raise ValueError(said)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
