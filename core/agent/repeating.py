"""Whether a model says the same for ever, as small ones do once they are lost. Pure."""

from __future__ import annotations

LEAST = 1200
"""Characters of the same, over and over, that no answer has."""

TIMES = 4
"""How often it is said by then, at least."""

_LONGEST = 1500
"""Characters of what is repeated, at most."""

_SEEN = 64
"""Characters of the end by which it is found again."""

_EVERY = 256
"""Characters between two looks."""


class Repetition:
    """Hears an answer piece by piece."""

    def __init__(self) -> None:
        self._tail = ""
        self._new = 0

    def hears(self, piece: str) -> bool:
        """Whether the answer, with this piece, ends in the same text said again and again. It is looked at now and then."""
        self._tail = (self._tail + piece)[-TIMES * _LONGEST :]
        self._new += len(piece)
        if self._new < _EVERY:
            return False
        self._new = 0
        return repeats(self._tail)


def repeats(text: str) -> bool:
    """Whether a text ends in at least `TIMES` of the same, `LEAST` characters long in all.

    The end is looked for further up, at the few nearest places: its distance is what may be repeated.
    """
    end = text[-_SEEN:]
    place = len(text) - len(end)
    for _ in range(_SEEN):
        place = text.rfind(end, max(0, len(text) - _SEEN - _LONGEST), place + len(end) - 1)
        if place < 0:
            return False
        distance = len(text) - len(end) - place
        length = max(LEAST, TIMES * distance)
        if length <= len(text) and text[-length:-distance] == text[-length + distance :]:
            return True
    return False
