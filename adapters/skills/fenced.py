"""Python that stands fenced in Markdown, so that it is scanned like a file of its own. Pure."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*(.*)")
_PYTHON = re.compile(r"\{?[ .]*(?:python[\d.]*|py[23]?)(?![\w+-])", re.IGNORECASE)


def fenced(text: str) -> Iterator[str]:
    """Each fenced block of Python, with as many empty lines before it as the file has lines there.

    A fence is closed by one of its own letter that is no shorter, or by the end of the file.
    """
    mark, held, start, is_python = "", list[str](), 0, False
    for number, line in enumerate([*text.split("\n"), ""]):
        fence = _FENCE.fullmatch(line)
        if not mark and fence:
            mark, held, start, is_python = fence[1], [], number + 1, bool(_PYTHON.match(fence[2]))
        elif mark and fence and fence[1].startswith(mark) and not fence[2].strip():
            if is_python and held:
                yield _in_place(held, start)
            mark = ""
        elif mark:
            held.append(line)
    if mark and is_python:
        yield _in_place(held, start)


def _in_place(lines: list[str], start: int) -> str:
    return "\n" * start + dedent("\n".join(lines)) + "\n"
