"""`core.voice.hearing.Ear` over the child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.voice.hearing import (
    NOTE_BYTES,
    NOTE_SECONDS,
    BadAudio,
    EarFailed,
    Heard,
    NoteTooLong,
    NothingSaid,
    TooManyNotes,
)

if TYPE_CHECKING:
    from adapters.speech.worker import Worker
    from core.errors import UserError
    from core.voice.expected import Grammar

MOST_WAITING = 20
HEAR_SECONDS = 45.0
"""How long the engine may take for one note, its loading included. The child bounds the work itself, by the note's length."""

_ERRORS: dict[str, type[UserError]] = {
    "bad_audio": BadAudio, "nothing_said": NothingSaid, "note_too_long": NoteTooLong,
}  # fmt: skip


class LocalEar:
    """Hears through a worker. `missing`: why the engine that was chosen cannot be had; `bound`: it knows the grammar alone."""

    def __init__(self, worker: Worker, *, missing: str = "", bound: bool = True) -> None:
        self._worker = worker
        self._bound = bound
        self._waiting = 0
        self.missing = missing

    async def hear(self, audio: bytes, expected: Grammar) -> Heard:
        """See `Ear`."""
        if self._waiting >= MOST_WAITING:
            raise TooManyNotes
        self._waiting += 1
        try:
            rules = expected.rules
            request = {"op": "hear", "jsgf": rules.text, "words": sorted(rules.words), "sounds": dict(expected.sounds)}
            answer, _ = await self._worker.ask(request, audio, HEAR_SECONDS)
        finally:
            self._waiting -= 1
        heard = self._read(answer)
        whole = not self._bound or expected.rules.accepts(heard.text.split())
        return heard if whole else Heard("", 0.0)

    @staticmethod
    def _read(answer: dict[str, object]) -> Heard:
        """What the child said; an error of its own is raised here."""
        if error := _ERRORS.get(str(answer.get("error"))):
            raise error(seconds=NOTE_SECONDS, megabytes=NOTE_BYTES // 10**6)
        if "text" not in answer:
            raise EarFailed(why="the engine broke off")
        confidence = answer.get("confidence")
        if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
            raise EarFailed(why="the engine broke off")
        return Heard(str(answer["text"]), confidence)
