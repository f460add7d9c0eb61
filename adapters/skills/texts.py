"""Plain text and Markdown as blocks, and bytes as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adapters.skills.blocks import Block, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

_HEADING_WORDS = 12
_ENCODINGS = ["cp1252", "cp1251", "cp1253", "shift_jis"]  # cp1250 looks just like cp1252, and is rarer
_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)])\s+")
_RULE = re.compile(r"[-=_*~]{3,}")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+[A-Z]\S*(?: \S+){0,9}")


def decode(data: bytes) -> str:
    """Bytes as text, every line's end as a newline: UTF-8 or marked UTF-16, else the likeliest of a few encodings."""
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode(_encoding(data), errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(data: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - rarely needed, and slow to load

    best = from_bytes(data[:65_536], cp_isolation=_ENCODINGS).best()
    return best.encoding if best else "cp1252"


def plain(text: str) -> Iterator[Block]:
    """Plain text: paragraphs between blank lines; short numbered or underlined lines and capitals are headings."""
    lines = [*text.split("\n"), ""]
    held: list[str] = []
    start = 0
    for number, line in enumerate(lines, 1):
        level = _heading_level(line, lines[number] if number < len(lines) else "")
        if held and (level or not line.strip() or _ITEM.match(line)):
            yield _paragraph(held, start)
            held = []
        if level:
            yield Block(Role.HEADING, line.strip(), number, level)
        elif line.strip() and not _RULE.fullmatch(line.strip()):
            start = start if held else number
            held.append(line.strip())


def _heading_level(line: str, following: str) -> int:
    """The level of a plain line that reads as a heading, else 0."""
    line = line.strip()
    if not line or len(line.split()) > _HEADING_WORDS or line.endswith((".", ",", ";", ":", "?", "!")):
        return 0
    if (rule := following.strip()) and set(rule) in ({"="}, {"-"}) and len(rule) >= len(line) // 2:
        return 1 if rule[0] == "=" else 2
    if numbered := _NUMBERED.fullmatch(line):
        return numbered[1].count(".") + 1
    letters = [letter for letter in line if letter.isalpha()]
    return 1 if len(letters) > len(line) // 2 > 1 and line.isupper() else 0


def _paragraph(lines: list[str], start: int) -> Block:
    role = Role.ITEM if _ITEM.match(lines[0]) else Role.PARAGRAPH
    first = _ITEM.sub("", lines[0], count=1) if role is Role.ITEM else lines[0]
    joined = re.sub(r"(?<=[a-z])- (?=[a-z])", "", " ".join([first, *lines[1:]]))  # words divided at a line's end
    return Block(role, joined, start)


def markdown(text: str) -> Iterator[Block]:
    """Markdown by its syntax: what is a heading, an item or code is what a reader would see."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - not needed for other kinds

    depth = heading = row_place = 0
    row: list[str] | None = None
    for token in MarkdownIt("commonmark").enable("table").parse(_without_front_matter(text)):
        place = token.map[0] + 1 if token.map else 0
        if token.type in {"list_item_open", "list_item_close"}:
            depth += token.nesting
        elif token.type == "tr_open":
            row, row_place = [], place
        elif token.type == "tr_close" and row:
            yield Block(Role.ITEM, " | ".join(row), row_place)
            row = None
        elif token.type == "heading_open":
            heading = int(token.tag[1:])
        elif token.type in {"fence", "code_block"}:
            yield Block(Role.CODE, token.content.rstrip(), place)
        elif token.type == "inline" and (words := _inline(token)):
            if row is not None:
                row.append(words)
                continue
            role = Role.HEADING if heading else Role.ITEM if depth else Role.PARAGRAPH
            yield Block(role, words, place, heading)
            heading = 0


def _inline(token: Token) -> str:
    """The words of a paragraph, as they look once rendered."""
    breaks = {"softbreak", "hardbreak"}
    words = (" " if t.type in breaks else t.content for t in token.children or () if t.type != "html_inline")
    return " ".join("".join(words).split())


def _without_front_matter(text: str) -> str:
    """YAML between two `---` at the very top is about the document, not of it; line numbers stay."""
    if not (front := re.match(r"---\r?\n.*?\n---\r?\n", text, re.DOTALL)):
        return text
    return "\n" * front[0].count("\n") + text[front.end() :]
