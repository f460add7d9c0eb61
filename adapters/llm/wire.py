"""The official `ollama` client, and the one place where its errors and httpx's become ours.

Importing it takes 0.3 s and 15 MB, so `ollama.py` does that in a thread, and only once a server answers at all.
"""

from __future__ import annotations

import ssl
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httpx
import ollama

from core.agent.model import (
    Card,
    ModelBrokeOff,
    ModelCut,
    ModelFailed,
    ModelGarbled,
    ModelMissing,
    ModelSilent,
    ModelUnreachable,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from core.agent.model import ChatMessage, ToolSpec
    from core.errors import HubError

LIBRARY_ERRORS = (
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    # What the client lets through when an answer is JSON of another shape than it expects, or none.
    ValueError,
    TypeError,
    AttributeError,
)

_NO_CHAT = frozenset({"bert", "nomic-bert"})
"""Families of models that only embed."""

_LONGEST_WHY = 200

LONGEST_LINE = 1024 * 1024
"""Bytes of one line: an answer comes in lines of a few words each."""

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of an answer that is read whole: the list of models, or an error."""


class TooMuch(ValueError):
    """An answer that no model server gives."""


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with `TooMuch` before it fills the memory."""

    def __init__(self, stream: httpx.AsyncByteStream, *, whole: bool) -> None:
        self._stream = stream
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line = body = 0
        async for chunk in self._stream:
            first, *rest = chunk.split(b"\n")
            longest = max(line + len(first), *map(len, rest), 0)
            line = len(rest[-1]) if rest else line + len(first)
            body += len(chunk)
            if self._whole and body > LARGEST_BODY:
                raise TooMuch(f"an answer of more than {LARGEST_BODY // 2**20} MB")
            if not self._whole and longest > LONGEST_LINE:
                raise TooMuch(f"a line of more than {LONGEST_LINE // 2**20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class Wire:
    """One Ollama server. `connect` is in seconds."""

    def __init__(self, url: str, *, connect: float) -> None:
        self._url = url
        self._connect = connect
        self._client = ollama.AsyncClient(
            host=url,
            timeout=httpx.Timeout(None, connect=connect),  # silence is measured by who reads
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4),
            follow_redirects=False,
            trust_env=False,
            verify=_trust(url),
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [_without_credentials], "response": [_bounded]},
        )

    async def models(self) -> list[str]:
        """The names of all models that can chat, as Ollama lists them: the newest first."""
        try:
            listed = (await self._client.list()).models
        except LIBRARY_ERRORS as error:
            raise self._translate(error, "") from error
        return [
            entry.model for entry in listed if entry.model and (entry.details is None or _chats(entry.details.family))
        ]

    async def card(self, model: str) -> Card:
        """What a model can do, as far as its server says."""
        try:
            shown = await self._client.show(model)
        except LIBRARY_ERRORS as error:
            raise self._translate(error, model) from error
        facts = shown.modelinfo or {}
        window = next((value for key, value in facts.items() if key.endswith(".context_length")), None)
        return Card(window if isinstance(window, int) else None, "tools" in (shown.capabilities or ()))

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str, num_ctx: int, tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        """The answer in pieces; an empty piece is a sign of life (the model loads, or thinks).

        An answer is never longer than one window (`num_predict`): by Ollama's default a looping model runs on for ever.
        """
        begun = False
        try:
            stream = await self._client.chat(
                model=model,
                messages=[_message(message) for message in messages],
                tools=[_tool(tool) for tool in tools] or None,
                stream=True,
                options={"num_ctx": num_ctx, "num_predict": num_ctx},
            )
            async with aclosing(cast("AsyncGenerator[ollama.ChatResponse, None]", stream)) as chunks:
                async for chunk in chunks:
                    yield chunk.message.content or ""
                    begun = True
                    for call in chunk.message.tool_calls or ():
                        yield ToolCall(call.function.name, dict(call.function.arguments))
                    if chunk.done:
                        break
                else:
                    raise ModelBrokeOff
        except LIBRARY_ERRORS as error:
            raise self._translate(error, model, begun=begun) from error
        if chunk.done_reason == "length":
            raise ModelCut

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def _translate(self, error: Exception, model: str, *, begun: bool = False) -> HubError:
        match error:
            case ollama.ResponseError():
                return self._refusal(error, model)
            case httpx.ConnectError() | httpx.ConnectTimeout() | ConnectionError():
                return ModelUnreachable(url=self._url)
            case httpx.TimeoutException():
                return ModelSilent(seconds=self._connect)
            case httpx.TransportError() | OSError():
                return ModelBrokeOff() if begun else ModelFailed(why="its server closed the connection")
            case TooMuch():
                return ModelGarbled(url=self._url, why=str(error))
            case _:
                return ModelGarbled(url=self._url, why=f"{type(error).__name__} in its answer")

    def _refusal(self, error: ollama.ResponseError, model: str) -> HubError:
        """What the server itself calls an error, before or in the middle of a stream (then the status is -1)."""
        why = _one_line(str(error.error))
        if error.status_code != HTTPStatus.NOT_FOUND:
            return ModelFailed(why=why or f"status {error.status_code}")
        return ModelMissing(model=model) if "model" in why else ModelGarbled(url=self._url, why=why or "not found")


def _message(message: ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        found["tool_calls"] = [
            {"function": {"name": call.name, "arguments": {} if isinstance(call.arguments, str) else call.arguments}}
            for call in message.calls
        ]
    return found | ({"tool_name": message.name} if message.name else {})


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "function": tool._asdict()}


def _chats(family: str | None) -> bool:
    return family not in _NO_CHAT


def _trust(url: str) -> ssl.SSLContext | bool:
    """Public authorities for https; none for http, as loading them takes 40 ms and they are never asked."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _without_credentials(request: httpx.Request) -> None:
    """The client adds OLLAMA_API_KEY, a key for Ollama's cloud, to every request; no other server is to see it."""
    request.headers.pop("authorization", None)


async def _bounded(response: httpx.Response) -> None:
    """No answer grows without end, nor unpacks into more than came: none was asked to be packed."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooMuch("a compressed answer")
    if isinstance(response.stream, httpx.AsyncByteStream):
        streamed = response.is_success and response.request.url.path.endswith("/api/chat")
        response.stream = _Bounded(response.stream, whole=not streamed)


def _one_line(text: str) -> str:
    """A server's own words: one line, cut, without a full stop."""
    return " ".join(text.split())[:_LONGEST_WHY].rstrip(". ")
