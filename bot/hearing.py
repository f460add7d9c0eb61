"""Voice notes: fetched, heard, and taken as if they had been typed. Doubt asks back; what is not understood does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.access import Action, authorize
from core.voice.hearing import NoEar, NotUnderstood, Verdict, judge, refuse_longer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.registry import Registry
    from core.chat import Attachment, Caller, Inbound
    from core.voice.expected import Names
    from core.voice.hearing import Ear, Heard


class Keeps(Protocol):
    """A surface that keeps what is spoken itself, until it was heard."""

    name: str

    async def forget(self, attachment: Attachment) -> None:
        """It was heard."""


class Hearing:
    """Hears what is spoken. `names`: what the hub knows at the moment."""

    def __init__(
        self,
        ear: Ear,
        fetch: Callable[[str, Attachment], Awaitable[bytes]],
        names: Callable[[], Awaitable[Names]],
        registry: Registry,
    ) -> None:
        self._ear = ear
        self._fetch = fetch
        self._names = names
        self._registry = registry
        self._forget: dict[str, Callable[[Attachment], Awaitable[None]]] = {}

    def attach(self, surfaces: Iterable[Keeps]) -> None:
        """These have what was spoken removed once it was heard."""
        self._forget |= {surface.name: surface.forget for surface in surfaces}

    async def heard(self, message: Inbound) -> None:
        """What was spoken in a message is words by now, durably."""
        forget = self._forget.get(message.surface)
        if forget is not None:
            for file in message.files:
                await forget(file)

    async def take(self, message: Inbound, caller: Caller) -> tuple[Heard, Verdict]:
        """What a voice note says, and how far that is trusted. Raises the errors of `core.voice.hearing`, and the surface's own."""
        from core.voice.expected import grammar  # noqa: PLC0415 - for the first who speaks

        authorize(caller, Action.LOOK)
        note = next(file for file in message.files if file.spoken)
        if self._ear.missing:
            raise NoEar(why=self._ear.missing)
        refuse_longer(note.size)
        audio = await self._fetch(message.surface, note)
        refuse_longer(len(audio))  # what its sender said of it may be wrong
        expected = grammar(frozenset(one.name for one in self._registry), await self._names())
        heard = await self._ear.hear(audio, expected)
        verdict = judge(heard)
        if verdict is Verdict.NOTHING:
            raise NotUnderstood
        return heard, verdict
