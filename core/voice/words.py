"""Words and phrases: a sentence as the rules see it, and tables of phrases that find their place in it.

A word is lower case, without apostrophes and without the punctuation around it: "Don't!" is `dont`. The text as written
stays beside it, for what is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

APOSTROPHES = str.maketrans("\u2018\u2019\u02bc`", "''''")
AROUND = ".,!?;:\"()[]{}<>*\u201c\u201d\u201e\u00ab\u00bb\u2026\u2013\u2014'"
"""What may stand around a word and is no part of it."""

GAP = "..."
WIDEST_GAP = 7
"""How many words a `...` of a phrase may stand for."""


def split(text: str) -> tuple[list[str], list[str]]:
    """A text as its words, and the same as they were written."""
    written = text.split()
    return [_word(one) for one in text.translate(APOSTROPHES).lower().split()], written


def _word(written: str) -> str:
    return written.strip(AROUND).replace("'", "")


class Phrases:
    """A table of phrases, one a line or between commas. `...` stands for up to seven words: `send ... back`."""

    def __init__(self, *tables: str) -> None:
        phrases = [tuple(one.split()) for table in tables for one in table.replace("\n", ",").split(",") if one.strip()]
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in sorted(phrases, key=len, reverse=True):
            self._by_first.setdefault(phrase[0], []).append(phrase)

    def at(self, words: Sequence[str], at: int) -> int:
        """The place after the longest phrase that begins at a word; 0 if none does. A gap ends where its last word ends."""
        if at >= len(words):
            return 0
        for phrase in self._by_first.get(words[at], ()):
            end = _match(phrase, words, at)
            if end:
                return end
        return 0

    def find(self, words: Sequence[str], start: int = 0) -> tuple[int, int] | None:
        """Where the first of the phrases stands."""
        for at in range(start, len(words)):
            if words[at] in self._by_first:
                end = self.at(words, at)
                if end:
                    return at, end
        return None

    def covers(self, words: Sequence[str]) -> bool:
        """Whether the words are nothing but these phrases, one after the other."""
        at = 0
        while at < len(words):
            end = self.at(words, at)
            if not end:
                return False
            at = end
        return True


def _match(phrase: tuple[str, ...], words: Sequence[str], at: int) -> int:
    for index, part in enumerate(phrase):
        if part == GAP:
            return _after_gap(phrase[index + 1 :], words, at)
        if at >= len(words) or words[at] != part:
            return 0
        at += 1
    return at


def _after_gap(rest: tuple[str, ...], words: Sequence[str], at: int) -> int:
    for place in range(at + 1, min(at + WIDEST_GAP + 1, len(words))):
        if tuple(words[place : place + len(rest)]) == rest:
            return place + len(rest)
    return 0


def bag(*tables: str) -> frozenset[str]:
    """Single words of a table."""
    return frozenset(word for table in tables for word in table.replace(",", " ").split())


def join(written: Iterable[str]) -> str:
    """Words as written, in one line, without the punctuation that ends or opens a clause."""
    return " ".join(written).strip(" ,;:.!?-\u2013\u2014\u2026")
