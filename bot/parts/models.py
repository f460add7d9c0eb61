"""The model servers that the settings name, as one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from adapters.llm.ollama import OllamaModel
from adapters.llm.reach import Reach
from core.agent.cascade import Backend, Cascade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from adapters.llm.server import ModelServer
    from config.settings import Settings
    from core.agent.model import Card, Model
    from core.agent.pulling import Library
    from core.agent.vectors import Embedder
    from core.ports import Clock, Spawner

OLLAMA, OPENAI = "ollama", "openai"


class Brains(NamedTuple):
    """What answers, its servers by name, and where models come from (None: from nowhere), and embeddings."""

    model: Cascade
    servers: Mapping[str, ModelServer]
    library: Library | None
    embedder: Embedder | None

    async def begin(self, spawner: Spawner, patience: float) -> None:
        """Take a first look, of so many seconds: interrupted tasks may need a model, and should not fail for a late one."""
        if self.servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.model.check()
        for name, server in self.servers.items():
            spawner.spawn(server.watch(), f"model watch of {name}")


class _Embedders:
    """`core.agent.vectors.Embedder` of the first server that has a model for it.

    One that cannot be asked is waited for, and no other taken in its place: with each model all vectors are made anew.
    """

    def __init__(self, servers: Sequence[ModelServer]) -> None:
        self._servers = servers
        self._own = servers[0]

    async def embedder(self) -> str | None:
        """See `Embedder`."""
        for server in self._servers:
            if (found := await server.embedder()) is not None:
                self._own = server
                return found
        return None

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `Embedder`."""
        return await self._own.embed(model, texts)


@contextlib.asynccontextmanager
async def brains(settings: Settings, clock: Clock, *, instead: Model | None = None) -> AsyncIterator[Brains]:
    """All servers. `instead`: this model, as if the first server were it."""
    if instead is not None:
        yield Brains(Cascade([Backend(OLLAMA, settings.ollama.url, instead)], clock), {}, None, None)
        return
    async with contextlib.AsyncExitStack() as stack:
        found = {name: await stack.enter_async_context(server) for name, server in servers(settings, clock).items()}
        cascade = Cascade([Backend(name, server.url, server) for name, server in found.items()], clock)
        ollama = found.get(OLLAMA)
        own = ollama if isinstance(ollama, OllamaModel) else None
        yield Brains(cascade, found, own, _Embedders(list(found.values())))


def servers(settings: Settings, clock: Clock) -> dict[str, ModelServer]:
    """The servers by name, in the order in which they are asked. Where only another one is set, Ollama is not looked for."""
    found: dict[str, ModelServer] = {}
    reach = Reach(settings.model.allowed)
    if settings.openai.url is None or settings.ollama.given:
        found[OLLAMA] = OllamaModel(settings.ollama.url, settings.ollama.model, clock=clock, reach=reach)
    if settings.openai.url is not None:
        from adapters.llm.openai import OpenAIModel  # noqa: PLC0415 - where there is one

        key = settings.openai.key
        found[OPENAI] = OpenAIModel(
            settings.openai.url, settings.openai.model, clock=clock, reach=reach,
            key=None if key is None else key.get_secret_value(),
        )  # fmt: skip
    return found


class ModelLook(NamedTuple):
    """How a model server is seen from outside of a hub: `why` its own model cannot be asked (empty: it can), and what that is."""

    name: str
    where: str
    why: str
    model: str = ""
    card: Card | None = None
