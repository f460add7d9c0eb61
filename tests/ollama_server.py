"""A model server of our own making that speaks Ollama's protocol, over real loopback HTTP.

Tests script it: each `/api/chat` takes the next script (`says`), or echoes the last message when there is none. By hand
it stands in for Ollama: `python -m tests.ollama_server --port 11434 --pause 0.1`, then `TIMMY_OLLAMA_URL` as printed.
Protocol: https://docs.ollama.com/api (chat, tags, show, pull, embed, ps, version).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import zlib
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from adapters.clockwork import SystemClock
from tests.fakes import no_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

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
    """The model calls a tool; `arguments` as text are what a model wrote that is no JSON (OpenAI's protocol passes it on)."""

    name: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True)
class Part:
    """A part of a call, as OpenAI's protocol splits them."""

    delta: Mapping[str, Any]


Step = str | bytes | Thinks | Calls | Part | Wire | Fault | asyncio.Event
"""A piece of text, a raw line, a thought, a call, a part of one, a fate of the connection, an error, or a gate to wait at."""


class ModelServer:
    """A scripted server, whatever its protocol: what it has, what it will say, and what it was asked."""

    kind = ""
    """The media type of its answers."""
    called = "stop"
    """Why an answer ended, in its words, that calls a tool."""

    def __init__(self, models: Iterable[str], pause: float) -> None:
        self.models = list(models)
        self.window: int | None = 131_072
        self.listing: Fault | None = None
        self.listed = 0
        self.packs = False
        self.seen = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.begun = asyncio.Event()
        self.silence: Callable[[], Awaitable[None]] = no_wait
        self.hung_up = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._scripts: deque[Sequence[Step]] = deque()
        self._pause = pause

    @classmethod
    @asynccontextmanager
    async def running(
        cls, *models: str, host: str = "127.0.0.1", port: int = 0, pause: float = 0, **own: str
    ) -> AsyncIterator[Self]:
        """Serve on a free port (or `port`) until the block ends; `pause` is in seconds before each echoed word."""
        server = cls(models, pause, **own)
        app = web.Application()
        app.router.add_routes(server._routes())
        server._runner = runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            server.url = f"http://{host}:{runner.addresses[0][1]}"
            yield server
        finally:
            await server.stop()

    async def stop(self) -> None:
        """Go away, as a server does when it is ended; a second time does nothing."""
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

    @property
    def results(self) -> list[str]:
        """What the model was last told of its calls."""
        return [message["content"] for message in self.last["messages"] if message["role"] == "tool"]

    def _routes(self) -> Iterable[web.RouteDef]:
        raise NotImplementedError

    def _listing(self) -> dict[str, Any]:
        """The models that it has."""
        raise NotImplementedError

    def _refuses(self, body: dict[str, Any]) -> Fault | None:
        """What is wrong with a chat request."""
        raise NotImplementedError

    def _shape(self, fault: Fault) -> dict[str, Any]:
        """An error in its words."""
        raise NotImplementedError

    def _line(self, model: str, step: str | Thinks | Calls | Part, place: int) -> bytes:
        raise NotImplementedError

    def _last_lines(self, model: str, reason: str) -> bytes:
        raise NotImplementedError

    def _raw(self, said: dict[str, Any]) -> bytes:
        raise NotImplementedError

    def _locked(self, request: web.Request) -> web.Response | None:
        """What whoever has not its key is told."""
        return None

    async def _list(self, request: web.Request) -> web.Response:
        self.listed += 1
        self.seen.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.listing is not None:
            return self._error(self.listing)
        if (refusal := self._locked(request)) is not None:
            return refusal
        answer = web.json_response(self._listing())
        if self.packs:
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._locked(request)) is not None:
            return refusal
        body = await request.json()
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if (fault := self._refuses(body)) is not None:
            return self._error(fault)
        script = self._scripts.popleft() if self._scripts else self._echo(body["messages"][-1]["content"])
        if script and isinstance(script[0], Fault):
            return self._error(script[0])
        return await self._stream(request, body["model"], script)

    async def _stream(self, request: web.Request, model: str, script: Sequence[Step]) -> web.StreamResponse:
        kind = "text/html" if script and script[0] == b"<html>hello</html>\n" else self.kind
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        reason = "stop"
        try:
            for place, step in enumerate(script):
                if step is Wire.CUT:
                    reason = "length"
                elif isinstance(step, (Fault, Wire)):
                    return await self._fate(request, response, step)
                elif isinstance(step, asyncio.Event):
                    self.begun.set()
                    await step.wait()
                else:
                    reason = self.called if isinstance(step, (Calls, Part)) else reason
                    await SystemClock().sleep(self._pause)
                    await response.write(step if isinstance(step, bytes) else self._line(model, step, place))
            await response.write(self._last_lines(model, reason))
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise
        return response

    async def _fate(self, request: web.Request, response: web.StreamResponse, step: Fault | Wire) -> web.StreamResponse:
        """An end other than the proper one."""
        if isinstance(step, Fault):
            await response.write(self._raw(self._shape(step)))
        elif step is Wire.SILENCE:
            self.begun.set()
            await self.silence()
            await asyncio.Event().wait()
        elif step is Wire.BREAK and request.transport is not None:
            request.transport.close()
        return response

    def _echo(self, text: str) -> Sequence[Step]:
        return ["You said:", *(f" {word}" for word in text.split())]

    def _error(self, fault: Fault) -> web.Response:
        if isinstance(fault.body, bytes):
            return web.Response(status=fault.status, body=fault.body)
        return web.json_response(self._shape(fault), status=fault.status)


class OllamaServer(ModelServer):
    """One that speaks Ollama's. Use `async with OllamaServer.running()`."""

    kind = "application/x-ndjson"

    def __init__(self, models: Iterable[str], pause: float) -> None:
        super().__init__(models, pause)
        self.families: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.can = ["completion", "tools"]
        self.toolless: set[str] = set()
        self.bytes_per_token: float | None = None
        self.pulls: dict[str, Sequence[Step]] = {}
        self.pulled: list[str] = []
        self.embedded: list[list[str]] = []

    def _routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/", self._root), web.get("/api/version", self._version), web.get("/api/tags", self._list),
            web.post("/api/show", self._show), web.post("/api/chat", self._chat), web.post("/api/pull", self._pull),
            web.post("/api/embed", self._embed), web.get("/api/ps", self._ps),
        )  # fmt: skip

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.0.0-scripted"})

    def _listing(self) -> dict[str, Any]:
        return {"models": [self._entry(name) for name in self.models]}

    async def _show(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("model", "")
        if name not in self.models:
            return self._error(Fault(404, f"model '{name}' not found"))
        facts = {"general.architecture": "llama", "llama.context_length": self.window} if self.window else {}
        can = [one for one in self.can if one != "tools" or name not in self.toolless]
        return web.json_response({"details": self._entry(name)["details"], "capabilities": can, "model_info": facts})

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        """What `pulls` says of that model: lines, faults and fates, as in an answer; then it is there, unless that failed."""
        name = (await request.json())["model"]
        self.pulled.append(name)
        if name not in self.pulls:
            return self._error(Fault(500, "pull model manifest: file does not exist"))
        response = web.StreamResponse(headers={"Content-Type": self.kind})
        await response.prepare(request)
        try:
            for step in self.pulls[name]:
                if isinstance(step, (Fault, Wire)):
                    return await self._fate(request, response, step)
                if isinstance(step, asyncio.Event):
                    self.begun.set()
                    await step.wait()
                elif isinstance(step, bytes):
                    await response.write(step)
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise
        await response.write(self._raw({"status": "success"}))
        self.models.append(name if ":" in name else f"{name}:latest")
        return response

    async def _embed(self, request: web.Request) -> web.Response:
        """Vectors that depend on the words alone: alike for texts that share many."""
        body = await request.json()
        if body["model"] not in self.models:
            return self._error(Fault(404, f"model '{body['model']}' not found"))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.embedded.append(texts)
        return web.json_response({"model": body["model"], "embeddings": [vector(text) for text in texts]})

    async def _ps(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [self._entry(name) | {"size_vram": 0} for name in self.models[:1]]})

    def _refuses(self, body: dict[str, Any]) -> Fault | None:
        name = body["model"]
        if name not in self.models and f"{name}:latest" not in self.models:
            return Fault(404, f"model '{name}' not found")
        if body.get("tools") and name in self.toolless:
            return Fault(400, f"{name} does not support tools")
        return self._overfull(body)

    def _overfull(self, body: dict[str, Any]) -> Fault | None:
        """As Ollama does where its tokenizer counts more than the window has: it refuses, or it cuts and says nothing."""
        messages = body["messages"]
        while self.bytes_per_token and self._counted(messages) > body["options"]["num_ctx"]:
            if not body.get("truncate", True) and not body.get("shift", True):
                return Fault(400, "the prompt is longer than the context length currently available to the model")
            del messages[1 if len(messages) > 2 else 0]
        return None

    def _counted(self, messages: Sequence[Mapping[str, Any]]) -> float:
        return sum(len(str(message.get("content", "")).encode()) for message in messages) / (self.bytes_per_token or 1)

    def _shape(self, fault: Fault) -> dict[str, Any]:
        return {"error": fault.body}

    def _entry(self, name: str) -> dict[str, Any]:
        family = self.families.get(name, "llama")
        details = {"format": "gguf", "family": family, "families": [family], "parameter_size": "1B"}
        digest = self.digests.get(name, "0" * 64)
        return {"name": name, "model": name, "modified_at": NOW, "size": 1, "digest": digest, "details": details}

    def _line(self, model: str, step: str | Thinks | Calls | Part, place: int) -> bytes:
        said: dict[str, Any]
        match step:
            case str():
                said = {"content": step}
            case Thinks():
                said = {"content": "", "thinking": step.text}
            case Calls():
                said = {"content": "", "tool_calls": [{"function": {"name": step.name, "arguments": step.arguments}}]}
            case Part():
                raise TypeError("Ollama splits no call")
        return self._raw({"model": model, "created_at": NOW, "message": {"role": "assistant", **said}, "done": False})

    def _last_lines(self, model: str, reason: str) -> bytes:
        message = {"role": "assistant", "content": ""}
        return self._raw({"model": model, "created_at": NOW, "message": message, "done": True, "done_reason": reason})

    def _raw(self, said: dict[str, Any]) -> bytes:
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def vector(text: str) -> list[float]:
    found = [0.0] * 32
    for word in text.casefold().split():
        found[zlib.crc32(word.encode()) % 32] += 1.0
    length = sum(one * one for one in found) ** 0.5 or 1.0
    return [one / length for one in found]


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
