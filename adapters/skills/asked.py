"""What the words of a task ask of a chart: columns by their names, a step of time, a median. Pure, and without pandas.

The hub asks this of a table's first line before a persona bids, the child again of the table itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STEPS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
"""Steps of time, and what pandas calls them."""

_STEP_WORDS = {"daily": "day", **{f"{step}{ending}": step for step in STEPS for ending in ("", "s", "ly")}}
_HOWS = {
    **dict.fromkeys(("total", "totals", "sum", "sums"), "sum"),
    **dict.fromkeys(("average", "averages", "mean", "avg", "typical"), "mean"),
    **dict.fromkeys(("median", "medians"), "median"),
    **dict.fromkeys(("minimum", "minima", "min", "lowest", "smallest"), "min"),
    **dict.fromkeys(("maximum", "maxima", "max", "highest", "largest", "biggest"), "max"),
    **dict.fromkeys(("count", "counts"), "count"),
}
"""Words for how many rows become one number, and what pandas calls it."""

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
_FOR_WHOM = frozenset({"for", "from", "to", "with", "on", "at", "so", "that"})
"""What may open a clause that is no part of the request: `for my boss`."""

_ONLY = frozenset({"only", "just"})
_THIS_TIME = re.compile(r"\b(?:this|current) (?:day|week|month|quarter|year)\b")
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
        "nice simple quick small big pretty good short new many count counts donut one only just shows showing what s png "
        "workspace which has have had did does much made sold"
    )
)

_KNOWN = _FILLER | _HOWS.keys()
_NARROWING = frozenset(
    words_of(
        "where when whose top bottom first last past previous next recent latest since before after until till between "
        "except excluding without not above below under than least most today yesterday "
        "january february march april may june july august september october november december"
    )
)


def step_of(asked: Sequence[str]) -> str:
    """The step of time that is asked for, or ""."""
    return next((_STEP_WORDS[word] for word in asked if word in _STEP_WORDS), "")


def hows(columns: Sequence[str], text: str) -> list[str]:
    """How many rows are to become one number: `mean`, `median`, `min`, `max`, `count`, or nothing said; more cannot be done.

    What stands in the name of a column is meant only where no other word says it: `average max temp`.
    """
    free: list[str] = []
    inside: list[str] = []
    for _, clause in _opened(text):
        for column, run in _runs(columns, words_of(clause)):
            into = inside if column and words_of(column) == run else free
            into += [_HOWS[word] for word in run if word in _HOWS]
    found = free or [how for how in inside if how != "count"]
    return [how for how in dict.fromkeys(found) if how != "sum"]


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
    is_against = False
    for opener, clause in _opened(text):
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
    found = [(column, _is_plain(run)) for column, run in _runs(columns, asked) if column]
    sure = [column for column, is_plain in found if not is_plain]
    return list(dict.fromkeys(sure or [column for column, _ in found]))


def _is_plain(run: Sequence[str]) -> bool:
    """Whether the words that name a column are one that is said without meaning a column, too."""
    return len(run) == 1 and run[0] in _KNOWN


def _runs(columns: Sequence[str], asked: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The words, one after the other, each with the column that it names, or ""; those of a whole name together."""
    whole = {tuple(map(_singular, words_of(name))): name for name in reversed(columns)}
    whole = {tuple(map(_singular, words_of(_BRACKETS.sub(" ", name)))): name for name in reversed(columns)} | whole
    lengths = sorted({len(words) for words in whole if words}, reverse=True)
    parts = {name: list(map(_singular, words_of(name))) for name in columns}
    sure: list[str] = []
    place = 0
    while place < len(asked):
        keys = (tuple(map(_singular, asked[place : place + length])) for length in lengths)
        key = next((key for key in keys if key in whole), ())
        run = list(asked[place : place + (len(key) or 1)])
        column = whole[key] if key else _by_a_word(parts, asked[place], sure)
        if column and not _is_plain(run):
            sure.append(column)
        yield column, run
        place += len(run)


def unheeded(columns: Sequence[str], text: str, cells: Iterable[str] = ()) -> str:
    """What the words ask for that no chart can do, as they say it; "" if there is nothing.

    That is to leave rows out, to reduce them in two ways, to measure a column by itself, and whatever is not known here
    beside what is. A clause such as `for my boss` is no such thing, unless it names a column or one of the `cells`.
    """
    if this_time := _THIS_TIME.search(text.casefold()):
        return this_time[0]
    for opener, clause in _opened(text):
        asked = words_of(clause)
        runs = list(_runs(columns, asked))
        left = [place for place, word in _alone(runs) if word not in _KNOWN and word not in _STEP_WORDS]
        if left and _is_meant(opener, asked, runs, [asked[place] for place in left], cells):
            return " ".join([opener, *asked] if opener in _ASIDE else asked[left[0] : left[-1] + 1])
    if len(ways := hows(columns, text)) > 1:
        return " and ".join(ways)
    said = roles(columns, text)
    return next((f"{name} by {name}" for name in said.measured if name in said.by), "")


def _alone(runs: Iterable[tuple[str, Sequence[str]]]) -> Iterator[tuple[int, str]]:
    """The words that name no column, each with its place among all of them."""
    place = 0
    for column, run in runs:
        if not column:
            yield place, run[0]
        place += len(run)


def _is_meant(
    opener: str, asked: Sequence[str], runs: Sequence[tuple[str, object]], left: Sequence[str], cells: Iterable[str]
) -> bool:
    """Whether words that are `left` over in a clause ask for something of a chart."""
    if not _NARROWING.isdisjoint(left) or not _ONLY.isdisjoint(asked) or any(map(str.isdecimal, left)):
        return True
    if any(column for column, _ in runs) or step_of(asked) or opener in _ASIDE - _FOR_WHOM:
        return True
    said = f" {' '.join(left)} "
    return opener in _ASIDE and any(f" {' '.join(words)} " in said for cell in cells if (words := words_of(cell)))


def unknown(columns: Sequence[str], text: str) -> str:
    """What stands in the place of a column and is none, in the words that ask for a chart; "" if all is known."""
    for words in map(words_of, _clauses(text)):
        left = [word for word in words if word not in _KNOWN and not word.isdecimal()]
        if left and not named(columns, words) and not step_of(words):
            return " ".join(left)
    return ""


def _clauses(text: str) -> Iterator[str]:
    """The parts of a text that name columns: what is for, from, in or as something else is said aside."""
    for opener, clause in _opened(text):
        if opener not in _ASIDE:
            yield clause


def _opened(text: str) -> Iterator[tuple[str, str]]:
    """The clauses of a text, each with the word that opens it, which holds for what `and` adds to it; the first after ""."""
    first, *rest = _CLAUSE.split(text.casefold())
    opener = ""
    yield opener, first
    for mark, clause in zip(rest[::2], rest[1::2], strict=True):
        opener = opener if mark in _GOES_ON else mark
        yield opener, clause


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
