"""`core.agent.model.Model` on an Ollama server (https://docs.ollama.com/api)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from adapters.llm.server import BadModelAddress, ModelServer, Patience
from core.agent.model import ModelMissing, ModelUnreachable, NoModelInstalled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from adapters.llm.server import Wire
    from adapters.llm.wire import Wire as OllamaWire
    from core.agent.pulling import Progress

__all__ = ["BadModelAddress", "OllamaModel", "Patience"]

_ELSEWHERE = ("-cloud", ":cloud")
"""How the names of models end that Ollama passes on to its maker's machines."""


class OllamaModel(ModelServer):
    """The models of Ollama, the newest first."""

    setting = "TIMMY_OLLAMA_URL"
    unreachable = ModelUnreachable
    nothing = NoModelInstalled
    missing = ModelMissing

    async def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        """See `core.agent.pulling.Library`. It may be silent for as long as a model may load: it checks what came."""
        from core.agent.pulling import PullFailed  # noqa: PLC0415 - for the first who gets one

        wire = cast("OllamaWire", await self._connected())
        async with aclosing(wire.pull(name)) as steps:
            while True:
                try:
                    async with asyncio.timeout(self._patience.first):
                        step = await anext(steps)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise PullFailed(model=name, why=f"nothing came for {round(self._patience.first)} s") from None
                yield step
        self._forget()

    def _load(self) -> Wire:
        from adapters.llm import wire  # noqa: PLC0415 - see the top of that module

        return wire.Wire(self.url, connect=self._patience.connect, reach=self._reach)

    def _here(self, model: str) -> bool:
        return not model.endswith(_ELSEWHERE)
