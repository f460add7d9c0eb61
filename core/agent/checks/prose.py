"""Texts: the text alone, roughly as long as it was asked for, and in the language that was asked for."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from core.agent.checks.draft import MOST_FAULTS, Checked, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft

_PREFACE = re.compile(
    r"(?:sure|certainly|of course|absolutely|gladly|okay|ok|here(?:'s| is| are| you go)|below is"
    r"|i(?:'ve| have) (?:written|prepared|drafted)|natürlich|gerne|klar|hier ist|voici|bien sûr|aquí (?:está|tienes)|claro)\b",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"(?:let me know|i hope (?:this|that) |feel free|would you like|if you(?:'d| would) like|please let me|is there anything"
    r"|lass mich wissen|ich hoffe)",
    re.IGNORECASE,
)
_COUNTS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
    "einem": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "acht": 8, "zehn": 10,
}  # fmt: skip
_UNIT_WORDS = {
    "words": "word words wort worte wörter wörtern mots palabras",
    "sentences": "sentence sentences satz sätze sätzen",
    "lines": "line lines zeile zeilen",
    "paragraphs": "paragraph paragraphs absatz absätze absätzen",
    "characters": "character characters zeichen",
}
_UNITS = {word: unit for unit, said in _UNIT_WORDS.items() for word in said.split()}
_ASKED = re.compile(
    rf"(?P<how>\b(?:at most|no more than|not more than|up to|under|below|less than|fewer than|within|maximum|max|höchstens|maximal"
    rf"|at least|no less than|mindestens|exactly|genau)\b)?[ :]{{0,3}}\b(?P<count>\d{{1,5}}|{'|'.join(_COUNTS)})[ -]"
    rf"(?P<unit>{'|'.join(sorted(_UNITS, key=len, reverse=True))})\b",
    re.IGNORECASE,
)
_MOST_ASKED = 4
_SOMETHING_ELSES = frozenset(
    {"the", "first", "last", "these", "those", "this", "following", "every", "each", "die", "der", "ersten", "letzten"}
)
_OF_EACH = frozenset({"each", "per", "apart", "je", "pro"})
_LEAST = frozenset({"at least", "no less than", "mindestens"})
_SLACK = {
    "words": (0.6, 1.4),
    "characters": (0.5, 1.25),
    "sentences": (0.75, 1.34),
    "lines": (0.99, 1.01),
    "paragraphs": (0.99, 1.01),
}
"""How far what was asked for may be missed: people count sentences in more than one way, but not lines."""

_LANGUAGES = {
    "english": "the and of to is that in it for you with was are not this",
    "german": "der die das und ist nicht ein eine zu den mit auf für sich dem",
    "french": "le la les et est une des que pas dans pour vous avec sur du",
    "spanish": "el los las es una que del por con para no su se como y",
    "italian": "il gli è una che di per non con sono della del le anche si",
    "dutch": "het een en van niet is dat te met voor zijn op de aan ook",
    "portuguese": "o os as uma que não do da em para com é por mais um",
}
_NAME_WORDS = {
    "english": "english englisch englische",
    "german": "german deutsch deutsche",
    "french": "french französisch français",
    "spanish": "spanish spanisch español",
    "italian": "italian italienisch italiano",
    "dutch": "dutch niederländisch nederlands",
    "portuguese": "portuguese portugiesisch português",
}
_NAMES = {word: name for name, said in _NAME_WORDS.items() for word in said.split()}
_INTO = re.compile(rf"\b(?:in|into|to|auf|ins)\s+(?:simple |plain |einfachem )?({'|'.join(_NAMES)})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)*]{0,3}(?=\s|$)")  # noqa: RUF001
_KNOWN = {name: frozenset(said.split()) for name, said in _LANGUAGES.items()}
_FEWEST = 6
"""Words of a language that must be there before a text is called by it."""


class _Length(NamedTuple):
    unit: str
    least: float
    most: float
    said: str


def check(draft: Draft) -> Checked:
    """See the module."""
    text = _alone(draft.text)
    if not text:
        return Checked(draft.text, ("Only a preface was written: write the text itself.",))
    return Checked(text, tuple([*_language(draft, text), *_lengths(draft.task, text)][:MOST_FAULTS]))


def _alone(text: str) -> str:
    """A text without what models say before and after it."""
    paragraphs = text.strip().split("\n\n")
    first, _, rest = paragraphs[0].partition("\n")
    if _PREFACE.match(first.lstrip("*# ")) and first.rstrip("* ").endswith(":"):
        paragraphs[:1] = [rest] if rest else []
    while paragraphs and not paragraphs[0].strip("-*_ \n"):
        paragraphs.pop(0)
    if len(paragraphs) > 1 and _AFTERWORD.match(paragraphs[-1]):
        paragraphs.pop()
    while paragraphs and not paragraphs[-1].strip("-*_ \n"):
        paragraphs.pop()
    return "\n\n".join(paragraphs).strip()


def _lengths(task: str, text: str) -> Iterator[str]:
    for one in islice(_asked(task), _MOST_ASKED):
        count = _count(one.unit, text)
        if not one.least <= count <= one.most:
            better = "longer" if count < one.least else "shorter"
            yield f"The task asks for {one.said}, and the text has {count} {one.unit}: make it {better}."


def _asked(task: str) -> Iterator[_Length]:
    """The lengths that a task asks for; of a text that is there already a number says nothing."""
    for found in _ASKED.finditer(task):
        before, after = (
            words(task[max(0, found.start() - 20) : found.start()])[-1:],
            words(task[found.end() :][:20])[:1],
        )
        if not _SOMETHING_ELSES.isdisjoint(before) or not _OF_EACH.isdisjoint(after):
            continue
        count = int(found["count"]) if found["count"].isdigit() else _COUNTS[found["count"].lower()]
        unit = _UNITS[found["unit"].lower()]
        how = (found["how"] or "").lower()
        low, high = _SLACK[unit]
        if how in _LEAST:
            least, most = count * max(low, 0.9), float("inf")
        elif how and how not in {"exactly", "genau"}:
            least, most = 0.0, count * min(high, 1.1)
        else:
            least, most = count * low, count * high
        yield _Length(unit, least, most, found[0].strip(" :"))


def _count(unit: str, text: str) -> int:
    if unit == "words":
        return len(words(text))
    if unit == "characters":
        return len(text)
    if unit == "sentences":
        return len(_SENTENCE_END.findall(text)) or 1
    parts = re.split(r"\n[ \t]*\n", text) if unit == "paragraphs" else text.splitlines()
    return len([one for one in parts if one.strip() and not one.lstrip().startswith("#")])


def _language(draft: Draft, text: str) -> Iterator[str]:
    said = _speaks(text)
    if said is None:
        return
    wanted = [_NAMES[one.lower()] for one in _INTO.findall(draft.task)]
    if wanted and said not in wanted:
        yield f"The task asks for {wanted[-1].capitalize()}, and the text is {said.capitalize()}."
    elif not wanted and (spoken := {one for one in map(_speaks, draft.read) if one}) and said not in spoken:
        yield f"The text is {said.capitalize()}, but the task is not: keep the language."


def _speaks(text: str) -> str | None:
    """The language of a text, if its small words leave no doubt."""
    said = words(text[:20_000])
    counts = sorted(((sum(word in known for word in said), name) for name, known in _KNOWN.items()), reverse=True)
    (most, name), (second, _) = counts[:2]
    return name if most >= _FEWEST and most > 2 * second else None
