"""Words and phrases: a sentence as the rules see it, and tables of phrases that find their place in it.

A word is lower case, without apostrophes and without the punctuation around it: "Don't!" is `dont`. The text as written
stays beside it, for what is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

APOSTROPHES = str.maketrans("\u2018\u2019\u02bc`", "''''")
AROUND = ".,!?;:\"()[]{}<>*\u201c\u201d\u201e\u00ab\u00bb\u2026\u2013\u2014'"
"""What may stand around a word and is no part of it."""

Tree: TypeAlias = "dict[str, Tree]"
GAP = "..."
END = ""
NOTHING: Tree = {}
LEAF: Tree = {END: NOTHING}
"""Where a phrase ends and none goes on: one for all of them, for a third of the nodes are this."""
WIDEST_GAP = 7
"""How many words a `...` of a phrase may stand for."""


def split(text: str) -> tuple[list[str], list[str]]:
    """A text as its words, and the same as they were written."""
    written = text.split()
    return [_word(one) for one in text.translate(APOSTROPHES).lower().split()], written


def _word(written: str) -> str:
    return written.strip(AROUND).replace("'", "")


class Phrases:
    """A table of phrases between commas. `...` stands for one to seven words: `send ... back`.

    The phrases are kept as a tree of words, so that looking costs one step a word however many there are.
    """

    def __init__(self, *tables: str) -> None:
        tree: Tree = {}
        for table in tables:
            for phrase in table.split(","):
                node = tree
                for word in phrase.split():
                    node = node.setdefault(word, {})
                node[END] = NOTHING
        tree.pop(END, None)
        self._tree = _lean(tree)
        self.lasts = frozenset(phrase.split()[-1] for table in tables for phrase in table.split(",") if phrase.strip())
        """The words that a phrase may end with."""
        self.firsts = frozenset(self._tree)
        """The words that a phrase may begin with."""

    def at(self, words: Sequence[str], at: int) -> int:
        """The place after the longest phrase that begins at a word; 0 if none does. A gap is as short as it can be."""
        if at >= len(words) or words[at] not in self._tree:
            return 0
        return _walk(self._tree, words, at)

    def find(self, words: Sequence[str], start: int = 0) -> tuple[int, int] | None:
        """Where the first of the phrases stands."""
        tree = self._tree
        for at in range(start, len(words)):
            if words[at] in tree:
                end = _walk(tree, words, at)
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


def _lean(node: Tree) -> Tree:
    """The same tree in less than half the memory."""
    return LEAF if node == LEAF else {word: _lean(child) if child else child for word, child in node.items()}


def _walk(node: Tree, words: Sequence[str], at: int) -> int:
    best, last = 0, len(words)
    while at < last:
        if GAP in node:
            best = _after_gap(node[GAP], words, at) or best
        if words[at] not in node:
            return best
        node = node[words[at]]
        at += 1
        if END in node:
            best = at
    return best


def _after_gap(node: Tree, words: Sequence[str], at: int) -> int:
    """The place after what follows a gap. No phrase has two, so this looks no further than a gap is wide."""
    ends = (_walk(node, words, place) for place in range(at + 1, min(at + WIDEST_GAP + 1, len(words))))
    return next((end for end in ends if end), 0)


def bag(*tables: str) -> frozenset[str]:
    """Single words of a table."""
    return frozenset(word for table in tables for word in table.replace(",", " ").split())


def join(written: Iterable[str]) -> str:
    """Words as written, in one line, without the punctuation that ends or opens a clause."""
    return " ".join(written).strip(" ,;:.!?-\u2013\u2014\u2026")
