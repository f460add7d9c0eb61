"""A phone with a Shortcut before a whole hub: real HTTP to the sidecar on loopback, with a token of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

from config.settings import Shortcuts
from tests.scenario.bot import NOBODY, OWNER, hub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from bot.app import App
    from config.settings import Settings
    from tests.scenario.bot import Bot

Answer = dict[str, Any]
T = TypeVar("T")


def waiting(bot: Bot) -> int:
    """How many requests are held open for somebody who is still there."""
    surface: Any = next(one for one in bot.app.health.surfaces if one.name == "shortcuts")
    return sum(waiter.alive() for desk in surface._desk.values() for waiter in desk)


def meanwhile(request: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin a request, and do something else before it is answered."""
    return asyncio.get_running_loop().create_task(request)


class Phone:
    """A device: what it says, and what came back. It outlives the hubs that are started for it."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.base = ""

    def at(self, base: str) -> Phone:
        """The same device, before the hub with this address."""
        self.base = base
        return self

    async def request(self, method: str, path: str, *, key: str = "", **how: Any) -> tuple[int, Answer]:
        """A request as it is, and its answer."""
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        headers |= how.pop("headers", {})
        async with (
            aiohttp.ClientSession(self.base) as session,
            session.request(method, path, headers=headers, **how) as answer,
        ):
            return answer.status, await answer.json()

    async def chat(self, message: str, key: str = "") -> Answer:
        """Say something that is answered."""
        return _good(await self.request("POST", "/shortcuts/chat", json={"message": message}, key=key))

    async def task(self, description: str, key: str = "") -> Answer:
        """Have something done."""
        return _good(await self.request("POST", "/shortcuts/task", json={"description": description}, key=key))

    async def get(self, path: str) -> Answer:
        """Look."""
        return _good(await self.request("GET", f"/shortcuts/{path}"))


def _good(answered: tuple[int, Answer]) -> Answer:
    status, answer = answered
    assert status == 200, answer
    assert set(answer) <= {"speech", "text", "done", "task_id", "job"}
    assert answer["done"] is ("job" not in answer)
    return answer


def listening(folder: Path, *, ollama: str = NOBODY) -> Settings:
    """Settings with Shortcuts on."""
    return settings(folder, ollama=ollama).model_copy(update={"shortcuts": Shortcuts(enabled=True)})


async def mint(app: App, name: str = "phone", person: str = OWNER, **more: Any) -> str:
    """A token for a device."""
    frame = {"token_kind": "shortcut", "name": name, "for": person, **more}
    text: str = (await app.console.admin["token.mint"](frame))["text"]
    return text


@asynccontextmanager
async def phone_and_hub(
    folder: Path, phone: Phone | None = None, *, ollama: str = NOBODY, **how: Any
) -> AsyncIterator[tuple[Phone, Bot]]:
    """A hub whose owner has a phone, and sits at the console. A phone that is given comes again."""
    async with hub(folder, found=listening(folder, ollama=ollama), **how) as bot:
        phone = phone or Phone(await mint(bot.app))
        phone.base = bot.app.address
        await bot.see(lambda: bot.app.health.parts["shortcuts"].up, "Shortcuts up", pace=0)
        yield phone, bot
