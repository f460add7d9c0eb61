"""A model server of our own making that speaks OpenAI's protocol as llama.cpp and vLLM do, over real loopback HTTP.

Tests script it as they do `ollama_server.py`, with the same steps; what an engine adds to the protocol is `engine`'s. What a real
engine does is tried in tests/real/test_engine.py.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.clockwork import SystemClock
from tests.fakes import no_wait
from tests.ollama_server import Calls, Fault, Part, Thinks, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from tests.ollama_server import Step


class OpenAIServer:
    """The server: what it has, what it will say, and what it was asked. Use `async with OpenAIServer.running()`."""

    def __init__(self, models: Iterable[str], engine: str, pause: float) -> None:
        self.models = list(models)
        self.engine = engine
        self.window: int | None = 131_072
        self.tools = True
        self.key = ""
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
        cls, *models: str, engine: str = "llama.cpp", host: str = "127.0.0.1", port: int = 0, pause: float = 0
    ) -> AsyncIterator[OpenAIServer]:
        """Serve on a free port until the block ends; `engine`: `llama.cpp`, `vllm` or `lmstudio`."""
        server = cls(models, engine, pause)
        app = web.Application()
        app.router.add_get("/v1/models", server._models)
        app.router.add_post("/v1/chat/completions", server._chat)
        app.router.add_get("/props", server._props)
        app.router.add_get("/api/v0/models", server._studio)
        server._runner = runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            server.url = f"http://{host}:{runner.addresses[0][1]}"
            yield server
        finally:
            await server.stop()

    async def stop(self) -> None:
        """Go away; a second time does nothing."""
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

    async def _models(self, request: web.Request) -> web.Response:
        self.listed += 1
        self.seen.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.listing is not None:
            return _error(self.listing, self.engine)
        if (refusal := self._refused(request)) is not None:
            return refusal
        answer = web.json_response({"object": "list", "data": [self._entry(name) for name in self.models]})
        if self.packs:
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    def _entry(self, name: str) -> dict[str, Any]:
        entry = {"id": name, "object": "model", "created": 1, "owned_by": self.engine}
        if self.engine == "llama.cpp":
            return entry | {"owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072, "n_params": 1}}
        return entry | ({"max_model_len": self.window} if self.engine == "vllm" else {})

    async def _props(self, _: web.Request) -> web.Response:
        if self.engine != "llama.cpp":
            return _error(Fault(404, "Not Found"), self.engine)
        caps = {"supports_tools": self.tools, "supports_tool_calls": self.tools}
        return web.json_response({"default_generation_settings": {"n_ctx": self.window}, "chat_template_caps": caps})

    async def _studio(self, _: web.Request) -> web.Response:
        if self.engine != "lmstudio":
            return _error(Fault(404, "Not Found"), self.engine)
        can = ["tool_use"] if self.tools else []
        rows = [
            {"id": one, "type": "llm", "max_context_length": self.window, "capabilities": can} for one in self.models
        ]
        return web.json_response({"data": rows})

    def _refused(self, request: web.Request) -> web.Response | None:
        if not self.key or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return _error(Fault(401, "Invalid API Key"), self.engine)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refused(request)) is not None:
            return refusal
        body = await request.json()
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if body["model"] not in self.models:
            return _error(Fault(404, f"The model `{body['model']}` does not exist."), self.engine)
        if body.get("tools") and not self.tools:
            return _error(Fault(400, '"auto" tool choice requires --enable-auto-tool-choice'), self.engine)
        script = self._scripts.popleft() if self._scripts else _echo(body["messages"][-1]["content"])
        if script and isinstance(script[0], Fault):
            return _error(script[0], self.engine)
        try:
            return await self._stream(request, body["model"], script)
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise

    async def _stream(self, request: web.Request, model: str, script: Sequence[Step]) -> web.StreamResponse:
        kind = "text/html" if script and script[0] == b"<html>hello</html>\n" else "text/event-stream"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        reason = "stop"
        for place, step in enumerate(script):
            if step is Wire.CUT:
                reason = "length"
            elif isinstance(step, (Fault, Wire)):
                return await self._fate(request, response, step)
            elif isinstance(step, asyncio.Event):
                self.begun.set()
                await step.wait()
            else:
                reason = "tool_calls" if isinstance(step, (Calls, Part)) else reason
                await SystemClock().sleep(self._pause)
                await response.write(step if isinstance(step, bytes) else b"".join(_lines(model, step, place)))
        await response.write(_raw(_chunk(model, {}, reason)))
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        await response.write(_raw({"object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _fate(self, request: web.Request, response: web.StreamResponse, step: Fault | Wire) -> web.StreamResponse:
        """An end other than the proper one."""
        if isinstance(step, Fault):
            await response.write(_raw(_shape(step, self.engine)))
        elif step is Wire.SILENCE:
            self.begun.set()
            await self.silence()
            await asyncio.Event().wait()
        elif step is Wire.BREAK and request.transport is not None:
            request.transport.close()
        return response


def _echo(text: str) -> Sequence[Step]:
    return ["You said:", *(f" {word}" for word in text.split())]


def _lines(model: str, step: str | Thinks | Calls | Part, place: int) -> Iterable[bytes]:
    match step:
        case str():
            yield _raw(_chunk(model, {"content": step}))
        case Thinks():
            yield _raw(_chunk(model, {"role": "assistant", "content": None, "reasoning_content": step.text}))
        case Calls():
            said = step.arguments if isinstance(step.arguments, str) else json.dumps(step.arguments)
            call = {
                "index": place,
                "id": f"id_{place}",
                "type": "function",
                "function": {"name": step.name, "arguments": said},
            }
            yield _raw(_chunk(model, {"tool_calls": [call]}))
        case Part():
            yield _raw(_chunk(model, {"tool_calls": [dict(step.delta)]}))


def _chunk(model: str, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


def _raw(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _shape(fault: Fault, engine: str) -> dict[str, Any]:
    """An error as the engine words it."""
    if engine == "vllm":
        return {
            "object": "error",
            "message": fault.body,
            "type": "BadRequestError",
            "param": None,
            "code": fault.status,
        }
    return {"error": {"code": fault.status, "message": fault.body, "type": "server_error"}}


def _error(fault: Fault, engine: str) -> web.Response:
    if isinstance(fault.body, bytes):
        return web.Response(status=fault.status, body=fault.body)
    return web.json_response(_shape(fault, engine), status=fault.status)
