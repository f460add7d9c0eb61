"""The Markdown that is read: CommonMark and tables by markdown-it-py, bounded, and so set that no word is dropped.

HTML is text here; reference definitions, which would vanish, are text too; links may lead anywhere, as they are only
shown. Loaded at the first answer: nothing else in the hub needs the parser.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.rules_block import blockquote, list_block
from markdown_it.rules_block import table as grid
from markdown_it.rules_inline import image, link

if TYPE_CHECKING:
    from markdown_it.parser_block import RuleFuncBlockType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

DEPTH = 12
"""How deep quotes (1) and lists (2) may nest; what is deeper stays as it was written. The library would drop it."""

LABEL = 1000
"""The longest label of a link, in code points, and below how many labels may nest."""

LABELS = 3

_CELL_END = re.compile(r"(?<!\\)\|")
_BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)


class _Parser(MarkdownIt):
    """Links are words for people here: neither refused nor rewritten."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the library's signature
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - as above
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - as above
        return link


@cache
def parser() -> MarkdownIt:
    """The parser, made once; it keeps nothing of what it reads."""
    made = _Parser("commonmark", {"html": False, "maxNesting": 40})
    made.disable(["reference", "html_block", "html_inline"])
    made.enable("table")
    paragraphs = ["paragraph", "reference"]
    made.block.ruler.at("table", _table, {"alt": paragraphs})
    made.block.ruler.at("blockquote", _bounded(blockquote), {"alt": [*paragraphs, "blockquote", "list"]})
    made.block.ruler.at("list", _bounded(list_block), {"alt": [*paragraphs, "blockquote"]})
    made.inline.ruler.at("link", _link)
    made.inline.ruler.at("image", _image)
    return made


def _bounded(rule: RuleFuncBlockType) -> RuleFuncBlockType:
    def bounded(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - the library's signature
        return state.level < DEPTH and rule(state, start, end, silent)

    return bounded


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - the library's signature
    """A table as one token, `meta` its cells as written: the library's own drops cells that the head has no column for."""
    if silent or not grid(state, start, end, True):
        return silent and grid(state, start, end, True)
    kind, state.parentType = state.parentType, "table"
    over = state.md.block.ruler.getRules("blockquote")
    line = start + 2
    while line < end and state.sCount[line] >= state.blkIndent and not state.isEmpty(line):
        if state.is_code_block(line) or any(rule(state, line, end, True) for rule in over):
            break
        line += 1
    state.parentType = kind
    token = state.push("table", "table", 0)
    token.map = [start, line]
    head, rule, *rest = (_cells(state.src[state.bMarks[one] : state.eMarks[one]]) for one in range(start, line))
    token.meta = {"rows": [head, *rest], "sides": [cell.endswith(":") + 2 * cell.startswith(":") for cell in rule]}
    state.line = line
    return True


def _cells(line: str) -> list[str]:
    line = line.strip()
    cells = _CELL_END.split(line.removeprefix("|"))
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _link(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the library's signature
    return state.pos in _labels(state.src) and link(state, silent)


def _image(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the library's signature
    return state.pos + 1 in _labels(state.src) and image(state, silent)


@lru_cache(maxsize=4)
def _labels(text: str) -> frozenset[int]:
    """Where a link's label may begin. The library looks for the end of every bracket anew; this is one pass for all."""
    found: set[int] = set()
    held: list[tuple[int, int]] = []
    for match in _BRACKET.finditer(text):
        if match[0] == "[":
            held.append((match.start(), 0))
        elif match[0] == "]" and held:
            start, inner = held.pop()
            if text.startswith("(", match.end()) and match.start() - start <= LABEL and inner < LABELS:
                found.add(start)
                inner += 1
            if held:
                held[-1] = (held[-1][0], max(held[-1][1], inner))
    return frozenset(found)
