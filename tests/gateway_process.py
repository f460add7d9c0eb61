"""A real `timmy gateway` process on a port that stays, which a test kills and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Self

from tests.program import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 20.0


class GatewayProcess:
    """One gateway. Ends only what it started."""

    def __init__(self, url: str, *, executed: bool = False, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._launch = Program.execute if executed else Program.fork
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("TIMMY_")} | {
            "TIMMY_REDIS_URL": url, **environment
        }  # fmt: skip
        self.process: Program | None = None

    async def start(self) -> Self:
        """Start it and wait until it listens."""
        self.process = await self._launch("gateway", "--port", str(self.port), env=self._environment)
        lines: list[bytes] = []
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stderr.readline():
                lines.append(line)
                if line.startswith(b"timmy: gateway on"):
                    return self
        raise AssertionError(b"".join(lines).decode())

    async def end(self, number: signal.Signals) -> int:
        """Send it a signal, and wait for its end; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            _, _, code = await process.communicate()
        return code

    async def again(self) -> Self:
        """`kill -9`, and a new one in its place."""
        await self.end(signal.SIGKILL)
        return await self.start()


@contextlib.asynccontextmanager
async def gateway_process(url: str, *, executed: bool = False, **environment: str) -> AsyncIterator[GatewayProcess]:
    """A gateway that runs; whatever the test did to it, nothing of it is left running."""
    gateway = GatewayProcess(url, executed=executed, **environment)
    try:
        yield await gateway.start()
    finally:
        await gateway.end(signal.SIGKILL)
