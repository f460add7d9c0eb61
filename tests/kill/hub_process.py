"""A real `timmy run` process on a data folder of its own, that a test talks to, kills with -9, and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Self

from adapters.console.link import SOCKET, dial
from tests.program import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 20.0


class HubProcess:
    """One data folder, and the process that owns it now. Ends only what it started."""

    def __init__(self, folder: Path, model_url: str, *, executed: bool = False, **environment: str) -> None:
        self._launch = Program.execute if executed else Program.fork
        self.data = folder / "data"
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("TIMMY_")} | {
            "TIMMY_DATA_DIR": str(self.data), "TIMMY_WORKSPACE": str(folder / "workspace"), "TIMMY_HTTP_PORT": "0",
            "TIMMY_OLLAMA_URL": model_url, **environment,
        }  # fmt: skip
        self.process: Program | None = None
        self.address = ""
        """Where its sidecar listens, or did."""
        self.kills = 0

    async def start(self) -> Self:
        """Start the hub and wait until it says that it is ready."""
        self.process = await self._launch("run", env=self._environment)
        lines: list[bytes] = []
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stderr.readline():
                lines.append(line)
                if line.startswith(b"timmy: ready"):
                    self.address = line.decode().split()[-1]
                    return self
        raise AssertionError(b"".join(lines).decode())

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self.process.pid if self.process else 0

    async def kill(self) -> None:
        """`kill -9`: no farewell."""
        await self._end(signal.SIGKILL)
        self.kills += 1

    async def again(self) -> Self:
        """Kill it and start it on what it left."""
        await self.kill()
        return await self.start()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            _, _, code = await process.communicate()
        return code

    async def say(self, text: str, *, name: str | None = None, wait: str | None = None) -> list[dict[str, Any]]:
        """Say something and return every frame up to the end of the turn; `name` is the update's id."""
        async with asyncio.timeout(PATIENCE), dial(self.data, SOCKET) as link:
            await link.send({"op": "say", "text": text, "wait": wait} | ({"id": name} if name else {}))
            frames = []
            while (frame := await link.receive()) is not None and frame["kind"] != "end":
                if frame["kind"] != "draft":
                    frames.append(frame)
            return frames

    async def timmy(self, *words: str) -> str:
        """Run a `timmy` command beside the hub and return what it prints; it must succeed."""
        process = await self._launch(*words, env=self._environment)
        async with asyncio.timeout(PATIENCE):
            printed, complaint, code = await process.communicate()
        assert code == 0, complaint.decode()
        return printed.decode()

    async def drop(self, text: str, *, name: str) -> None:
        """Say something and be killed before anybody could answer."""
        async with dial(self.data, SOCKET) as link:
            await link.send({"op": "say", "text": text, "id": name})
            await self.kill()

    async def data_of(self, text: str) -> dict[str, Any]:
        """The facts of an answer."""
        facts: dict[str, Any] = (await self.say(text))[0]["data"]
        return facts

    async def status(self, task: str) -> str:
        """A task's state."""
        return str((await self.data_of(f"/show {task}"))["status"])

    async def reaches(self, task: str, status: str) -> None:
        """Ask until a task is in a state."""
        async with asyncio.timeout(PATIENCE):
            while await self.status(task) != status:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.01)  # noqa: TID251 - to ask without a pause takes its time


@contextlib.asynccontextmanager
async def hub_process(
    folder: Path, model_url: str, *, executed: bool = False, **environment: str
) -> AsyncIterator[HubProcess]:
    """A running hub; whatever the test did to it, nothing of it is left running."""
    hub = HubProcess(folder, model_url, executed=executed, **environment)
    try:
        yield await hub.start()
    finally:
        await hub.kill()
