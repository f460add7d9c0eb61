"""What may be said to the hub now, as a grammar: the phrases of its commands, with the names that it knows at the moment.

A name that is not said as it is written (`welcome.md`, `quill-2`) is one word of the grammar, and beside it stands how it
is said, so that what is heard is what would be typed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from core.language.numbers import TENS, UNITS
from core.voice.jsgf import START, Rules
from core.voice.phrases import ANSWERS, PHRASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_NAMES = 60
"""Names of one sort that are listened for: each one more makes the others easier to mistake."""

MOST_LETTERS = 40
_SLOT = re.compile(r"<([a-z]+)>")
_PARTS = re.compile(r"[a-z]+|[0-9]+|\.")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LETTERS = 3
"""An ending of a file is spelt up to this many letters: `md` is said "m d"."""

_UNIT = [word for word, value in UNITS.items() if 0 < value < 10]  # noqa: PLR2004
_TEEN = [word for word, value in UNITS.items() if value >= 10]  # noqa: PLR2004
_TENS = [word for word in TENS if word != "fourty"]
_NUMBERS = {
    "unit": " | ".join(_UNIT),
    "below": f"<unit> | {' | '.join(_TEEN)} | ({' | '.join(_TENS)}) [<unit>]",
    "sats": "<below> | <unit> hundred [[and] <below>] | <below> thousand [<unit> hundred] [[and] <below>]",
    "count": "<below>",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What the hub knows now, the newest first where there is an order: agents, personas, people, files, task numbers."""

    agents: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Grammar:
    """Rules, and how those of their words are said that are not said as they are written."""

    rules: Rules
    sounds: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=8)
def grammar(commands: frozenset[str], names: Names) -> Grammar:
    """What can be said to a hub that has these commands and knows these names."""
    sounds: dict[str, str] = {}
    slots = dict(_NUMBERS)
    for slot, some in (
        ("agent", names.agents), ("persona", names.personas), ("person", names.people), ("file", names.files),
    ):  # fmt: skip
        spoken = dict(_spoken(some))
        slots[slot] = " | ".join(spoken)
        sounds |= {written: said for written, said in spoken.items() if written != said}
    slots["task"] = " | ".join(map(say_number, sorted(n for n in names.tasks[:MOST_NAMES] if 0 < n < 1000)))  # noqa: PLR2004
    slots = {name: expansion for name, expansion in slots.items() if expansion}
    phrases = [
        phrase
        for command, some in PHRASES.items()
        if command in commands
        for phrase in some
        if slots.keys() >= set(_SLOT.findall(phrase))
    ]
    said = f"[timmy] [please] ({' | '.join(phrases)}) [please] | {' | '.join(ANSWERS)}"
    return Grammar(Rules({START: said, **slots}), sounds)


def say_number(number: int) -> str:
    """A number from 1 to 999 in words: 42 -> "forty two"."""
    hundreds, rest = divmod(number, 100)
    tens, unit = divmod(rest, 10)
    words = [_UNIT[hundreds - 1], "hundred"] if hundreds else []
    if tens == 1:
        words.append(_TEEN[unit])
    else:
        words += [_TENS[tens - 2]] * (tens > 0) + [_UNIT[unit - 1]] * (unit > 0)
    return " ".join(words)


def _spoken(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Names that can be said, as they are written and as they are said; the others cannot be named by voice."""
    for name in list(names)[:MOST_NAMES]:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        if plain == name.lower() and len(plain) <= MOST_LETTERS and _NAME.fullmatch(plain):
            yield name, _sound(plain)


def _sound(name: str) -> str:
    """`welcome.md` -> "welcome dot m d", `quill-2` -> "quill two", `report-2026.csv` -> "report two zero two six dot c s v"."""
    words: list[str] = []
    for part in _PARTS.findall(name):
        if part.isdecimal():
            words += [say_number(int(part))] if 0 < int(part) < 100 else [_DIGITS[int(one)] for one in part]  # noqa: PLR2004
        elif words[-1:] == ["dot"] and len(part) <= _LETTERS:
            words += part
        else:
            words.append("dot" if part == "." else part)
    return " ".join(words)


_DIGITS = ["zero", *_UNIT]
