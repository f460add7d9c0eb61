"""Breaks long lines between words, as a terminal would break them within; tables and code stay as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prompt_toolkit.utils import get_cwidth

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = re.compile(r"\n|[^\S\n]+|\S+")
_AS_WRITTEN = "class:pre"


def wrap(pieces: Iterable[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Pieces of text with their styles, in lines of at most `width` columns where words allow it.

    What is broken off an indented line is indented by two more.
    """
    done: list[tuple[str, str]] = []
    column, since, indent, gap = 0, 0, 0, -1
    for style, text in pieces:
        for token in [text] if _AS_WRITTEN in style else _TOKEN.findall(text):
            _, newline, tail = token.rpartition("\n")
            size = get_cwidth(tail)
            if newline:
                column, since, indent, gap = size, size, 0, -1
            elif token.isspace() and not column:
                column = indent = size
            elif token.isspace():
                column, since, gap = column + size, 0, len(done)
            else:
                column, since = column + size, since + size
                if column > width and gap >= 0:
                    hang = min(indent + 2, width // 2) if indent else 0
                    done[gap] = (done[gap][0], "\n" + " " * hang)
                    column, gap = hang + since, -1
            done.append((style, token))
    return done
