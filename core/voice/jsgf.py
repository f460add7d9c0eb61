"""JSGF (JSpeech Grammar Format, W3C note of 2000), as much as the hub writes: words, `<rule>`, `[ ]`, `( )` and `|`.

A recogniser is given the text. It may end in the middle of a sentence, so what it heard is held against the same rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOKEN = re.compile(r"<[a-z]+>|[\[\]()|]|[^\s\[\]()|<>]+")
_CLOSING = {"[": "]", "(": ")"}
START = "said"


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of an expansion: its ways, each a row of words, of `<rule>` references and of further pieces."""

    ways: tuple[tuple[str | Node, ...], ...]


def parse(expansion: str) -> Node:
    """Read an expansion. Raises `ValueError` where a bracket is not closed."""
    tokens = iter(_TOKEN.findall(expansion))
    return _node(tokens, "")


def _node(pieces: Iterator[str], closing: str) -> Node:
    ways: list[tuple[str | Node, ...]] = []
    row: list[str | Node] = []
    for piece in pieces:
        if piece == closing:
            return Node((*ways, tuple(row)))
        if piece == "|":
            ways.append(tuple(row))
            row = []
        elif piece in _CLOSING:
            inner = _node(pieces, _CLOSING[piece])
            row.append(Node((*inner.ways, ())) if piece == "[" else inner)
        else:
            row.append(piece)
    if closing:
        raise ValueError(f"no {closing} closes the expansion")
    return Node((*ways, tuple(row)))


class Rules:
    """A grammar: expansions by the names of their rules. A sentence is what the rule `said` makes."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = rules
        self._nodes = {name: parse(expansion) for name, expansion in rules.items()}

    @property
    def text(self) -> str:
        """The grammar as JSGF."""
        lines = [f"{'public ' * (name == START)}<{name}> = {expansion};" for name, expansion in self._rules.items()]
        return "\n".join(["#JSGF V1.0;", "grammar timmy;", *lines, ""])

    @property
    def words(self) -> frozenset[str]:
        """Every word that can be said."""
        found = (_TOKEN.findall(expansion) for expansion in self._rules.values())
        return frozenset(token for tokens in found for token in tokens if token[0] not in "<[]()|")

    def accepts(self, words: Sequence[str]) -> bool:
        """Whether the words are a whole sentence of the grammar."""
        return len(words) in self._ends(self._nodes[START], words, 0)

    def _ends(self, part: str | Node, words: Sequence[str], at: int) -> set[int]:
        """The places up to which a part can reach from `at`."""
        if isinstance(part, Node):
            return {end for way in part.ways for end in self._row(way, words, at)}
        if part[0] == "<":
            return self._ends(self._nodes[part[1:-1]], words, at)
        return {at + 1} if at < len(words) and words[at] == part else set()

    def _row(self, row: Sequence[str | Node], words: Sequence[str], at: int) -> set[int]:
        ends = {at}
        for part in row:
            ends = {further for end in ends for further in self._ends(part, words, end)}
        return ends
