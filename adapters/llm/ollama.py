"""`core.agent.model.Model` on an Ollama server (https://docs.ollama.com/api)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.llm.server import BadModelAddress, ModelServer, Patience
from core.agent.model import ModelMissing, ModelUnreachable, NoModelInstalled

if TYPE_CHECKING:
    from adapters.llm.server import Wire

__all__ = ["BadModelAddress", "OllamaModel", "Patience"]

_ELSEWHERE = ("-cloud", ":cloud")
"""How the names of models end that Ollama passes on to its maker's machines."""


class OllamaModel(ModelServer):
    """The models of Ollama, the newest first."""

    setting = "TIMMY_OLLAMA_URL"
    unreachable = ModelUnreachable
    nothing = NoModelInstalled
    missing = ModelMissing

    def _load(self) -> Wire:
        from adapters.llm import wire  # noqa: PLC0415 - see the top of that module

        return wire.Wire(self.url, connect=self._patience.connect, reach=self._reach)

    def _here(self, model: str) -> bool:
        return not model.endswith(_ELSEWHERE)
