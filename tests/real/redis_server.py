"""Redis from Debian, on a free port and in a folder of its own; it keeps nothing on disk, so a stop loses all that it had."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LACKING = "redis-server is not installed (on Debian: apt install redis-server)"
missing = pytest.mark.skipif(shutil.which("redis-server") is None, reason=LACKING)


class RedisServer:
    """The server. `options` are further words of its command line."""

    def __init__(self, folder: Path, *options: str, keeps: bool = False, tls: bool = False) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        self._words = [*ports, "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
        self._words += ["--appendonly", "yes"] if keeps else []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> Self:
        """Start it, and wait until it takes connections."""
        self._process = await asyncio.create_subprocess_exec(
            "redis-server", *self._words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)  # noqa: TID251 - another process takes real time
                else:
                    writer.close()
                    return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            await process.wait()

    async def say(self, *words: str) -> str:
        """What it says to a command."""
        process = await asyncio.create_subprocess_exec(
            "redis-cli", "-p", str(self.port), *words, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.decode().strip()


@contextlib.asynccontextmanager
async def redis_server(
    folder: Path, *options: str, keeps: bool = False, tls: bool = False
) -> AsyncIterator[RedisServer]:
    """A server until the block ends. `keeps`: it writes what it has to disk; `tls`: it speaks nothing else."""
    folder.mkdir()  # noqa: ASYNC240 - of a test
    server = RedisServer(folder, *options, keeps=keeps, tls=tls)
    try:
        yield await server.start()
    finally:
        await server.stop()
