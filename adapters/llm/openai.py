"""`core.agent.model.Model` on a server that speaks OpenAI's protocol: llama.cpp, vLLM, LM Studio, what stands before many machines.

Its window was given to it when it was started and cannot be asked for: it is read, and an answer gets no more than is left of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.llm.server import ModelServer
from core.agent.model import ModelMissing, ModelUnreachable, NoModelInstalled

if TYPE_CHECKING:
    from adapters.llm.reach import Reach
    from adapters.llm.server import Patience, Wire
    from core.ports import Clock


class ServerUnreachable(ModelUnreachable):
    """No model answers at {url}. Start its server (llama-server, vllm serve, LM Studio) or set TIMMY_OPENAI_URL."""


class NothingServed(NoModelInstalled):
    """The model server at {url} has no chat model. Start it with one."""


class ServesNoModel(ModelMissing):
    """The model server at {url} has no model {model}. Choose another with /model, or start it with that one."""


class OpenAIModel(ModelServer):
    """The models of one such server. `key` is what it was started to ask for, if anything."""

    setting = "TIMMY_OPENAI_URL"
    unreachable = ServerUnreachable
    nothing = NothingServed
    missing = ServesNoModel

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        clock: Clock,
        key: str | None = None,
        patience: Patience | None = None,
        reach: Reach | None = None,
    ) -> None:
        super().__init__(url, model, clock=clock, patience=patience, reach=reach)
        self._key = key

    def _load(self) -> Wire:
        from adapters.llm import openai_wire  # noqa: PLC0415 - httpx takes 0.1 s

        return openai_wire.Wire(self.url, connect=self._patience.connect, reach=self._reach, key=self._key)
