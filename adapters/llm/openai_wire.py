"""OpenAI's protocol as local servers speak it, on httpx, and the one place where httpx's errors and theirs become ours.

Source: OpenAI's API reference, "Chat completions" and "Streaming"; what each engine adds: llama.cpp's `tools/server/README.md`
(`/props`, `meta` of a model), vLLM's `max_model_len`, LM Studio's `/api/v0/models`.
"""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httpx
import httpx_sse

from adapters.llm.guarded import LONGEST_LINE, TooMuch, bounded, options
from adapters.llm.openai import ServerUnreachable, ServesNoModel
from adapters.llm.refusals import named as refused
from adapters.llm.refusals import one_line
from adapters.llm.server import vectors
from core.agent.model import (
    Card,
    ModelBrokeOff,
    ModelCut,
    ModelFailed,
    ModelGarbled,
    ModelOverfull,
    ModelSilent,
    ToolCall,
)
from core.agent.prompt import ANSWER_SHARE, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from adapters.llm.reach import Reach
    from core.agent.model import ChatMessage, ToolSpec
    from core.errors import HubError

LIBRARY_ERRORS = (
    httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx_sse.SSEError, OSError,
    # Of an answer that is JSON of another shape than the protocol's, too deep, or none.
    ValueError, TypeError, AttributeError, LookupError, RecursionError,
)  # fmt: skip

MOST_CALLS = 64
"""Of one answer."""

_END = "[DONE]"
_EMBEDS = re.compile(r"(?:embed|(?:^|[/_-])(?:bge|gte|e5|minilm)\b)[^/]*$", re.IGNORECASE)
"""What the names of models for embeddings have in them, behind whose or where they are: nothing else says what a model is for."""

_RERANKS = re.compile(r"rerank[^/]*$", re.IGNORECASE)

MOST_MEANT = 600
"""Characters of a text that a vector is of: many of these models take 512 tokens, and such servers refuse what is longer."""

_UNSAYABLE = re.compile(r"[^A-Za-z0-9._:/-]+")
_LONGEST_NAME = 128


class OtherProtocol(ModelGarbled):
    """What answers at {url} does not speak OpenAI's protocol ({why}). Check TIMMY_OPENAI_URL."""


class WindowFull(ModelCut):
    """The model's window was full before its answer was complete. Ask for less, or start its server with a larger one."""


class KeyRefused(ModelFailed):
    """The model server at {url} refused the key, or asks for one. Set TIMMY_OPENAI_KEY to the one that it was started with."""


class Wire:
    """One server. `connect` is in seconds. A model is known by its name without what no name that is typed may have."""

    def __init__(self, url: str, *, connect: float, reach: Reach, key: str | None) -> None:
        self._url = url
        self._root = url.removesuffix("/v1")
        self._connect = connect
        self._client = httpx.AsyncClient(
            event_hooks={"response": [bounded]},
            auth=None if key is None else _Bearer(key),
            **options(url, connect=connect, reach=reach),
        )
        self._ids: dict[str, str] = {}

    async def models(self) -> list[str]:
        """See `Wire` of `server.py`."""
        return [name for name, _ in await self._listed() if not _EMBEDS.search(name) and not _RERANKS.search(name)]

    async def embedders(self) -> list[tuple[str, str]]:
        """See `Wire` of `server.py`."""
        found = [name for name, _ in await self._listed() if _EMBEDS.search(name) and not _RERANKS.search(name)]
        return [(name, "") for name in found]

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """A vector for the beginning of each text. Source: OpenAI's API reference, "Create embeddings"."""
        said = [text[:MOST_MEANT] for text in texts]
        body = {"model": await self._id(model), "input": said, "encoding_format": "float"}
        try:
            answer = await self._client.post(f"{self._root}/v1/embeddings", json=body)
            if not answer.is_success:
                raise self._refusal(answer.status_code, answer.content, model, offered=False)
            found = sorted(answer.json()["data"], key=lambda one: int(one["index"]))
            return vectors([one["embedding"] for one in found], len(texts), self._url)
        except LIBRARY_ERRORS as error:
            raise self._translate(error) from error

    async def card(self, model: str) -> Card:
        """See `Wire` of `server.py`. What the list says comes first: where several models are served, `/props` is of one."""
        entry = next((entry for name, entry in await self._listed() if name == model), {})
        try:
            return await self._card(model, entry)
        except LIBRARY_ERRORS as error:
            raise self._translate(error) from error

    async def _card(self, model: str, entry: Mapping[str, Any]) -> Card:
        """The same by its entry in the list. Where nobody says so, tools are taken: who takes none refuses them."""
        meta = entry.get("meta") or {}
        window = entry.get("max_model_len") or entry.get("context_length") or meta.get("n_ctx")
        if entry.get("owned_by") == "llamacpp" or meta:
            props = await self._facts("/props")
            window = window or props.get("default_generation_settings", {}).get("n_ctx")
            return Card(_whole(window), bool(props.get("chat_template_caps", {}).get("supports_tools", True)))
        if window is None:
            rows = (await self._facts("/api/v0/models")).get("data") or ()
            row: dict[str, Any] = next((row for row in rows if row.get("id") == self._ids.get(model)), {})
            window = row.get("loaded_context_length") or row.get("max_context_length")
            if row:
                return Card(_whole(window), "tool_use" in (row.get("capabilities") or ()))
        return Card(_whole(window), tools=True)

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str, num_ctx: int, tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        """See `Wire` of `server.py`. `num_ctx` bounds the answer: what the messages leave of it, by our own count."""
        told = list(_messages(messages))
        body: dict[str, Any] = {"model": await self._id(model), "messages": told, "stream": True}
        if tools:
            body["tools"] = [{"type": "function", "function": _function(tool)} for tool in tools]
        least = num_ctx // ANSWER_SHARE
        body["max_tokens"] = max(least, num_ctx - tokens(json.dumps(body, ensure_ascii=False)))
        begun, reading = False, _Reading()
        try:
            async with (
                self._answering(body, model, least) as response,
                aclosing(httpx_sse.EventSource(response).aiter_sse()) as events,
            ):
                async for event in events:
                    if event.data == _END:
                        break
                    chunk = json.loads(event.data)
                    if chunk.get("error") or chunk.get("object") == "error":
                        raise refused(_said(chunk), model, offered=bool(tools) and not begun)
                    for piece in reading.pieces(chunk):
                        begun = begun or bool(piece)
                        yield piece
        except LIBRARY_ERRORS as error:
            raise self._translate(error, begun=begun) from error
        if reading.reason is None:
            raise ModelBrokeOff
        if reading.reason == "length":
            raise WindowFull

    @asynccontextmanager
    async def _answering(self, body: dict[str, Any], model: str, least: int) -> AsyncGenerator[httpx.Response]:
        """The answer to a question. Where the model counts more, so that not all that is left may be said (vLLM), `least` is."""
        while True:
            async with self._client.stream("POST", f"{self._root}/v1/chat/completions", json=body) as response:
                if response.is_success:
                    yield response
                    return
                error = self._refusal(response.status_code, await response.aread(), model, offered="tools" in body)
            if not isinstance(error, ModelOverfull) or body["max_tokens"] <= least:
                raise error
            body["max_tokens"] = least

    async def close(self) -> None:
        """See `Wire` of `server.py`."""
        await self._client.aclose()

    async def _listed(self) -> list[tuple[str, dict[str, Any]]]:
        """The models with what is said of each; the names are sayable, and each is one model's."""
        try:
            answer = await self._client.get(f"{self._root}/v1/models")
            if not answer.is_success:
                raise self._refusal(answer.status_code, answer.content, "", offered=False)
            found: dict[str, dict[str, Any]] = {}
            for entry in answer.json()["data"]:
                name = _sayable(str(entry["id"]))
                if name and name not in found:
                    found[name], self._ids[name] = entry, str(entry["id"])
        except LIBRARY_ERRORS as error:
            raise self._translate(error) from error
        return list(found.items())

    async def _id(self, model: str) -> str:
        """What the server calls a model."""
        if model not in self._ids:
            await self._listed()
        return self._ids.get(model, model)

    async def _facts(self, path: str) -> dict[str, Any]:
        """What an engine of one kind says of itself; of another kind nothing."""
        with suppress(*LIBRARY_ERRORS):
            answer = await self._client.get(f"{self._root}{path}")
            if answer.is_success:
                return cast("dict[str, Any]", dict(answer.json()))
        return {}

    def _refusal(self, status: int, body: bytes, model: str, *, offered: bool) -> HubError:
        """What the server answered in place of an answer."""
        try:
            why = _said(json.loads(body))
        except ValueError:
            why = one_line(body.decode("utf-8", "replace"))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return KeyRefused(url=self._url, why=why)
        if status == HTTPStatus.NOT_FOUND:
            if model and "model" in why.casefold():
                return ServesNoModel(url=self._url, model=model)
            return OtherProtocol(url=self._url, why=why or "not found")
        return refused(why or f"status {status}", model, offered=offered)

    def _translate(self, error: Exception, *, begun: bool = False) -> HubError:
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout() | ConnectionError():
                return ServerUnreachable(url=self._url)
            case httpx.TimeoutException():
                return ModelSilent(seconds=self._connect)
            case httpx_sse.SSEError():
                return OtherProtocol(url=self._url, why="its answer is no stream of events")
            case httpx.TransportError() | OSError():
                return ModelBrokeOff() if begun else ModelFailed(why="its server closed the connection")
            case TooMuch():
                return OtherProtocol(url=self._url, why=str(error))
            case _:
                return OtherProtocol(url=self._url, why=f"{type(error).__name__} in its answer")


class _Bearer(httpx.Auth):
    """A key in a header, that no error or log of httpx shows."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class _Reading:
    """An answer as far as it came. A call comes in parts: its name first, its arguments letter by letter."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._call: dict[str, Any] = {}
        self._calls = 0

    def pieces(self, chunk: dict[str, Any]) -> Iterator[str | ToolCall]:
        """What a chunk brings; an empty text is a sign of life (a thought, or a part of a call)."""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            if not isinstance(text, str):
                raise TypeError("content")
            if text:
                yield from self._whole()
            yield text
            for part in delta.get("tool_calls") or ():
                yield from self._part(part)
            if choice.get("finish_reason"):
                self.reason = str(choice["finish_reason"])
                yield from self._whole()

    def _part(self, part: dict[str, Any]) -> Iterator[ToolCall]:
        function = part.get("function") or {}
        index, new = part.get("index", 0), part.get("id")
        call = self._call
        if not call or index != call["index"] or (new and function.get("name") and new != call["id"]):
            yield from self._whole()
            call = self._call = {"index": index, "id": "", "name": "", "arguments": ""}
        call["id"] = call["id"] or str(new or "")
        call["name"] += function.get("name") or ""
        said = function.get("arguments") or ""
        call["arguments"] += said if isinstance(said, str) else json.dumps(said)
        if len(call["arguments"]) > LONGEST_LINE:
            raise TooMuch(f"a call of more than {LONGEST_LINE // 2**20} MB")

    def _whole(self) -> Iterator[ToolCall]:
        """The call that was being said, now that it is over."""
        call, self._call = self._call, {}
        if not call:
            return
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise TooMuch(f"more than {MOST_CALLS} calls")
        yield ToolCall(call["name"], _arguments(call["arguments"]), call["id"] or f"call_{self._calls}")


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _arguments(text: str) -> dict[str, Any] | str:
    """An object, or what came in its place."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _messages(messages: Sequence[ChatMessage]) -> Iterator[dict[str, Any]]:
    """A conversation in OpenAI's form. Calls that another server made have no ids: they get some, in order."""
    open_calls: deque[tuple[str, str]] = deque()
    for number, message in enumerate(messages):
        found: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.calls:
            open_calls.clear()
            found["tool_calls"] = []
            for place, call in enumerate(message.calls):
                name = call.id or f"call_{number}_{place}"
                open_calls.append((call.id, name))
                said = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
                found["tool_calls"].append(
                    {"id": name, "type": "function", "function": {"name": call.name, "arguments": said}}
                )
        if message.role == "tool":
            given = open_calls.popleft()[1] if not message.id and open_calls else message.id
            found["tool_call_id"] = given or message.name
        yield found


def _sayable(model: str) -> str:
    """A model's name as a person can type it: of a file its name alone."""
    name = model.rpartition("/")[2] if model.endswith(".gguf") else model
    return _UNSAYABLE.sub("-", name).strip("-/.:_")[:_LONGEST_NAME]


def _said(answer: Any) -> str:
    """The words of an error, in OpenAI's form, the older one of vLLM, or a bare one."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        words = error.get("message") or error.get("detail") or error.get("type") or error
        code = error.get("code")
        return one_line(f"{words}{f' ({code})' if isinstance(code, str) and code not in str(words) else ''}")
    return one_line(str(error))


def _whole(window: Any) -> int | None:
    return window if isinstance(window, int) and window > 0 else None
