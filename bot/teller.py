"""Tells a chat, by way of the running hub, how something stands. While there is no hub the newest state waits, and only that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from core.errors import HubError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.ports import Clock, IdSource

PAUSE_SECONDS = 5.0
"""Between two tries to reach the hub."""


class NotTold(HubError):
    """{chat} is not told: {why}"""


class Teller:
    """One chat. `ask` sends a frame to the hub and raises `Unavailable` where there is none; `note` tells whoever looks on."""

    def __init__(
        self, chat: str, ask: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], note: Callable[[str], None], *,
        clock: Clock, ids: IdSource,
    ) -> None:  # fmt: skip
        self._chat = chat
        self._ask = ask
        self._note = note
        self._clock = clock
        self._ids = ids
        self._waits: dict[str, Any] | None = None
        self._wake = asyncio.Event()
        self._why = ""

    async def check(self) -> None:
        """Raise `NotTold` where the hub would not tell that chat; without a hub that shows later."""
        try:
            await self._send({"op": "notify", "chat": self._chat})
        except Unavailable as error:
            self._complain(f"{self._chat} is told once the hub is there. {error}")

    def tell(self, text: str) -> None:
        """Tell this, and nothing older any more."""
        self._waits = {"op": "notify", "chat": self._chat, "text": text, "key": self._ids.token(12)}
        self._wake.set()

    async def run(self) -> None:
        """Tell, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (frame := self._waits) is not None:
                try:
                    await self._send(frame)
                    self._why = ""
                except Unavailable as error:
                    self._complain(f"{self._chat} is told once the hub is there. {error}")
                    await self._clock.sleep(PAUSE_SECONDS)
                    continue
                except HubError as error:
                    self._complain(str(error))
                if self._waits is frame:
                    self._waits = None

    async def _send(self, frame: dict[str, Any]) -> None:
        answer = await self._ask(frame)
        if answer["kind"] == "error":
            raise NotTold(chat=self._chat, why=answer["text"])

    def _complain(self, why: str) -> None:
        """Once for each reason."""
        if why != self._why:
            self._why = why
            self._note(why)
