"""A fake Telegram, and a bot of the real library that talks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

PLAIN = {"trust_env": False, "verify": False}
"""For httpx: a client without certificates is made faster."""


class MakeBot(Protocol):
    """Makes another bot for the same server, with another token when it is said."""

    def __call__(self, token: str = "") -> AbstractAsyncContextManager[Bot]: ...


@pytest.fixture(autouse=True)
def _durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library warns of itself whenever it says how long to wait as a number."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
def another(server: TelegramServer) -> MakeBot:
    def make(token: str = "") -> Bot:
        return Bot(
            token or server.token,
            base_url=server.base_url,
            base_file_url=server.base_file_url,
            request=HTTPXRequest(connection_pool_size=8, httpx_kwargs=PLAIN),
            get_updates_request=HTTPXRequest(connection_pool_size=4, httpx_kwargs=PLAIN),
        )

    return make


@pytest.fixture
async def bot(another: MakeBot) -> AsyncIterator[Bot]:
    async with another() as bot:
        yield bot
