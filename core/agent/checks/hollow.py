"""A result of whatever field says something: more than its task, and more than the same again and again. Pure, linear."""

from __future__ import annotations

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

_PIECE = re.compile(r"[^\n.!?;]+")
_LEAST = 12
"""Letters and digits of a piece that is said again: what is shorter is a word of a table, or chords."""


def fault(draft: Draft) -> str:
    """Why a text is no result; empty where it may be one. Case, blanks and punctuation are nothing."""
    if _signs(draft.text) == _signs(draft.task):
        return SAID_BACK
    said = Counter(
        signs
        for line in outside(draft.text, blocks(draft.text))
        for piece in _PIECE.findall(line)
        if len(signs := _signs(piece)) >= _LEAST
    )
    whole = sum(len(signs) * times for signs, times in said.items())
    again = sum(len(signs) * (times - 1) for signs, times in said.items())
    if 2 * again <= whole or asks(draft.task, "times", "repeat", "mal", "wiederhole"):
        return ""
    signs, times = said.most_common(1)[0]
    if times < TIMES:
        return ""
    piece = next(one for one in _PIECE.findall(draft.text) if _signs(one) == signs)
    return THE_SAME.format(piece=quote(piece), times=times)


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
