"""What a model thinks before it answers, told from its answer where the server leaves both in one text. Pure.

Only what an answer begins with is a thought: `<think>` further on, or in a code block, is something that the model says. Some
models' templates begin the thought themselves, so that nothing but its end is said (DeepSeek-R1, Qwen3-Thinking): what was said
before that was no answer. A thought without an end is no answer either.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from core.agent.model import Unsaid

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_HELD = 128 * 1024
"""Characters that are kept back until it is known whether they are a thought, at most."""

_TAGS = ("think", "thinking", "thought", "reasoning", "seed:think")
_MARKS = (
    *((f"<{tag}>", f"</{tag}>") for tag in _TAGS),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
)
"""As Qwen, DeepSeek and many others, Mistral, Kimi, Command A, and gpt-oss write it."""

_BEGINNINGS = tuple(begin.lower() for begin, _ in _MARKS)
_BEGIN = "|".join(re.escape(begin) for begin, _ in _MARKS)
_END = "|".join(re.escape(end) for _, end in _MARKS)
_IS_BEGIN = re.compile(_BEGIN, re.IGNORECASE)
_IS_END = re.compile(_END, re.IGNORECASE)
_IS_EITHER = re.compile(rf"(?P<begin>{_BEGIN})|{_END}", re.IGNORECASE)
_IS_ALONE = re.compile(rf"(?:\A|\n)[ \t]{{0,8}}(?:{_END})[ \t]{{0,8}}\n", re.IGNORECASE)
_IS_LAST = re.compile(rf"(?:\A|\n)[ \t]{{0,8}}(?:{_END})\s{{0,8}}\Z", re.IGNORECASE)
"""The end of a thought whose beginning was not said, as every template writes it: on a line of its own."""

_MOST_BLANK = 1000
"""Blanks before a thought, at most."""

_LONGEST = 64
"""Characters of a mark with what stands beside it, at most."""

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


class _At(Enum):
    START = auto()
    THOUGHT = auto()
    ANSWER = auto()


class Reasoning:
    """Hears an answer piece by piece. `begun`: the last answer of this model began within a thought, so this one may too."""

    def __init__(self, *, begun: bool = False) -> None:
        self.begun = begun
        """Whether this one did; that is sure once it is over."""
        self._at = _At.START
        self._text = ""
        self._held = "" if begun else None
        self._open = 0
        self._thought = False

    def hears(self, piece: str) -> Iterator[str | Unsaid]:
        """What is known to be the answer with this piece, if anything."""
        self._text += piece
        if self._held is not None:
            self._held += piece
            if len(self._held) > MOST_HELD:
                self._at, self._text, piece, self._held = _At.ANSWER, self._held, self._held, None
        if self._at is _At.START:
            yield from self._started()
        elif self._at is _At.THOUGHT:
            yield from self._thinking()
        else:
            yield piece
            yield from self._judged(_IS_END if self._thought else _IS_ALONE, len(piece))

    def calls(self) -> None:
        """It calls a tool: what was kept back was the thought before that."""
        self._held = None

    def over(self) -> Iterator[str | Unsaid]:
        """What was kept back to the end, and is no thought."""
        if self._at is _At.ANSWER:
            if not self._thought:
                yield from self._judged(_IS_LAST, 0)
            return
        self.begun = self.begun and (self._thought or self._held is None)
        kept = self._text if self._at is _At.START else self._held or ""
        if kept.strip():
            yield kept

    def _started(self) -> Iterator[str | Unsaid]:
        lead = self._text.lstrip()
        if (begin := _IS_BEGIN.match(lead)) is not None:
            self._at, self._text, self._held, self._open = _At.THOUGHT, lead[begin.end() :], None, 1
            self.begun = self.begun and self._thought
            yield from self._thinking()
        elif len(self._text) < _MOST_BLANK and any(one.startswith(lead.lower()) for one in _BEGINNINGS):
            return
        elif self._held is not None:
            self._at, self._open = _At.THOUGHT, 1
            yield from self._thinking()
        else:
            self._at, said = _At.ANSWER, lead if self._thought else self._text
            self._text = ""
            yield from self.hears(said)

    def _thinking(self) -> Iterator[str | Unsaid]:
        while (mark := _IS_EITHER.search(self._text)) is not None:
            self._text = self._text[mark.end() :]
            self._open += 1 if mark["begin"] else -1
            if not mark["begin"]:
                self._at, self._held, self._thought = _At.START, None, True
                yield from self._started()
                return
        self._text = self._text[-_LONGEST:]

    def _judged(self, end: re.Pattern[str], new: int) -> Iterator[str | Unsaid]:
        """Look for the end of a thought in an answer that is longer by `new` characters: then all of it was one so far."""
        if self._thought and not self._open:
            return
        ends = end.finditer(self._text, max(0, len(self._text) - new - _LONGEST))
        found = next((one for one in ends if not self._quoted(self._text[: one.start()])), None)
        if found is None:
            return
        self.begun = self.begun or not self._thought
        self._at, self._text = _At.START, self._text[found.end() :]
        self._open, self._thought = max(0, self._open - 1), True
        yield Unsaid.ALL
        yield from self._started()

    def _quoted(self, before: str) -> bool:
        """Whether a mark is no end of a thought but a part of what is said, behind this."""
        spoken_of = not self._thought and _IS_BEGIN.search(before) is not None
        return spoken_of or before.endswith("`") or len(_FENCE.findall(before)) % 2 == 1
