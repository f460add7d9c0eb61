"""What echo is to look for: quoted phrases and words, in the language of SQLite's FTS5."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.skills.errors import QueryMissing

_WORD = re.compile(r"\w*[^\W_]\w*")
_PHRASE = re.compile(r'["“”„«»]([^"“”„«»]{1,200})["“”„«»]')
_FILLER = frozenset({"a", "an", "the", "of", "in", "on", "to", "is", "are", "and", "or", "for", "it", "does", "do"})


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: quoted phrases must occur; words rank, and must all occur if any passage has them all.

    `said` are the words as they stand, with those that are too common to be looked for.
    """

    phrases: tuple[str, ...]
    words: tuple[str, ...]
    said: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Query:
        """Raises `QueryMissing` if nothing is left to look for."""
        quoted = _PHRASE.findall(text)
        rest = _PHRASE.sub(" ", text)
        words = _WORD.findall(rest)[:20]
        phrases = tuple(" ".join(_WORD.findall(phrase)) for phrase in quoted[:5])
        telling = tuple(word for word in words if word.casefold() not in _FILLER) or tuple(words)
        query = cls(tuple(filter(None, phrases)), telling, tuple(words))
        if not query.phrases and not query.words:
            raise QueryMissing
        return query

    def exact(self) -> str:
        """Everything must occur, the words in a row as they stand, in FTS5's language."""
        return " AND ".join(map(_quoted, (*self.phrases, *filter(None, [" ".join(self.said)]))))

    def strict(self) -> str:
        """Everything must occur, in FTS5's language."""
        return " AND ".join(map(_quoted, (*self.phrases, *self.words)))

    def loose(self) -> str:
        """The phrases must occur, and one of the words."""
        words = " OR ".join(map(_quoted, self.words))
        return " AND ".join([*map(_quoted, self.phrases), *([f"({words})"] if words else [])])


def _quoted(words: str) -> str:
    return f'"{words}"'
