"""A model server of our own making that speaks OpenAI's protocol as llama.cpp and vLLM do, over real loopback HTTP.

Tests script it as they do `ollama_server.py`, with the same steps; what an engine adds to the protocol is `engine`'s. What a real
engine does is tried in tests/real/test_engine.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.ollama_server import Calls, Fault, ModelServer, Part, Thinks, vector

if TYPE_CHECKING:
    from collections.abc import Iterable


class OpenAIServer(ModelServer):
    """The server; `engine`: `llama.cpp`, `vllm` or `lmstudio`. Use `async with OpenAIServer.running()`."""

    kind = "text/event-stream"
    called = "tool_calls"

    def __init__(self, models: Iterable[str], pause: float, engine: str = "llama.cpp") -> None:
        super().__init__(models, pause)
        self.engine = engine
        self.tools = True
        self.key = ""
        self.facts: dict[str, Any] | None = None
        self.bytes_per_token: float | None = None

    def _routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/v1/models", self._list), web.post("/v1/chat/completions", self._chat),
            web.get("/props", self._props), web.get("/api/v0/models", self._studio), web.post("/v1/embeddings", self._embed),
        )  # fmt: skip

    def _locked(self, request: web.Request) -> web.Response | None:
        if not self.key or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return self._error(Fault(401, "Invalid API Key"))

    def _listing(self) -> dict[str, Any]:
        return {"object": "list", "data": [self._entry(name) for name in self.models]}

    def _entry(self, name: str) -> dict[str, Any]:
        entry = {"id": name, "object": "model", "created": 1, "owned_by": self.engine}
        if self.engine == "llama.cpp":
            return entry | {"owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072, "n_params": 1}}
        return entry | ({"max_model_len": self.window} if self.engine == "vllm" else {})

    async def _embed(self, request: web.Request) -> web.Response:
        if (refusal := self._locked(request)) is not None:
            return refusal
        body = await request.json()
        if (fault := self._refuses(body)) is not None:
            return self._error(fault)
        rows = [
            {"object": "embedding", "index": place, "embedding": vector(text)}
            for place, text in enumerate(body["input"])
        ]
        return web.json_response({"object": "list", "data": rows[::-1], "model": body["model"]})  # any order is allowed

    async def _props(self, _: web.Request) -> web.Response:
        if self.engine != "llama.cpp":
            return self._error(Fault(404, "Not Found"))
        if self.facts is not None:
            return web.json_response(self.facts)
        caps = {"supports_tools": self.tools, "supports_tool_calls": self.tools}
        return web.json_response({"default_generation_settings": {"n_ctx": self.window}, "chat_template_caps": caps})

    async def _studio(self, _: web.Request) -> web.Response:
        if self.engine != "lmstudio":
            return self._error(Fault(404, "Not Found"))
        if self.facts is not None:
            return web.json_response(self.facts)
        can = ["tool_use"] if self.tools else []
        rows = [
            {"id": one, "type": "llm", "max_context_length": self.window, "capabilities": can} for one in self.models
        ]
        return web.json_response({"data": rows})

    def _refuses(self, body: dict[str, Any]) -> Fault | None:
        if body["model"] not in self.models:
            return Fault(404, f"The model `{body['model']}` does not exist.")
        if body.get("tools") and not self.tools:
            return Fault(400, '"auto" tool choice requires --enable-auto-tool-choice')
        if self.window and self.bytes_per_token and "messages" in body:
            counted = sum(len(one["content"].encode()) for one in body["messages"]) / self.bytes_per_token
            if counted + body["max_tokens"] > self.window:
                return Fault(
                    400, f"'max_tokens' is too large. This model's maximum context length is {self.window} tokens"
                )
        return None

    def _shape(self, fault: Fault) -> dict[str, Any]:
        if self.engine == "vllm":
            error = {"message": fault.body, "type": "BadRequestError", "param": None, "code": fault.status}
            return {"object": "error", **error}
        return {"error": {"code": fault.status, "message": fault.body, "type": "server_error"}}

    def _line(self, model: str, step: str | Thinks | Calls | Part, place: int) -> bytes:
        delta: dict[str, Any]
        match step:
            case str():
                delta = {"content": step}
            case Thinks():
                delta = {"role": "assistant", "content": None, "reasoning_content": step.text}
            case Calls():
                said = step.arguments if isinstance(step.arguments, str) else json.dumps(step.arguments)
                call = {"index": place, "id": f"id_{place}", "type": "function"}
                delta = {"tool_calls": [{**call, "function": {"name": step.name, "arguments": said}}]}
            case Part():
                delta = {"tool_calls": [dict(step.delta)]}
        return self._raw(_chunk(model, delta))

    def _last_lines(self, model: str, reason: str) -> bytes:
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        used = {"object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage}
        return self._raw(_chunk(model, {}, reason)) + self._raw(used) + b"data: [DONE]\n\n"

    def _raw(self, said: dict[str, Any]) -> bytes:
        return f"data: {json.dumps(said, ensure_ascii=False)}\n\n".encode()


def _chunk(model: str, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
