"""Sentences of a document, and which of them say the most.

Segmentation is sentencex (Wikimedia: rules for abbreviations, initials, quotes). Ranking is LexRank (Erkan and Radev
2004, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", continuous form) over stems, and
each pick lowers what repeats it (Carbonell and Goldstein 1998, maximal marginal relevance).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import snowballstemmer
from sentencex import segment

from adapters.skills.blocks import UNSPACED, Role, count_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from adapters.skills.blocks import Document

MOST_SENTENCES = 2_000
"""How many sentences are ranked; a longer document is ranked by its first ones, and the answer says so."""

_MOST_STEMS = 5_000  # rarer ones link no sentences, and would make the matrix large
FEWEST_WORDS = 3
"""How many words a sentence needs to be chosen; one of fewer says little by itself."""

_STOPS, _CLOSING = "。\uff01\uff1f", "」』\uff09\u201d"
_ENDS = (".", "!", "?", "…", *_STOPS)
_FULL_STOP = re.compile(
    rf"(?<=[{_STOPS}])(?![{_STOPS}{_CLOSING}])|(?<=[{_STOPS}][{_CLOSING}])(?![\u3040-\u309f、\uff0c])"
)
"""Where Japanese and Chinese end a sentence; what is quoted may go on: 「はい。」と言った。"""

_DAMPING = 0.85
_ROUNDS = 50
_NOVELTY = 0.6
_LEAD = 1.2
_ABBREVIATIONS = tuple(f" {word}." for word in ("approx", "ca", "cf", "est", "excl", "incl", "max", "min", "resp"))
_COMMON = frozenset(
    {
        *(
            "the",
            "and",
            "for",
            "are",
            "was",
            "were",
            "with",
            "that",
            "this",
            "from",
            "have",
            "has",
            "had",
            "not",
            "but",
        ),
        *(
            "you",
            "your",
            "its",
            "they",
            "them",
            "their",
            "there",
            "which",
            "who",
            "what",
            "when",
            "where",
            "how",
            "all",
        ),
        *("can", "will", "would", "may", "more", "most", "into", "than", "then", "also", "been", "our", "out", "one"),
    }
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence; `leads` is true for the first one of a paragraph, `listed` for one of a list."""

    text: str
    leads: bool
    listed: bool


def sentences_of(document: Document) -> tuple[list[Sentence], bool]:
    """The sentences of paragraphs and list items in order, `MOST_SENTENCES` and one at most, and whether any was too short.

    Headings and code are none; those of few words are left out.
    """
    found: list[Sentence] = []
    is_any_short = False
    for block in document.blocks:
        if len(found) > MOST_SENTENCES:
            break
        if block.role in {Role.PARAGRAPH, Role.ITEM}:
            listed = block.role is Role.ITEM
            parts = _sentences(block.text)
            long = [part for part in parts if count_words(part) >= FEWEST_WORDS]
            is_any_short |= any(part.endswith(_ENDS) for part in parts if count_words(part) < FEWEST_WORDS)
            found += [Sentence(part, leads=part is parts[0] and not listed, listed=listed) for part in long]
    return found[: MOST_SENTENCES + 1], is_any_short


def _sentences(text: str) -> list[str]:
    """Sentencex's pieces, put together again where it ends one after an abbreviation that it does not know.

    Japanese and Chinese end a sentence with a mark of their own, and no blank behind it.
    """
    sentences: list[str] = []
    pieces = (piece.strip() for part in _FULL_STOP.split(text) for piece in _pieces(part))
    for piece in filter(None, pieces):
        if sentences and (piece[:1].islower() or sentences[-1].casefold().endswith(_ABBREVIATIONS)):
            sentences[-1] += f" {piece}"
        else:
            sentences.append(piece)
    return sentences


def _pieces(text: str) -> Iterable[str]:
    """What stands between two such full stops: one sentence, or several of another language."""
    return segment("en", text) if ". " in text or not UNSPACED.search(text) else [text]


def best(sentences: Sequence[Sentence], wanted: int, title: str) -> list[int]:
    """The places of the `wanted` sentences that together say the most, in the order of the document."""
    bags = [_stems(sentence.text) for sentence in sentences]
    vectors = _vectors(bags)
    alike = vectors @ vectors.T
    worth = _centrality(alike) * _emphasis(sentences, bags, _stems(title))
    worth /= worth.max()
    chosen: list[int] = []
    nearest = np.zeros(len(sentences))
    for _ in range(min(wanted, len(sentences))):
        score = worth - _NOVELTY * nearest
        score[chosen] = -np.inf
        pick = int(score.argmax())
        chosen.append(pick)
        nearest = np.maximum(nearest, alike[pick])
    return sorted(chosen)


def _stems(text: str) -> list[str]:
    words = [word for word in re.findall(r"[^\W\d_]{3,}", text.casefold()) if word not in _COMMON]
    pairs = [
        text[at : at + 2] for at in range(len(text) - 1) if UNSPACED.match(text, at) and UNSPACED.match(text, at + 1)
    ]
    return [*snowballstemmer.stemmer("english").stemWords(words), *pairs]


def _vectors(bags: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """A unit TF-IDF vector for each bag of stems; one without stems is all zero."""
    common = Counter(stem for bag in bags for stem in bag).most_common(_MOST_STEMS)
    column = {stem: place for place, (stem, _) in enumerate(common)}
    counts = np.zeros((len(bags), max(1, len(column))))
    for row, bag in enumerate(bags):
        for stem in column.keys() & set(bag):
            counts[row, column[stem]] = bag.count(stem)
    weight = np.log((1 + len(bags)) / (1 + np.count_nonzero(counts, axis=0))) + 1
    vectors = counts * weight
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))


def _centrality(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stationary distribution of a walk from sentence to similar sentence."""
    size = len(alike)
    sums = alike.sum(axis=1, keepdims=True)
    steps = np.divide(alike, sums, out=np.full_like(alike, 1 / size), where=sums > 0)
    rank = np.full(size, 1 / size)
    for _ in range(_ROUNDS):
        rank = (1 - _DAMPING) / size + _DAMPING * (rank @ steps)
    return np.asarray(rank)


def _emphasis(
    sentences: Sequence[Sentence], bags: Sequence[Sequence[str]], title: Sequence[str]
) -> NDArray[np.float64]:
    """Writers put what matters first and name it in the title; scraps and monsters read badly."""
    factors = np.ones(len(sentences))
    for place, (sentence, bag) in enumerate(zip(sentences, bags, strict=True)):
        factors[place] *= _LEAD if sentence.leads else 1
        factors[place] *= _LEAD if place == 0 else 1
        factors[place] *= _LEAD if not set(title).isdisjoint(bag) else 1
        factors[place] *= 0.7 if sentence.listed else 1
        factors[place] *= 1 if 6 <= count_words(sentence.text) <= 40 else 0.7  # noqa: PLR2004 - words, by taste
        factors[place] *= 0.7 if sentence.text.endswith(("?", ":")) else 1
    return factors
