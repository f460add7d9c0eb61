"""A long rich text in pieces that a platform takes: by UTF-16 units of text, and by bytes of its HTML.

Telegram counts a text in UTF-16 units after parsing (4096, captions 1024) and refuses more than 32 KiB before it.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING

from adapters.markup.html import tags
from adapters.markup.rich import Rich
from core.chat import Mark, Style

if TYPE_CHECKING:
    from collections.abc import Callable

_CLUSTER = 64
"""How far back, in code points, a place between two graphemes is looked for."""

_ZWJ = "\u200d"
_VIRAMA = 9


def in_html(char: str) -> int:
    """The UTF-8 bytes of a character in HTML."""
    return len(escape(char, quote=False).encode())


def cut(rich: Rich, units: int = 4096, size: int = 32 * 1024, price: Callable[[str], int] = in_html) -> list[Rich]:
    """Pieces of at most `units` UTF-16 units of text and `size` bytes each, by the `price` of a character; none of an empty text.

    No character is dropped: the texts of the pieces, joined, are the text. White space at a cut ends the piece before
    it, as far as it fits. A run of white space longer than that may make a piece of its own: it is `blank`, and a sender
    passes over it. A mark over a cut is on both sides of it. Each piece holds one character at least, so `units` below
    2 or `size` below 128 may be exceeded.
    """
    text, marks = rich.text, rich.marks
    measure = _Measure(rich, price)
    found: list[Rich] = []
    carried: list[Mark] = []
    at = first = 0
    while at < len(text):
        end = measure.cut(at, max(measure.most(at, units, size), at + 1))
        last = bisect_left(measure.starts, end, first)
        held = [*carried, *marks[first:last]]
        moved = tuple(Mark(mark.start - at, mark.end - at, mark.style, mark.language) for mark in held)
        found.append(Rich(text[at:end], moved))
        carried = [mark for mark in held if mark.end > end]
        at, first = end, last
    return found


class _Measure:
    """Running sums over a text: what any stretch of it takes is a difference of two."""

    def __init__(self, rich: Rich, price: Callable[[str], int]) -> None:
        self._text = rich.text
        used = set(rich.text)
        wide = {char: 1 + (char > "\uffff") for char in used}
        long = {char: price(char) for char in used}
        self._units = list(accumulate(map(wide.__getitem__, rich.text), initial=0))
        self._bytes = list(accumulate(map(long.__getitem__, rich.text), initial=0))
        self._pre = [mark for mark in rich.marks if mark.style is Style.PRE]
        costs = [(mark, sum(map(len, tags(mark)))) for mark in rich.marks]
        self.starts = [mark.start for mark in rich.marks]
        self._opened = list(accumulate((cost for _, cost in costs), initial=0))
        costs.sort(key=lambda pair: pair[0].end)
        self._ends = [mark.end for mark, _ in costs]
        self._closed = list(accumulate((cost for _, cost in costs), initial=0))

    def most(self, at: int, units: int, size: int) -> int:
        """The farthest place up to which text from `at` may reach; `at` where not one character may."""
        end = bisect_right(self._units, self._units[at] + units) - 1
        closed = self._closed[bisect_right(self._ends, at)] + self._bytes[at]

        def bytes_to(place: int) -> int:
            return self._bytes[place] + self._opened[bisect_left(self.starts, place)] - closed

        return at + bisect_right(range(at + 1, end + 1), size, key=bytes_to)

    def cut(self, at: int, most: int) -> int:
        """Where to end a piece that may reach to `most`: before a `pre`, after a paragraph, a line, a word, a grapheme."""
        if most == len(self._text):
            return most
        half = (at + most) // 2
        if (pre := self._pre_over(most)) and pre.start > half:
            return pre.start
        for gap in ("\n\n", "\n"):
            end = self._text.rfind(gap, half, most) + len(gap)
            if end > half and whole(self._text, at, end) and (gap == "\n" or not self._pre_over(end)):
                return end
        words = (
            end
            for end in range(most, half, -1)
            if self._text[end - 1].isspace() or (end == most and self._text[end].isspace())
        )
        near = range(most, max(at, most - _CLUSTER), -1)
        return next((end for end in (*words, *near) if whole(self._text, at, end)), most)

    def _pre_over(self, place: int) -> Mark | None:
        """The `pre` that a cut at `place` would divide."""
        number = bisect_left(self._pre, place, key=lambda mark: mark.start) - 1
        return self._pre[number] if number >= 0 and self._pre[number].end > place else None


def whole(text: str, at: int, place: int) -> bool:
    """Whether a cut before `text[place]` divides no grapheme, by the rules of UAX 29 that matter in a chat.

    `at` is where the piece begins: flags are pairs counted from there.
    """
    before, after = text[place - 1], text[place]
    if after < "\u0300":
        return not (before == "\r" and after == "\n")
    joins = (
        before == _ZWJ
        or unicodedata.category(after).startswith("M")
        or after in "\u200c\u200d"
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags, as in the flag of Wales
        or "\u1160" <= after <= "\u11ff"  # later parts of a Hangul syllable
        or (unicodedata.combining(before) == _VIRAMA and after.isalpha())
    )
    return not joins and not (_flag(after) and _flags_before(text, at, place) % 2)


def _flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flags_before(text: str, at: int, place: int) -> int:
    start = place
    while start > at and _flag(text[start - 1]):
        start -= 1
    return place - start
