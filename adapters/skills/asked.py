"""What the words of a task ask of a chart: columns by their names, a step of time, an average. Pure, and without pandas.

The hub asks this of a table's first line before a persona bids, the child again of the table itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STEPS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
"""Steps of time, and what pandas calls them."""

_STEP_WORDS = {"daily": "day", **{f"{step}{ending}": step for step in STEPS for ending in ("", "s", "ly")}}
_MEANS = frozenset({"average", "mean", "avg", "typical"})
_SAME = {
    "sales": ("revenue", "amount", "turnover", "total", "units"),
    "money": ("revenue", "amount", "price", "cost"),
    "income": ("revenue", "amount"),
    "time": ("date",),
}
_WORD = re.compile(r"[^\W_]+")
_CLAUSE = re.compile(
    r"([,;&+]|\b(?:by|per|against|versus|vs|over|across|of|and|or|for|from|in|as|to|with|on|at|so|that)\b)"
)
_ASIDE = frozenset({"for", "from", "in", "as", "to", "with", "on", "at", "so", "that"})
_GOES_ON = frozenset({"and", "or", ",", ";", "&", "+"})
_BY = frozenset({"by", "per", "over", "across", "against", "versus", "vs"})
_AGAINST = frozenset({"against", "versus", "vs"})
_ROWS = frozenset({"row", "rows", "count", "counts", "many"})
_FORMS = {
    **dict.fromkeys(("pie", "donut"), "a pie"),
    **dict.fromkeys(("bar", "bars"), "bars"),
    **dict.fromkeys(("line", "lines"), "lines"),
    **dict.fromkeys(("histogram", "distribution", "spread"), "a histogram"),
    "scatter": "points",
}
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that the words name: to be measured, to be grouped by, or said aside (`for each region`)."""

    measured: tuple[str, ...]
    by: tuple[str, ...]
    aside: tuple[str, ...]
    is_against: bool = False


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.casefold())


_FILLER = frozenset(
    words_of(
        "a an the my our your their its this these me us you i it please kindly thanks can could would want need let timmy "
        "hey hi seer draw make give create show see do run get use using chart charts plot plots plotting graph graphs "
        "diagram diagrams visualise visualize histogram scatter bar bars line lines pie picture pictures image column columns "
        "row rows table file data sheet values value figures figure numbers number total totals sum sums grouped group each "
        "every all both time trend trends development how is are was were spread distribution compare compared comparing "
        "nice simple quick small big pretty good short new many count counts donut"
    )
)


def step_of(asked: Sequence[str]) -> str:
    """The step of time that is asked for, or ""."""
    return next((_STEP_WORDS[word] for word in asked if word in _STEP_WORDS), "")


def is_mean(asked: Sequence[str]) -> bool:
    """Whether an average is asked for."""
    return not _MEANS.isdisjoint(asked)


def is_count(asked: Sequence[str]) -> bool:
    """Whether the rows are to be counted, if no column is named to be measured."""
    return not _ROWS.isdisjoint(asked)


def is_over_time(asked: Sequence[str]) -> bool:
    """Whether it is to be drawn over time, in steps of any length."""
    return "time" in asked


def form_of(columns: Sequence[str], asked: Sequence[str]) -> str:
    """The form of picture that is asked for, or ""; what is in the name of a column asks for none."""
    taken = set(words_of(" ".join(columns)))
    return next((_FORMS[word] for word in asked if word in _FORMS and word not in taken), "")


def roles(columns: Sequence[str], text: str) -> Roles:
    """Which columns a text names, and as what: after `by` to be grouped by, else to be measured."""
    measured: list[str] = []
    by: list[str] = []
    aside: list[str] = []
    into, is_against = measured, False
    for opener, clause in _opened(text):
        if opener not in _GOES_ON:
            into = by if opener in _BY else aside if opener in _ASIDE else measured
        found = named(columns, words_of(clause))
        into += found
        is_against |= bool(found) and opener in _AGAINST
    return Roles(tuple(dict.fromkeys(measured)), tuple(dict.fromkeys(by)), tuple(dict.fromkeys(aside)), is_against)


def named(columns: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The columns that the words name, each once, in the order of the words.

    A column is named by its whole name, with or without what it has in brackets; else by its beginning or another word
    of it, or by what people also say for it. A word such as `total` names one only where no other word does.
    """
    whole = {tuple(map(_singular, words_of(name))): name for name in reversed(columns)}
    whole = {tuple(map(_singular, words_of(_BRACKETS.sub(" ", name)))): name for name in reversed(columns)} | whole
    lengths = sorted({len(words) for words in whole if words}, reverse=True)
    parts = {name: list(map(_singular, words_of(name))) for name in columns}
    sure: list[str] = []
    doubtful: list[str] = []
    place = 0
    while place < len(asked):
        runs = (tuple(map(_singular, asked[place : place + length])) for length in lengths)
        run = next((run for run in runs if run in whole), ())
        column = whole[run] if run else _by_a_word(parts, asked[place], sure)
        if column:
            is_plain = len(run) <= 1 and asked[place] in _FILLER | _MEANS
            (doubtful if is_plain else sure).append(column)
        place += len(run) or 1
    return list(dict.fromkeys(sure or doubtful))


def unknown(columns: Sequence[str], text: str) -> str:
    """What stands in the place of a column and is none, in the words that ask for a chart; "" if all is known."""
    for words in map(words_of, _clauses(text)):
        left = [word for word in words if word not in _FILLER | _MEANS and not word.isdecimal()]
        if left and not named(columns, words) and not step_of(words):
            return " ".join(left)
    return ""


def _clauses(text: str) -> Iterator[str]:
    """The parts of a text that name columns: what is for, from, in or as something else is said aside."""
    aside = False
    for opener, clause in _opened(text):
        aside = aside if opener in _GOES_ON else opener in _ASIDE
        if not aside:
            yield clause


def _opened(text: str) -> Iterator[tuple[str, str]]:
    """The clauses of a text, each after the word or mark that opens it; the first after ""."""
    first, *rest = _CLAUSE.split(text.casefold())
    return zip(("", *rest[::2]), (first, *rest[1::2]), strict=True)


def _by_a_word(parts: Mapping[str, Sequence[str]], word: str, found: Sequence[str]) -> str:
    """The column that a word names alone: one that was found already, that begins with it, or has it; "" for none."""
    for way in (word, *_SAME.get(word, ())):
        having = [name for name, words in parts.items() if _singular(way) in words]
        again = [name for name in having if name in found]
        first = [name for name in having if parts[name][0] == _singular(way)]
        if having:
            return (again or first or having)[0]
    return ""


def _singular(word: str) -> str:
    return word.removesuffix("s")
