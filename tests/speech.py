"""Ears and mouths that hear and say what a test wrote, at the ports of `core.voice.hearing`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.voice.hearing import EarFailed, Heard, MouthFailed, Voice

if TYPE_CHECKING:
    import asyncio

    from core.voice.expected import Grammar


@dataclass
class Ears:
    """Hears a note as the text that its bytes are; `doubts` lowers how surely. An event in `gate` holds it up."""

    doubts: float = 0.0
    missing: str = ""
    broken: bool = False
    gate: asyncio.Event | None = None
    heard: list[bytes] = field(default_factory=list)
    expected: list[Grammar] = field(default_factory=list)

    async def hear(self, audio: bytes, expected: Grammar) -> Heard:
        """See `Ear`."""
        self.heard.append(audio)
        self.expected.append(expected)
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise EarFailed(why="the engine broke off")
        return Heard(audio.decode(), 1.0 - self.doubts)


@dataclass
class Mouths:
    """Speaks words by writing them into the note."""

    missing: str = ""
    broken: bool = False

    async def say(self, words: str) -> Voice:
        """See `Mouth`."""
        if self.broken:
            raise MouthFailed(why="it is hoarse")
        return Voice(b"OggS" + words.encode(), 1.5)
