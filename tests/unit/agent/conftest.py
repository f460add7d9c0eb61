"""A hub's agent on a scripted model server: the official client, real loopback HTTP, a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock
from adapters.llm.ollama import OllamaModel
from adapters.sqlite.writer import Database
from core.agent.agent import Assistant
from tests.blank import blank
from tests.ollama_server import OllamaServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("llama3.2:latest", "qwen3:8b") as server:
        yield server


@pytest.fixture
async def model(server: OllamaServer) -> AsyncIterator[OllamaModel]:
    async with OllamaModel(server.url, clock=SystemClock()) as model:
        yield model


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(blank(tmp_path / "timmy.db"), SystemClock()) as store:
        yield store


@pytest.fixture
def assistant(store: Database, model: OllamaModel) -> Assistant:
    return Assistant(store, model)
