"""What model servers say when they will not answer, as errors of ours: each engine has its own words for the same few things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.model import ModelFailed, ModelLoads, ModelOverfull, ModelTooLarge

if TYPE_CHECKING:
    from core.errors import HubError

_LONGEST_WHY = 200

# As llama.cpp ("exceeds the available context size"), vLLM ("maximum context length is"), LM Studio and Ollama say it.
_OVERFULL = re.compile(
    r"context (?:size|length|window)|maximum context|prompt is too long|context_length_exceeded", re.IGNORECASE
)

# As Ollama ("requires more system memory"), llama.cpp ("failed to allocate") and CUDA ("out of memory") say it.
_TOO_LARGE = re.compile(
    r"requires more (?:system|GPU|video)? ?memory|out of memory|(?:un|not )able to allocate|failed to allocate"
    r"|insufficient (?:system )?(?:memory|resources)|cudaMalloc failed|No available memory",
    re.IGNORECASE,
)

# As Ollama ("does not support tools"), llama.cpp ("tools param requires") and vLLM ("tool choice requires") say it.
_TOOLS = re.compile(r"not support (?:tool|function)|tools? (?:param|choice) requires|tool_choice", re.IGNORECASE)
_LOADS = re.compile(r"\bloading model\b|model is (?:still )?(?:being loaded|loading)", re.IGNORECASE)


class NoTools(Exception):
    """The server takes no tools for this model."""


def named(why: str, model: str, *, offered: bool = False) -> HubError:
    """A server's words as an error. Raises `NoTools` where it is tools, that were `offered`, which it does not take."""
    why = one_line(why)
    if offered and _TOOLS.search(why):
        raise NoTools
    if _OVERFULL.search(why):
        return ModelOverfull(why=why)
    if _TOO_LARGE.search(why):
        return ModelTooLarge(model=model or "the model", why=why)
    if _LOADS.search(why):
        return ModelLoads()
    return ModelFailed(why=why)


def one_line(text: str) -> str:
    """A server's own words: one line, cut, without a full stop."""
    return " ".join(text.split())[:_LONGEST_WHY].rstrip(". ")
