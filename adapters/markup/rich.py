"""The neutral rich text: plain words, and marks that say how stretches of them are set."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from core.chat import Mark, Style

if TYPE_CHECKING:
    from collections.abc import Iterable

SOLID = frozenset({Style.CODE, Style.PRE})
"""Styles that hold no other marks."""

LANGUAGE = re.compile(r"[A-Za-z0-9_+-]{1,30}")
"""What a `pre` may name as its language; any other is forgotten."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\ufffd")


@dataclass(frozen=True, slots=True)
class Rich:
    """A text and its marks, by code points. Always in order, whatever it is made of.

    Halves of surrogate pairs become U+FFFD. Marks are sorted and kept inside the text; they nest, none within its own
    style or within `code` and `pre`; one that crosses the end of an earlier mark ends there; a `pre` has a language of
    `LANGUAGE`, or none.
    """

    text: str
    marks: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.isascii():
            object.__setattr__(self, "text", _SURROGATES.sub("\ufffd", self.text))
        if self.marks:
            object.__setattr__(self, "marks", tuple(_nested(self.marks, len(self.text))))

    @property
    def blank(self) -> bool:
        """Whether nothing of it can be seen: Telegram refuses such a message, so it is not sent."""
        return all(
            char.isspace()
            or char in _UNSEEN
            or "\ufe00" <= char <= "\ufe0f"
            or unicodedata.category(char) in {"Cc", "Cf"}
            for char in self.text
        )


def _nested(marks: Iterable[Mark], length: int) -> Iterable[Mark]:
    held: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (one.start, -one.end, one.style in SOLID)):
        start = max(mark.start, 0)
        while held and held[-1].end <= start:
            held.pop()
        end = min(mark.end, held[-1].end if held else length)
        if start >= end or any(one.style in SOLID or one.style is mark.style for one in held):
            continue
        named = mark.style is Style.PRE and LANGUAGE.fullmatch(mark.language)
        held.append(Mark(start, end, mark.style, mark.language if named else ""))
        yield held[-1]


def pieces(rich: Rich) -> list[tuple[frozenset[Style], str]]:
    """The text in stretches of one set of styles each, for a terminal: controls but newline and tab become U+FFFD."""
    edges = sorted({0, len(rich.text), *(mark.start for mark in rich.marks), *(mark.end for mark in rich.marks)})
    found: list[tuple[frozenset[Style], str]] = []
    held: list[Mark] = []
    coming = list(reversed(rich.marks))
    for start, end in pairwise(edges):
        held = [mark for mark in held if mark.end > start]
        while coming and coming[-1].start <= start:
            held.append(coming.pop())
        found.append((frozenset(mark.style for mark in held), rich.text[start:end].translate(_CONTROLS)))
    return found
