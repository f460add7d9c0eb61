"""A document of any kind as one sequence of blocks: headings, paragraphs, list items, code, each with its place.

Summaries, outlines and searches read blocks only, so a new kind of document is one module that makes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

UNSPACED = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""A letter of a script that has no blanks between words: Japanese and Chinese."""


def count_words(text: str) -> int:
    """How many words a text has; each letter of a script without blanks counts as one, as word processors do it."""
    spaced, letters = UNSPACED.subn(" ", text)
    return letters + sum(any(map(str.isalnum, word)) for word in spaced.split()) if letters else len(text.split())


class Role(Enum):
    """What a block is in its document."""

    TITLE = auto()
    HEADING = auto()
    PARAGRAPH = auto()
    ITEM = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document: its text on one line (code keeps its lines), a heading's level, and where it begins."""

    role: Role
    text: str
    place: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """The blocks of a file, and what their `place` counts: lines, pages or paragraphs.

    `extent` says, as the end of a sentence, how much of the file was read, where it was not all;
    `text` is a text file as it is written.
    """

    path: str
    blocks: tuple[Block, ...]
    unit: str = "line"
    extent: str = ""
    text: str = ""

    @property
    def plain(self) -> str:
        """All of it as people read it: as it is written, or else block by block."""
        return self.text or "\n\n".join(block.text for block in self.blocks if block.role is not Role.TITLE)

    @property
    def title(self) -> str:
        """Its own title, or the first heading that stands at the top, or its name."""
        first = next(iter(self.blocks), None)
        return first.text if first and first.role in {Role.TITLE, Role.HEADING} else self.path
