"""What hears and what speaks, as the hub needs them; and how sure a hearing must be before anything is done with it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from core.voice.expected import Grammar

SURE, DOUBTFUL = 0.6, 0.4
"""At least so sure it is done; at least so sure it is asked back. Below, nothing was understood. ADR 0013 has the figures."""

NOTE_SECONDS = 60
NOTE_BYTES = 2_000_000
"""The longest voice note that is heard, and the largest."""


class Heard(NamedTuple):
    """What was heard, as it would be typed; empty if nothing was understood. `confidence`: 0 to 1."""

    text: str
    confidence: float


class Voice(NamedTuple):
    """Speech as OGG/Opus, and how long it takes, seconds."""

    ogg: bytes
    seconds: float


class Verdict(Enum):
    """What is done with a hearing."""

    DO = auto()
    ASK = auto()
    NOTHING = auto()


def judge(heard: Heard) -> Verdict:
    """How far a hearing is trusted."""
    if not heard.text or heard.confidence < DOUBTFUL:
        return Verdict.NOTHING
    return Verdict.DO if heard.confidence >= SURE else Verdict.ASK


class NotUnderstood(UserError):
    """I did not understand what you said. Say it again, nearer and slower, or write it; /help lists what I can do."""


class NotSure(UserError):
    """I heard "{text}", and am not sure of it, so nothing was done. Say it again, or write it."""


class SpokenYes(UserError):
    """A spoken yes decides nothing, for other words sound like it: press the button under the question, or type yes."""


class NothingSaid(UserError):
    """I heard nothing in this voice note. Record it again, or write it."""


class NoteTooLong(UserError):
    """The voice note is longer than the {seconds} seconds or {megabytes} MB that I listen to. Use fewer words, or write it."""

    status = 413


def refuse_longer(size: int) -> None:
    """Raise `NoteTooLong` for a note of more bytes than are heard."""
    if size > NOTE_BYTES:
        raise NoteTooLong(seconds=NOTE_SECONDS, megabytes=NOTE_BYTES // 10**6)


class BadAudio(UserError):
    """I cannot open this voice note: it is no audio that I know, or it is damaged. Record it again, or write it."""


class TooManyNotes(UserError):
    """I have more voice notes to listen to than I can take at once; this one was not heard. Send it again in a while."""

    status = 429


class NoEar(UserError):
    """I cannot hear voice notes: {why}. Write it instead."""


class EarFailed(Unavailable):
    """I could not listen to this voice note ({why}). Nothing was done; send it again, or write it."""


class MouthFailed(Unavailable):
    """The answer could not be spoken: {why}."""


class Ear(Protocol):
    """Hears speech. One note at a time; the others wait."""

    @property
    def missing(self) -> str:
        """Why it cannot hear, and what to do about it; empty if it can."""

    async def hear(self, audio: bytes, expected: Grammar) -> Heard:
        """What is said in an audio file of any usual format. Raises this module's errors."""


class Mouth(Protocol):
    """Speaks."""

    @property
    def missing(self) -> str:
        """Why it cannot speak, and what to do about it; empty if it can."""

    async def say(self, words: str) -> Voice:
        """The words, spoken. Raises `MouthFailed`."""


class Speaks(Protocol):
    """A surface that takes voice notes."""

    async def speak(self, conversation: str, voice: Voice) -> None:
        """Deliver a voice note; it may be dropped, for the same was written."""
