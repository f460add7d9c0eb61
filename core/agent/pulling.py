"""Getting models: one at a time each, with how far it is, until it is here or has a reason why not.

What came stays with the model server, so that whoever asks again, or a hub that starts again, goes on where it broke off.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.agent.model import sayable
from core.errors import Refused, Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

MOST = 2
"""Models that are got at the same time."""

HOURS = 12
"""How long one may take."""


class NotHere(UserError):
    """Models are got where Ollama is used; the other servers have those that they were started with."""


class NoSuchModel(UserError):
    """Ollama's library has no model {model}. Look for its name there; names look like llama3.2 or qwen3:8b."""

    status = 404


class LibraryAway(Unavailable):
    """{model} was not got: its library cannot be reached from there ({why}). What came is kept; say /pull {model} again."""


class NoRoom(Unavailable):
    """{model} was not got: the disk of the model server is full. Make room there and say /pull {model} again; what came is kept."""


class PullFailed(Unavailable):
    """{model} was not got: {why}. What came is kept; say /pull {model} again."""


class PullStopped(Refused):
    """It was stopped at {percent} %. What came of {model} is kept; /pull {model} goes on."""


class ComesAlready(Refused):
    """{model} is being got already: {percent} %."""


class EnoughPulled(Refused):
    """{most} models are being got already. Ask again once one of them is here."""


class Progress(NamedTuple):
    """How far a model is: bytes of those that are known of, which may become more; `what` is done, in the server's words."""

    what: str
    done: int
    total: int

    @property
    def percent(self) -> int:
        """0 to 100; 100 only once all that is known of is there."""
        return min(100, self.done * 100 // self.total) if self.total else 0


_BEGUN = Progress("asking for it", 0, 0)


class Library(Protocol):
    """Where models come from."""

    def pull(self, name: str) -> AsyncGenerator[Progress, None]:
        """Get a model; it is there when this ends. Raises the errors of this module, `ModelUnreachable`, `ModelSilent`."""


class Coming(NamedTuple):
    """A model that is being got, and how far it is: 0 to 100, and in words."""

    model: str
    percent: int
    words: str


@dataclass(slots=True, eq=False)
class _Pull:
    name: str
    conversation: str
    progress: Progress
    stopped: bool = False
    scope: asyncio.Timeout | None = None

    def stop(self) -> None:
        self.stopped = True
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(0)


class Pulls:
    """Gets models from `library`; None where there is none to get them from."""

    def __init__(self, library: Library | None) -> None:
        self._library = library
        self._pulls: dict[str, _Pull] = {}

    @property
    def can(self) -> bool:
        """Whether there is anywhere to get one from."""
        return self._library is not None

    async def get(self, name: str, conversation: str, tell: Callable[[str], None]) -> str:
        """Get a model for a conversation; `tell` is given how far it is, at each percent. Returns its name as it was read.

        Raises the errors of this module and of `Library.pull`, `BadModelName`.
        """
        name = sayable(name)
        if self._library is None:
            raise NotHere
        if (there := self._pulls.get(name.casefold())) is not None:
            raise ComesAlready(model=name, percent=there.progress.percent)
        if len(self._pulls) == MOST:
            raise EnoughPulled(most=MOST)
        pull = self._pulls[name.casefold()] = _Pull(name, conversation, _BEGUN)
        try:
            async with asyncio.timeout(HOURS * 3600) as pull.scope:
                await self._follow(self._library, name, pull, tell)
        except TimeoutError:
            if pull.stopped:
                raise PullStopped(model=name, percent=pull.progress.percent) from None
            raise PullFailed(model=name, why=f"it was not here after {HOURS} hours") from None
        finally:
            del self._pulls[name.casefold()]
        return name

    def stop(self, conversation: str) -> bool:
        """Stop what is being got for a conversation. False: nothing was."""
        pulls = [pull for pull in self._pulls.values() if pull.conversation == conversation]
        for pull in pulls:
            pull.stop()
        return bool(pulls)

    def coming(self) -> list[Coming]:
        """The models that are being got now."""
        return [Coming(pull.name, pull.progress.percent, _far(pull.progress)) for pull in self._pulls.values()]

    @staticmethod
    async def _follow(library: Library, name: str, pull: _Pull, tell: Callable[[str], None]) -> None:
        told = ""
        async with aclosing(library.pull(name)) as steps:
            async for pull.progress in steps:
                words = said(name, pull.progress)
                if words != told:
                    tell(words)
                    told = words


def said(name: str, progress: Progress) -> str:
    """How far it is, for people."""
    return f"Getting {name}: {_far(progress)}."


def _far(progress: Progress) -> str:
    if not progress.total:
        return progress.what
    if progress.done >= progress.total:
        return f"all {_size(progress.total)} are there; {progress.what}"
    return f"{progress.percent} % of {_size(progress.total)}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - where GB read well
