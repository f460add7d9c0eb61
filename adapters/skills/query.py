"""What somebody searches for, as a query in the language of SQLite's FTS5, and as text to be looked for as it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.skills.blocks import UNSPACED
from adapters.skills.errors import QueryMissing

_WORD = re.compile(r"\w*[^\W_]\w*")
_PLAIN = re.compile(r"[\w\s'\u2019-]*")
_PHRASE = re.compile(r'["“”„«»]([^"“”„«»]{1,200})["“”„«»]')
_AROUND = " ,.;:!?'`()[]_\"“”„«»"
_FILLER = frozenset({"a", "an", "the", "of", "in", "on", "to", "is", "are", "and", "or", "for", "it", "does", "do"})


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: quoted phrases must occur; words rank, and must all occur if any passage has them all.

    `said` are the words as they stand, with those that are too common to be looked for. `literals` have signs in them
    (`C++`, `a/b`), or are of a script without blanks, which FTS5 cannot tell apart: they must occur just so, in any case.
    """

    phrases: tuple[str, ...]
    words: tuple[str, ...]
    said: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Query:
        """Raises `QueryMissing` if nothing is left to look for."""
        quoted = [phrase.strip() for phrase in _PHRASE.findall(text)[:5]]
        terms = [_bare(term) for term in _PHRASE.sub(" ", text).split()[:20]]
        words = [word for term in terms if _is_plain(term) for word in _WORD.findall(term)]
        phrases = tuple(" ".join(_WORD.findall(phrase)) for phrase in quoted if _is_plain(phrase))
        signs = [phrase for phrase in quoted if phrase and not _WORD.search(phrase)]
        literals = tuple(map(_folded, dict.fromkeys([*signs, *(t for t in (*quoted, *terms) if not _is_plain(t))])))
        telling = tuple(word for word in words if word.casefold() not in _FILLER) or tuple(words)
        query = cls(tuple(filter(None, phrases)), telling, tuple(words), literals)
        if not query.phrases and not query.words and not query.literals:
            raise QueryMissing
        return query

    def is_held(self, passage: str) -> bool:
        """Whether a passage has all literals."""
        if not self.literals:
            return True
        folded = _folded(passage)
        return all(literal in folded for literal in self.literals)

    def exact(self) -> str:
        """Everything must occur, the words in a row as they stand, in FTS5's language."""
        return " AND ".join(map(_quoted, (*self.phrases, *filter(None, [" ".join(self.said)]))))

    def strict(self) -> str:
        """Everything must occur, in FTS5's language."""
        return " AND ".join(map(_quoted, (*self.phrases, *self.words)))

    def loose(self) -> str:
        """The phrases must occur, and one of the words, unless there are literals to find it by."""
        words = "" if self.literals else " OR ".join(map(_quoted, self.words))
        return " AND ".join([*map(_quoted, self.phrases), *([f"({words})"] if words else [])])


def _bare(term: str) -> str:
    """A term without the marks of the sentence that it stands in: `(C++),` is `C++`, `main()` and `.env` stay."""
    bare = term.strip(_AROUND)
    return term.rstrip(",.;:!?") if bare and (f".{bare}" in term or f"{bare}()" in term) else bare


def _is_plain(text: str) -> bool:
    """Whether words and their order are all there is to a text."""
    return _PLAIN.fullmatch(text) is not None and not UNSPACED.search(text)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _quoted(words: str) -> str:
    return f'"{words}"'
