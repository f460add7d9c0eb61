"""Several model servers as one: asked in the order in which they are configured, the next where one cannot answer.

Nobody is handed over in the middle of an answer: once a word was said, or a tool was called, its failure is the answer's end.
Models of the first server go by their own names, those of another by its name too: `openai/qwen3-8b`.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from core.agent.breaker import Breaker
from core.agent.model import ModelCut, ModelMissing, ModelRepeats, ModelUnreachable, installed
from core.errors import HubError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from core.agent.model import Card, ChatMessage, Model, ToolCall, ToolSpec, Unsaid
    from core.ports import Clock


class Backend(NamedTuple):
    """A model server: what it is called, its address, and its port."""

    name: str
    where: str
    model: Model


class Standing(NamedTuple):
    """How a server is: `why` it cannot be asked (empty: it can), and the models it has, by the names they go by here."""

    name: str
    where: str
    why: str
    models: tuple[str, ...] = ()


class StoodIn(NamedTuple):
    """Another than the chosen model answered: which, and why the chosen one did not."""

    model: str
    why: str


_alone: ContextVar[str | None] = ContextVar("alone", default=None)
_answers: ContextVar[list[StoodIn] | None] = ContextVar("answers", default=None)


@contextmanager
def alone(model: str | None) -> Iterator[None]:
    """Have nobody stand in for this model in what is asked within the block, and nobody but its server asked for `models`."""
    token = _alone.set(model)
    try:
        yield
    finally:
        _alone.reset(token)


async def find(model: Model, name: str) -> str:
    """The model that a name means (`installed`). Where its own server has it, no other is waited for."""
    with suppress(HubError), alone(name):
        return await installed(model, name)
    return await installed(model, name)


@contextmanager
def listening() -> Iterator[list[StoodIn]]:
    """Hear which models stood in for others in what is asked within the block."""
    heard: list[StoodIn] = []
    token = _answers.set(heard)
    try:
        yield heard
    finally:
        _answers.reset(token)


@dataclass(slots=True, eq=False)
class _Line:
    """A server with its breaker; `prefix` is before the names of its models."""

    backend: Backend
    prefix: str
    breaker: Breaker = field(default_factory=Breaker)


class Cascade:
    """`core.agent.model.Model` over several servers, at least one."""

    def __init__(self, backends: Sequence[Backend], clock: Clock) -> None:
        self._clock = clock
        self._lines = [_Line(backend, f"{backend.name}/" if number else "") for number, backend in enumerate(backends)]

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall | Unsaid, None]:
        """See `Model`. A chosen model whose server cannot answer is stood in for by the next server's own.

        Where none was chosen, a server that is left alone for a while is not missed: `default` names another meanwhile.
        """
        errors: list[HubError] = []
        order = self._order(model)
        wanted = self._of(model)[0] if model is not None else order[0][0]
        for line, name in order:
            begun = False
            line.breaker = line.breaker.asked()
            try:
                own = name or await line.backend.model.default()
                async with aclosing(
                    line.backend.model.chat(messages, model=own, num_ctx=num_ctx, tools=tools)
                ) as pieces:
                    async for piece in pieces:
                        if not begun and line is not wanted:
                            why = str(errors[0]) if errors else wanted.breaker.why
                            _note(StoodIn(line.prefix + own, why))
                        begun = True
                        yield piece
                line.breaker = Breaker()
            except (ModelMissing, ModelCut, ModelRepeats) as error:  # its server is well
                if begun:
                    raise
                errors.append(error)
            except Unavailable as error:
                line.breaker = line.breaker.failed(self._clock.now(), str(error))
                if begun:
                    raise
                errors.append(error)
            else:
                return
            finally:
                line.breaker = line.breaker.left()
        raise next((error for error in errors if not isinstance(error, ModelUnreachable)), errors[0])

    async def models(self) -> list[str]:
        """See `Model`. Raises only if no server can list its own."""
        found, errors = [], []
        lines = self._lines if (own := _alone.get()) is None else [self._of(own)[0]]
        for line in lines:
            try:
                found += [line.prefix + name for name in await line.backend.model.models()]
            except HubError as error:
                errors.append(error)
        if len(errors) == len(lines):
            raise errors[0]
        return found

    async def default(self) -> str:
        """See `Model`. The own model of the first server that can be asked."""
        errors = []
        for line, _ in self._order(None):
            try:
                return line.prefix + await line.backend.model.default()
            except HubError as error:
                errors.append(error)
        raise errors[0]

    async def card(self, model: str | None) -> Card:
        """See `Model`. Of no model by name, what can be said of the one that would be asked."""
        line, name = self._order(model)[0]
        return await line.backend.model.card(name)

    async def check(self) -> str | None:
        """See `Model`. One server that can be asked is enough."""
        first = None
        for line in self._lines:
            why = await line.backend.model.check()
            if why is None:
                return None
            first = first or why
        return first

    async def standings(self, *, listed: bool = False) -> list[Standing]:
        """How every server is; `listed`: with its models."""
        found = []
        for line in self._lines:
            why, names = await line.backend.model.check(), tuple[str, ...]()
            if why is None and line.breaker.is_open(self._clock.now()):
                why = f"it failed {line.breaker.failures} times in a row, and is tried again later: {line.breaker.why}"
            if listed and why is None:
                try:
                    names = tuple(line.prefix + name for name in await line.backend.model.models())
                except HubError as error:
                    why = str(error)
            found.append(Standing(line.backend.name, line.backend.where, why or "", names))
        return found

    def _order(self, model: str | None) -> list[tuple[_Line, str | None]]:
        """Whom to ask, with the model: its own server first, and last those that failed lately."""
        own, name = self._of(model)
        if model is not None and model == _alone.get():
            return [(own, name)]
        now = self._clock.now()
        order = sorted(self._lines, key=lambda line: (line.breaker.is_open(now), model is not None and line is not own))
        return [(line, name if line is own else None) for line in order]

    def _of(self, model: str | None) -> tuple[_Line, str | None]:
        """The server that has a model, and the name it has there."""
        for line in self._lines[1:]:
            if model is not None and model.startswith(line.prefix):
                return line, model.removeprefix(line.prefix)
        return self._lines[0], model


def _note(stood: StoodIn) -> None:
    heard = _answers.get()
    if heard is not None and stood not in heard:
        heard.append(stood)
