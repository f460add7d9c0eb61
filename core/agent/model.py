"""The port to a language model, and every way a model can fail, by name.

A model is asked with the whole conversation each time and answers in pieces: text, and calls of the tools it was offered.
It is never trusted: what it says is text for people, and a call is a wish that the hub judges (`tool.py`).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from core.events import Json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")

Role = Literal["system", "user", "assistant", "tool"]


class ModelUnreachable(Unavailable):
    """No model answers at {url}. Start Ollama (ollama serve) or set TIMMY_OLLAMA_URL."""


class NoModelInstalled(Unavailable):
    """Ollama runs at {url} but has no chat model yet. Get one, for example: /pull llama3.2, or there ollama pull llama3.2"""


class ModelMissing(UserError):
    """The model {model} is not installed. Choose another with /model, or get it: /pull {model}"""

    status = 404


class UnknownModel(UserError):
    """There is no model {model} here. Choose one of {installed}, or get it: /pull {model}"""

    status = 404


class BadModelName(UserError):
    """{given} cannot be the name of a model. Names look like llama3.2 or qwen3:8b; /model lists those there are."""


class ModelFailed(Unavailable):
    """The model could not answer: {why}. Ask again, or choose another with /model."""


class ModelTooLarge(ModelFailed):
    """{model} does not fit into its machine's memory ({why}). Choose a smaller one with /model, or close what else uses memory."""


class ModelLoads(ModelFailed):
    """The model is still being loaded. Ask again in a minute."""


class ModelOverfull(UserError):
    """This does not fit into the model's window there ({why}). Begin anew with /new, ask for less, or give it a larger window."""

    status = 413


class ModelBrokeOff(Unavailable):
    """The model broke off in the middle of its answer. Ask again."""


class ModelSilent(Unavailable):
    """The model said nothing for {seconds} s and was given up. Ask again, or choose a smaller one with /model."""


class ModelSlow(Unavailable):
    """The model was not done after {seconds} s and was stopped. Ask for less, or choose a smaller one with /model."""


class ModelCut(Unavailable):
    """The model's window was full before its answer was complete. Ask for less, or raise TIMMY_OLLAMA_NUM_CTX."""


class ModelRambled(Unavailable):
    """The model said more than the {limit} characters an answer may have, and was stopped. Ask for less."""


class ModelRepeats(Unavailable):
    """The model said the same again and again, and was stopped. Ask otherwise, or choose another with /model."""


class ModelSaidNothing(Unavailable):
    """The model ended its answer without a word. Ask again, or choose another with /model."""


class ModelGarbled(Unavailable):
    """What answers at {url} does not speak Ollama's protocol ({why}). Check TIMMY_OLLAMA_URL."""


class ToolSpec(NamedTuple):
    """A tool as a model is told of it; `parameters` is a JSON schema of an object (draft 2020-12).

    `outside`: somebody else wrote that.
    """

    name: str
    description: str
    parameters: Mapping[str, Json]
    outside: bool = False


class ToolCall(NamedTuple):
    """A model's wish to have a tool called. `arguments` is what came: an object, or a text where it was none.

    `id` is the model server's own, empty where it has none.
    """

    name: str
    arguments: Mapping[str, Json] | str
    id: str = ""


class Unsaid(Enum):
    """A model takes back what it said: that was a thought, and its answer only begins (`reasoning.py`)."""

    ALL = "what was said so far"


class ChatMessage(NamedTuple):
    """One message as a model is given it.

    `calls`: what the assistant wished for with it. A `tool`'s message is the result of one call: `name` is that tool, `id` the
    call's.
    """

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    name: str = ""
    id: str = ""


class Card(NamedTuple):
    """What a model can do: the longest `window` it was made for, in tokens (None: unknown), and whether it can call `tools`."""

    window: int | None = None
    tools: bool = False


class Bounds(NamedTuple):
    """How much one question may take: `window` (num_ctx) in tokens, `seconds` of wall time, `characters` of answer."""

    window: int = 8192
    seconds: float = 600
    characters: int = 32 * 1024


class Model(Protocol):
    """A server of language models. Any number of conversations may ask at once."""

    def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall | Unsaid, None]:
        """The answer in pieces, in a window of `num_ctx` tokens; `model` None means the hub's own (`default`).

        What it thinks before that is left out. A call comes whole, in its place among the pieces of text. Closing the generator,
        or cancelling who waits for it, stops the model at once. Raises `ModelUnreachable`, `NoModelInstalled`, `ModelMissing`,
        `ModelFailed`, `ModelBrokeOff`, `ModelSilent`, `ModelCut`, `ModelGarbled`, and `ModelRepeats` where it does in its thoughts.
        """

    async def models(self) -> list[str]:
        """The models to choose from, by full name (`qwen3:8b`). Raises `ModelUnreachable`, `ModelGarbled` and such."""

    async def default(self) -> str:
        """The hub's own model: the configured one, else the first of `models`. Raises `NoModelInstalled` too."""

    async def card(self, model: str | None) -> Card:
        """What a model can do; of one that cannot be asked about, nothing is known, and nothing is raised."""

    async def check(self) -> str | None:
        """None when the hub's own model can be asked, else the sentence why not. Quick; believed for some seconds."""


def sayable(name: str) -> str:
    """A model's name as a person wrote it, which is shown as part of commands to copy. Raises `BadModelName`."""
    name = name.strip()
    if _NAME.fullmatch(name) is None:
        raise BadModelName(given=repr(name[:40]))
    return name


async def installed(model: Model, name: str) -> str:
    """The model that a name means, by its full name. Raises `BadModelName`, `UnknownModel`, or why they cannot be listed."""
    name = sayable(name)
    known = await model.models()
    found = named(name, known)
    if found is None:
        raise UnknownModel(model=name, installed=", ".join(known) or "none yet")
    return found


def fitting(window: int, card: Card) -> int:
    """The window to ask a model with: what is wanted, but no more than it was made for."""
    return min(window, card.window or window)


def named(name: str, installed: Sequence[str]) -> str | None:
    """The installed model a name means: itself, or its `:latest` where no tag was written (as Ollama reads names)."""
    wanted = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    folded = wanted.casefold()
    return next((model for model in installed if model.casefold() in {name.casefold(), folded}), None)
