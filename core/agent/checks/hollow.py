"""A result of whatever field says something: more than its task, and more than the same again and again. Pure, linear."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from core.agent.checks.draft import asks, blocks, outside, quote

if TYPE_CHECKING:
    from core.agent.checks.draft import Draft

SAID_BACK = "It is the task itself, word for word. Do what the task asks for, and answer with what came of it."
THE_SAME = "More than half of it says again what it says already, such as {piece}, {times} times: say each thing once."

TIMES = 4
"""How often something is said, at least, in a text that says the same again and again; refrains are less of a text."""

_END = re.compile(r"[.!?;]+(?:\s+|$)|[。！？；؟۔।]+")  # noqa: RUF001 - as other scripts end a sentence
"""The end of a piece within a line; the full stop of `app.py` is none."""

_LEAST = 12
"""Letters and digits of a piece that is said again: what is shorter is a word of a table, or chords."""


def fault(draft: Draft) -> str:
    """Why a text is no result; empty where it may be one. Case, blanks and punctuation are nothing."""
    if (signs := _signs(draft.text)) and signs == _signs(draft.task):
        return SAID_BACK
    said, words = Counter[str](), dict[str, str]()
    for line in outside(draft.text, blocks(draft.text)):
        for piece in _END.split(line):
            if signs := _signs(piece):
                said[signs] += 1
                words[signs] = piece
    again = {signs: times - 1 for signs, times in said.items() if len(signs) >= _LEAST}
    pieces = sum(again.values())
    letters = sum(len(signs) * times for signs, times in again.items())
    if 2 * pieces <= said.total() or 2 * letters <= sum(len(signs) * times for signs, times in said.items()):
        return ""
    most = max(again, key=again.__getitem__)
    if said[most] < TIMES or asks(draft.task, "times", "repeat", "mal", "wiederhole") or _is_data(draft.text):
        return ""
    return THE_SAME.format(piece=quote(words[most]), times=said[most])


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _is_data(text: str) -> bool:
    """Whether it is JSON, whose rows have the same names."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
