"""What a check is given and what it says: a result before it is delivered. Pure, and linear in the length of the text.

A fault is one sentence, addressed to the model, that says what to mend.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from core.chat import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.agent.session import Step

QUOTED = 60
"""Characters of a result that are quoted to the model."""

MOST_FAULTS = 4

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}) *([\w+#.-]*)")
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")  # noqa: RUF001 - what a keyboard makes of an apostrophe


class Draft(NamedTuple):
    """A result as a model gave it, the task it is for, and what was called on the way."""

    task: str
    text: str
    steps: Sequence[Step] = ()

    @property
    def read(self) -> list[str]:
        """All that the model was given to read: the task, and what its calls came to."""
        return [self.task, *(call.result for step in self.steps for call in step.calls)]


class Checked(NamedTuple):
    """What is delivered: the text, and files by name; and what is wrong with it."""

    text: str
    faults: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


class Block(NamedTuple):
    """A fenced block: what it says it is written in, in small letters, and its lines from `start` up to `end`, fences included."""

    language: str
    body: str
    start: int
    end: int


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a text. One that is not closed ends with the text."""
    found: list[Block] = []
    lines = text.splitlines()
    start, fence, language = 0, "", ""
    for number, line in enumerate(lines):
        opened = _FENCE.match(line)
        if not fence and opened:
            start, fence, language = number, opened[1], opened[2].lower()
        elif fence and opened and opened[1].startswith(fence) and line.strip() == opened[1]:
            found.append(Block(language, "\n".join(lines[start + 1 : number]), start, number + 1))
            fence = ""
    if fence:
        found.append(Block(language, "\n".join(lines[start + 1 :]), start, len(lines)))
    return found


def outside(text: str, taken: Iterable[Block]) -> list[str]:
    """The lines of a text that are in none of these blocks."""
    inside = {number for one in taken for number in range(one.start, one.end)}
    return [line for number, line in enumerate(text.splitlines()) if number not in inside]


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return _WORD.findall(text.lower())


def asks(task: str, *said: str) -> bool:
    """Whether a task has any of these words."""
    return not frozenset(words(task)).isdisjoint(said)


def quote(text: str) -> str:
    """A piece of a result, in one line, for a fault that names it."""
    line = one_line(text)
    return f"`{line if len(line) <= QUOTED else f'{line[:QUOTED]}…'}`"


def named_file(task: str, suffix: str, otherwise: str) -> str:
    """The name that a task gives to a file of this kind, without any folder; a plain one if it gives none."""
    found = re.search(rf"(?<![\w.-])(\w[\w-]{{0,63}}){re.escape(suffix)}(?![\w])", task, re.IGNORECASE)
    return f"{found[1]}{suffix}" if found else otherwise


def table(text: str) -> list[list[str]]:
    """The rows of the first Markdown table of a text, its head first; its ruler is left out. Empty: there is none."""
    rows = list(_rows(text))
    ruled = next((n for n, row in enumerate(rows) if n and all(set(cell) <= set("-: ") for cell in row)), 0)
    if not ruled:
        return []
    return [rows[ruled - 1], *(row for row in rows[ruled + 1 :] if len(row) > 1)]


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if (bare := line.strip()).count("|") > 1 or (bare.startswith("|") and len(bare) > 1):
            yield [cell.strip() for cell in bare.strip("|").split("|")]
