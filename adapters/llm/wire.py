"""The official `ollama` client, and the one place where its errors and httpx's become ours.

Importing it takes 0.3 s and 15 MB, so `ollama.py` does that in a thread, and only once a server answers at all.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httpx
import ollama

from adapters.llm.guarded import TooMuch, bounded, options
from adapters.llm.refusals import named as refused
from adapters.llm.refusals import one_line
from adapters.llm.server import vectors
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
from core.agent.pulling import LibraryAway, NoRoom, NoSuchModel, Progress, PullFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from adapters.llm.reach import Reach
    from core.agent.model import ChatMessage, ToolSpec
    from core.errors import HubError

LIBRARY_ERRORS = (
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    # What the client lets through when an answer is JSON of another shape than it expects, too deep, or none.
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)

_NO_CHAT = frozenset({"bert", "nomic-bert"})
"""Families of models that only embed."""

_MOST_LAYERS = 64
_DIGEST = 12
"""Characters of a digest that `ollama list` shows too."""

_NO_SUCH = re.compile(r"file does not exist|manifest unknown|not found", re.IGNORECASE)
_FULL = re.compile(r"no space left|not enough (?:disk )?space|disk (?:is )?full|quota exceeded", re.IGNORECASE)
_AWAY = re.compile(
    r"dial tcp|no such host|i/o timeout|TLS handshake|connection re(?:fused|set)|EOF|max retries", re.IGNORECASE
)
_HOST = re.compile(r"https?://\S+")


class _Client(ollama.AsyncClient):
    """Has a prompt that is too long refused. By default Ollama cuts it in silence, down to half the window.

    `truncate` and `shift` of `/api/chat` are not known to its own client yet (`server/routes.go` of Ollama 0.12.6 and later; older
    ones take no notice of them).
    """

    async def _request(self, cls: Any, *args: Any, **asked: Any) -> Any:
        if "/api/chat" in args:
            asked["json"] = {**asked["json"], "truncate": False, "shift": False}
        return await super()._request(cls, *args, **asked)


class Wire:
    """One Ollama server. `connect` is in seconds."""

    def __init__(self, url: str, *, connect: float, reach: Reach) -> None:
        self._url = url
        self._connect = connect
        self._client = _Client(
            host=url,
            event_hooks={"request": [_without_credentials], "response": [bounded]},
            **options(url, connect=connect, reach=reach),
        )

    async def models(self) -> list[str]:
        """The names of all models that can chat, as Ollama lists them: the newest first."""
        try:
            listed = (await self._client.list()).models
        except LIBRARY_ERRORS as error:
            raise self._translate(error, "") from error
        return [entry.model for entry in listed if entry.model and not _embeds(entry)]

    async def embedders(self) -> list[tuple[str, str]]:
        """All models for embeddings, the newest first: name, and the beginning of its digest."""
        try:
            listed = (await self._client.list()).models
        except LIBRARY_ERRORS as error:
            raise self._translate(error) from error
        return [(entry.model, (entry.digest or "")[:_DIGEST]) for entry in listed if entry.model and _embeds(entry)]

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text. What is longer than the model takes is cut by it."""
        try:
            found = (await self._client.embed(model, list(texts), truncate=True)).embeddings
            return vectors(found, len(texts), self._url)
        except LIBRARY_ERRORS as error:
            raise self._translate(error, model) from error

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
            raise self._translate(error, model, begun=begun, offered=bool(tools)) from error
        if chunk.done_reason == "length":
            raise ModelCut

    async def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        """See `core.agent.pulling.Library`. A model comes in layers, of which the first is told of before the last."""
        layers: dict[str, tuple[int, int]] = {}
        try:
            stream = await self._client.pull(name, stream=True)
            async with aclosing(cast("AsyncGenerator[ollama.ProgressResponse, None]", stream)) as steps:
                async for step in steps:
                    if step.digest and (step.digest in layers or len(layers) < _MOST_LAYERS):
                        layers[step.digest] = step.completed or 0, step.total or 0
                    if step.status == "success":
                        return
                    done, total = (sum(column) for column in zip(*layers.values(), strict=True)) if layers else (0, 0)
                    yield Progress(one_line(step.status or ""), done, total)
        except LIBRARY_ERRORS as error:
            if isinstance(error, ollama.ResponseError):
                raise _not_got(name, one_line(str(error.error)) or f"status {error.status_code}") from error
            found = self._translate(error, name, begun=True)
            broke = isinstance(found, ModelBrokeOff)
            raise PullFailed(model=name, why="the model server broke off") if broke else found from error
        raise PullFailed(model=name, why="the model server broke off")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def _translate(self, error: Exception, model: str = "", *, begun: bool = False, offered: bool = False) -> HubError:
        match error:
            case ollama.ResponseError():
                return self._refusal(error, model, offered=offered and not begun)
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

    def _refusal(self, error: ollama.ResponseError, model: str, *, offered: bool) -> HubError:
        """What the server itself calls an error, before or in the middle of a stream (then the status is -1)."""
        why = one_line(str(error.error))
        if error.status_code != HTTPStatus.NOT_FOUND:
            return refused(why or f"status {error.status_code}", model, offered=offered)
        return ModelMissing(model=model) if "model" in why else ModelGarbled(url=self._url, why=why or "not found")


def _not_got(name: str, why: str) -> HubError:
    """Why a model was not got, in Ollama's words."""
    if _NO_SUCH.search(why):
        return NoSuchModel(model=name)
    if _FULL.search(why):
        return NoRoom(model=name)
    kind = LibraryAway if _AWAY.search(why) else PullFailed
    return kind(model=name, why=_HOST.sub("its library", why))


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


def _embeds(entry: ollama.ListResponse.Model) -> bool:
    """Whether a model is for embeddings alone, by its family, or by its name where it is of a family that also chats."""
    family = entry.details.family if entry.details is not None else None
    return family in _NO_CHAT or "embed" in (entry.model or "").rpartition("/")[2].lower()


async def _without_credentials(request: httpx.Request) -> None:
    """The client adds OLLAMA_API_KEY, a key for Ollama's cloud, to every request; no other server is to see it."""
    request.headers.pop("authorization", None)
