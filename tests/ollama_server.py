"""A model server of our own making that speaks Ollama's protocol, over real loopback HTTP.

Tests script it: each `/api/chat` takes the next script (`says`), or echoes the last message when there is none. By hand
it stands in for Ollama: `python -m tests.ollama_server --port 11434 --pause 0.1`, then `TIMMY_OLLAMA_URL` as printed.
Protocol: https://docs.ollama.com/api (chat, tags, show, version).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.clockwork import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

NOW = "2026-01-01T00:00:00Z"


class Wire(Enum):
    """What a scripted answer can do to its connection."""

    BREAK = "close it without ending the answer"
    SILENCE = "say nothing more until the client leaves"
    UNFINISHED = "end the answer without the final `done`"
    CUT = "end the answer because the window is full"


@dataclass(frozen=True)
class Fault:
    """An HTTP error in place of an answer. A text is sent as Ollama sends it, bytes as they are."""

    status: int
    body: str | bytes


@dataclass(frozen=True)
class Thinks:
    """A piece of a thinking model's thoughts."""

    text: str


@dataclass(frozen=True)
class Calls:
    """The model calls a tool."""

    name: str
    arguments: dict[str, Any]


Step = str | bytes | Thinks | Calls | Wire | Fault | asyncio.Event
"""A piece of text, a raw line, a thought, a fate of the connection, an error, or a gate to wait at."""


class OllamaServer:
    """The server: what it has, what it will say, and what it was asked. Use `async with OllamaServer.running()`."""

    def __init__(self, models: Iterable[str], pause: float) -> None:
        self.models = list(models)
        self.families: dict[str, str] = {}
        self.window: int | None = 131_072
        self.can = ["completion", "tools"]
        self.listing: Fault | None = None
        self.listed = 0
        self.packs = False
        self.seen = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.begun = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._scripts: deque[Sequence[Step]] = deque()
        self._pause = pause

    @classmethod
    @asynccontextmanager
    async def running(
        cls, *models: str, host: str = "127.0.0.1", port: int = 0, pause: float = 0
    ) -> AsyncIterator[OllamaServer]:
        """Serve on a free port (or `port`) until the block ends; `pause` is in seconds before each echoed word."""
        server = cls(models, pause)
        app = web.Application()
        app.router.add_get("/", server._root)
        app.router.add_get("/api/version", server._version)
        app.router.add_get("/api/tags", server._tags)
        app.router.add_post("/api/show", server._show)
        app.router.add_post("/api/chat", server._chat)
        server._runner = runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            port = runner.addresses[0][1]
            server.url = f"http://{host}:{port}"
            yield server
        finally:
            await server.stop()

    async def stop(self) -> None:
        """Go away, as Ollama does when it is ended; a second time does nothing."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def says(self, *steps: Step) -> None:
        """Script the next answer that has no script yet."""
        self._scripts.append(steps)

    @property
    def last(self) -> dict[str, Any]:
        """The newest chat request."""
        return self.asked[-1]

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.0.0-scripted"})

    async def _tags(self, _: web.Request) -> web.Response:
        self.listed += 1
        self.seen.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.listing is not None:
            return _error(self.listing)
        answer = web.json_response({"models": [self._entry(name) for name in self.models]})
        if self.packs:
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    async def _show(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("model", "")
        if name not in self.models:
            return _error(Fault(404, f"model '{name}' not found"))
        facts = {"general.architecture": "llama", "llama.context_length": self.window} if self.window else {}
        return web.json_response(
            {"details": self._entry(name)["details"], "capabilities": self.can, "model_info": facts}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        name = body["model"]
        if name not in self.models and f"{name}:latest" not in self.models:
            return _error(Fault(404, f"model '{name}' not found"))
        script = self._scripts.popleft() if self._scripts else self._echo(body["messages"][-1]["content"])
        if script and isinstance(script[0], Fault):
            return _error(script[0])
        try:
            return await self._stream(request, name, script)
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise

    def _echo(self, text: str) -> Sequence[Step]:
        words = text.split()
        return ["You said:", *(f" {word}" for word in words)]

    async def _stream(self, request: web.Request, model: str, script: Sequence[Step]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        reason = "stop"
        for step in script:
            if step is Wire.CUT:
                reason = "length"
            elif isinstance(step, (Fault, Wire)):
                return await self._fate(request, response, step)
            elif isinstance(step, asyncio.Event):
                self.begun.set()
                await step.wait()
            else:
                await SystemClock().sleep(self._pause)
                await response.write(step if isinstance(step, bytes) else _line(model, step))
        await response.write(_end(model, reason))
        return response

    async def _fate(self, request: web.Request, response: web.StreamResponse, step: Fault | Wire) -> web.StreamResponse:
        """An end other than the proper one."""
        if isinstance(step, Fault):
            await response.write(_raw({"error": step.body}))
        elif step is Wire.SILENCE:
            self.begun.set()
            await asyncio.Event().wait()
        elif step is Wire.BREAK and request.transport is not None:
            request.transport.close()
        return response

    def _entry(self, name: str) -> dict[str, Any]:
        family = self.families.get(name, "llama")
        details = {"format": "gguf", "family": family, "families": [family], "parameter_size": "1B"}
        return {"name": name, "model": name, "modified_at": NOW, "size": 1, "digest": "0" * 64, "details": details}


def _line(model: str, step: str | Thinks | Calls) -> bytes:
    said: dict[str, Any] = {"content": ""}
    match step:
        case Thinks():
            said["thinking"] = step.text
        case Calls():
            said["tool_calls"] = [{"function": {"name": step.name, "arguments": step.arguments}}]
        case _:
            said["content"] = step
    return _raw({"model": model, "created_at": NOW, "message": {"role": "assistant", **said}, "done": False})


def _end(model: str, reason: str) -> bytes:
    message = {"role": "assistant", "content": ""}
    return _raw({"model": model, "created_at": NOW, "message": message, "done": True, "done_reason": reason})


def _raw(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _error(fault: Fault) -> web.Response:
    if isinstance(fault.body, bytes):
        return web.Response(status=fault.status, body=fault.body)
    return web.json_response({"error": fault.body}, status=fault.status)


async def _serve(port: int, pause: float) -> None:
    async with OllamaServer.running("echo:latest", port=port, pause=pause) as server:
        print(f"TIMMY_OLLAMA_URL={server.url}", flush=True)  # noqa: T201 - a program of its own
        await asyncio.Event().wait()


def main() -> None:
    """Stand in for Ollama until interrupted."""
    parser = argparse.ArgumentParser(description="An echo that speaks Ollama's protocol.")
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds before each word (60: a very slow model)")
    given = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.pause))


if __name__ == "__main__":
    main()
