"""What a model thinks before it answers, told from its answer where the server leaves both in one text. Pure.

Only what an answer begins with is a thought: `<think>` further on, or in a code block, is something that the model says. Some
models' templates begin the thought themselves, so that nothing but its end is said (DeepSeek-R1, Qwen3-Thinking): what was said
before a lone `</think>` was no answer, unless nothing follows it. Where the conversation speaks of that mark, an answer may well
do so too: there only a model that was seen to begin so does. A thought without an end is no answer either.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from core.agent.model import ModelRepeats, Unsaid
from core.agent.repeating import Repetition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.agent.model import ChatMessage

MOST_HELD = 16 * 1024
"""Characters that are kept back until it is known whether they are a thought, at most; then they are said, as an answer."""

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
_LONE = r"(?:\A|\n)[ \t]{0,8}</think>"
_IS_ALONE = re.compile(rf"{_LONE}[ \t]{{0,8}}\n")
_IS_LAST = re.compile(rf"{_LONE}\s{{0,8}}\Z")
"""The end of a thought whose beginning was not said, as those templates have it written: that mark, on a line of its own."""

_NAMES = "think>"
"""Whoever writes of that mark, or of the one before it, writes this."""

_MOST_BLANK = 1000
"""Blanks before a thought, at most."""

_LONGEST = 64
"""Characters of a mark with what stands beside it, at most."""

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


def about_thoughts(messages: Sequence[ChatMessage]) -> bool:
    """Whether these speak of the marks of a thought, so that the answer may."""
    return any(_NAMES in message.text.lower() for message in messages)


class _At(Enum):
    START = auto()
    THOUGHT = auto()
    ANSWER = auto()


class Reasoning:
    """Hears an answer piece by piece. `begun`: the last answer of this model began within a thought, so this one may too.

    What is the answer does not depend on that, only whether people see it before it is known; unless the marks of a thought were
    `named` in what it answers.
    """

    def __init__(self, *, begun: bool = False, named: bool = False) -> None:
        self.begun = False
        """Whether this one did, and an answer or a call followed; that is sure once it is over."""
        self._at = _At.START
        self._text = ""
        self._held = "" if begun else None
        self._spoken_of = named and not begun
        self._open = 0
        self._thought = False
        self._before: str | None = None
        self._unheard = Repetition()

    def hears(self, piece: str) -> Iterator[str | Unsaid]:
        """What is known to be the answer with this piece, if anything. Raises `ModelRepeats` for what nobody else hears."""
        for one in self._told(piece):
            yield from self._passed(one)
        if (self._at is _At.THOUGHT or self._held is not None) and self._unheard.hears(piece):
            raise ModelRepeats

    def calls(self) -> Iterator[str | Unsaid]:
        """It calls a tool: what was said before that is as sure as it gets."""
        yield from self._ended()
        self.begun = self._before is not None

    def over(self) -> Iterator[str | Unsaid]:
        """What was kept back to the end, and is no thought."""
        if self._at is _At.START and self._text.strip():
            yield from self._passed(self._text)
        yield from self._ended()
        if self._before is not None and not self.begun and self._before.strip():
            yield self._before

    def _ended(self) -> Iterator[str | Unsaid]:
        """See to a mark at the very end, and say what is kept back."""
        if self._at is _At.ANSWER and not self._thought:
            for one in self._judged(_IS_LAST, 0):
                yield from self._passed(one)
        held, self._held = self._held, None
        if held and held.strip():
            yield held

    def _passed(self, one: str | Unsaid) -> Iterator[str | Unsaid]:
        """Say it, or keep it back; a thought that was kept back is dropped."""
        held = self._held
        if isinstance(one, Unsaid):
            self._held, self.begun = None, False
            if held is None:
                yield one
            return
        self.begun = self.begun or (self._before is not None and bool(one.strip()))
        self._held = None if held is None or len(held) + len(one) > MOST_HELD else held + one
        if self._held is None:
            yield (held or "") + one

    def _told(self, piece: str) -> Iterator[str | Unsaid]:
        self._text += piece
        if self._at is _At.START:
            yield from self._started()
        elif self._at is _At.THOUGHT:
            yield from self._thinking()
        else:
            yield piece
            yield from self._judged(_IS_END if self._thought else _IS_ALONE, len(piece))

    def _started(self) -> Iterator[str | Unsaid]:
        lead = self._text.lstrip()
        if (begin := _IS_BEGIN.match(lead)) is not None:
            self._at, self._text, self._held, self._open = _At.THOUGHT, lead[begin.end() :], None, 1
            yield from self._thinking()
        elif len(self._text) >= _MOST_BLANK or not any(one.startswith(lead.lower()) for one in _BEGINNINGS):
            self._at, said = _At.ANSWER, lead if self._thought else self._text
            self._text = ""
            yield from self._told(said)

    def _thinking(self) -> Iterator[str | Unsaid]:
        while (mark := _IS_EITHER.search(self._text)) is not None:
            self._text = self._text[mark.end() :]
            self._open += 1 if mark["begin"] else -1
            if not mark["begin"]:
                self._at, self._thought = _At.START, True
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
        if not self._thought:
            self._before = self._text[: found.start()]
        self._at, self._text = _At.START, self._text[found.end() :]
        self._open, self._thought = max(0, self._open - 1), True
        yield Unsaid.ALL
        yield from self._started()

    def _quoted(self, before: str) -> bool:
        """Whether a mark is no end of a thought but a part of what is said, behind this."""
        spoken_of = not self._thought and (self._spoken_of or _IS_BEGIN.search(before) is not None)
        return spoken_of or before.endswith("`") or len(_FENCE.findall(before)) % 2 == 1
