"""What the words of a task ask of a chart: columns by their names, a step of time, an average. Pure, and without pandas.

The hub asks this of a table's first line before a persona bids, the child again of the table itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        "nice simple quick small big pretty good short new"
    )
)


def step_of(asked: Sequence[str]) -> str:
    """The step of time that is asked for, or ""."""
    return next((_STEP_WORDS[word] for word in asked if word in _STEP_WORDS), "")


def is_mean(asked: Sequence[str]) -> bool:
    """Whether an average is asked for."""
    return not _MEANS.isdisjoint(asked)


def named(columns: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The columns that the words name, each word one: by a part of its name, or else by what people also say for it."""
    found: list[str] = []
    for word in asked:
        ways = (word, *_SAME.get(word, ()))
        found += next(filter(None, ([name for name in columns if _names(way, name)] for way in ways)), [])[:1]
    return list(dict.fromkeys(found))


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
    first, *rest = _CLAUSE.split(text.casefold())
    yield first
    for opener, clause in zip(rest[::2], rest[1::2], strict=True):
        aside = aside if opener in _GOES_ON else opener in _ASIDE
        if not aside:
            yield clause


def _names(word: str, column: str) -> bool:
    singular = word.removesuffix("s")
    return any(part.removesuffix("s") == singular for part in words_of(column))
