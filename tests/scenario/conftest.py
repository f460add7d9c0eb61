"""What scenarios share: a fake Telegram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.telegram_server import TelegramServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-tools-transcript", action="store_true", help="write docs/tools-transcript.md anew")


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server
