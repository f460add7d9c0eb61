"""A model's Markdown as rich text. It is data: what the model wrote is shown, none of it is obeyed."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from adapters.markup.rich import LANGUAGE, Rich
from core.chat import Mark, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from core.chat import Reply

_SURROGATES = re.compile("[\ud800-\udfff]")
_STYLES = {"em": Style.ITALIC, "strong": Style.BOLD}
_SPARE = 2000
"""A table is aligned if that makes it no more than twice as long, and so many characters."""


def of(reply: Reply) -> Rich:
    """What a reply says: read, if a model wrote it in Markdown, else its text with its marks."""
    return read(reply.text) if reply.markdown else Rich(reply.text, reply.marks)


def read(markdown: str) -> Rich:
    """Markdown as text and marks, in linear time; nothing is lost but its punctuation. Never raises.

    Headings are bold lines; list items begin with "• " or their number, quotes with "│ "; a link is "label (address)", a
    picture too; code and tables are `pre`, at the line's start wherever they stood; lines and blank lines stay as they
    were. A text that is nothing but markup is shown as it is.
    """
    from adapters.markup.grammar import parser  # noqa: PLC0415 - the parser is loaded when a model first answers

    page = _Page()
    for token in parser().parse(_SURROGATES.sub("\ufffd", markdown)):
        page.add(token)
    found = page.rich()
    return Rich(markdown) if found.blank else found


class _Opening:
    """What the lines of a container begin with: `first` once, then `rest`."""

    def __init__(self, first: str, rest: str, line: int) -> None:
        self.first = first
        self.rest = rest
        self.line = line
        self.used = False

    def take(self) -> str:
        """The beginning of the next line."""
        used, self.used = self.used, True
        return self.rest if used else self.first


class _Page:
    """The text as far as it is written."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._marks: list[Mark] = []
        self._openings: list[_Opening] = []
        self._numbers: list[int | None] = []
        self._styles: list[tuple[Style, int]] = []
        self._links: list[tuple[Token, int]] = []
        self._last = 0

    def rich(self) -> Rich:
        """What was written."""
        return Rich("".join(self._parts), tuple(self._marks))

    def add(self, token: Token) -> None:
        """Write a block's token, or note where a container begins or ends."""
        line, last = token.map or (self._last, self._last)
        match token.type:
            case "paragraph_open" | "heading_open":
                self._begin(line)
                self._last = last
                if token.type == "heading_open":
                    self._styles.append((Style.BOLD, self._length))
            case "heading_close":
                self._style()
            case "inline":
                self._inline(token.children or ())
            case "fence" | "code_block":
                self._code(token, line, last)
            case "table":
                self._pre(_table(token.meta["rows"], token.meta["sides"]), "", line, last)
            case "hr":
                self._begin(line)
                self._write("———")
                self._last = last
            case _:
                self._container(token, line)

    def _container(self, token: Token, line: int) -> None:
        match token.type:
            case "blockquote_open":
                self._openings.append(_Opening("│ ", "│ ", line))
            case "bullet_list_open":
                self._numbers.append(None)
            case "ordered_list_open":
                self._numbers.append(int(token.attrs.get("start", 1)))
            case "list_item_open":
                number = self._numbers[-1]
                sign = "• " if number is None else f"{number}. "
                self._numbers[-1] = None if number is None else number + 1
                self._openings.append(_Opening(sign, " " * len(sign), line))
            case "list_item_close" | "blockquote_close":
                if not self._openings[-1].used:
                    self._begin(self._openings[-1].line)
                    self._last = self._openings[-1].line + 1
                self._openings.pop()
            case "bullet_list_close" | "ordered_list_close":
                self._numbers.pop()
            case _:
                pass

    def _begin(self, line: int) -> None:
        """A new line, with a blank one before it where the source had one."""
        if self._parts:
            if line > self._last:
                before = "".join(one.rest for one in self._openings if one.used).rstrip()
                self._write("\n" + before)
            self._write("\n")
        self._write("".join(one.take() for one in self._openings))

    def _code(self, token: Token, line: int, last: int) -> None:
        info = token.info.strip()
        named = LANGUAGE.match(info.replace("#", "sharp"))
        language = named[0] if named else ""
        content = token.content.removesuffix("\n")
        if info and (language != info.replace("#", "sharp") or not content):
            self._begin(line)
            self._write(info)
            line = self._last = line + 1
        self._pre(content, language, line, last)

    def _pre(self, content: str, language: str, line: int, last: int) -> None:
        if not content:
            return
        if any(not one.used for one in self._openings):
            self._begin(line)
            line = self._last = line + 1
        openings, self._openings = self._openings, []
        self._begin(line)
        self._openings = openings
        start = self._length
        self._write(content)
        self._marks.append(Mark(start, self._length, Style.PRE, language))
        self._last = last

    def _inline(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "softbreak" | "hardbreak":
                    self._write("\n" + "".join(one.take() for one in self._openings))
                case "code_inline":
                    start = self._length
                    self._write(token.content)
                    self._marks.append(Mark(start, self._length, Style.CODE))
                case "em_open" | "strong_open":
                    self._styles.append((_STYLES[token.tag], self._length))
                case "em_close" | "strong_close":
                    self._style()
                case "link_open":
                    self._links.append((token, self._length))
                case "link_close":
                    opening, start = self._links.pop()
                    self._address(opening, "href", start)
                case "image":
                    start = self._length
                    self._inline(token.children or ())
                    self._address(token, "src", start)
                case _:
                    self._write(token.content)

    def _address(self, token: Token, key: str, start: int) -> None:
        """Where a link leads, unless its label says so."""
        address, title = str(token.attrs.get(key, "")), str(token.attrs.get("title", ""))
        label = self._since(start)
        shown = "" if address in {label, f"mailto:{label}"} else address
        words = " ".join(part for part in (shown, title and f'"{title}"') if part)
        if words:
            self._write(f" ({words})" if label else words)

    def _since(self, start: int) -> str:
        """What was written from a place on."""
        found: list[str] = []
        at = self._length
        for part in reversed(self._parts):
            if at <= start:
                break
            found.append(part)
            at -= len(part)
        return "".join(reversed(found))

    def _style(self) -> None:
        style, start = self._styles.pop()
        self._marks.append(Mark(start, self._length, style))

    def _write(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)


def _table(rows: Sequence[Sequence[str]], sides: Sequence[int]) -> str:
    """Cells in columns; `sides` says for each column what its rule had a colon at: 1 the right, 2 the left, 3 both."""
    words = [[_words(cell) for cell in row] for row in rows]
    columns = max(len(row) for row in words)
    widths = [max((_width(row[column]) for row in words if column < len(row)), default=0) for column in range(columns)]
    whole = (sum(widths) + 3 * columns) * (len(words) + 1)
    if whole > 2 * sum(len(cell) + 3 for row in words for cell in row) + _SPARE:
        return "\n".join(" │ ".join(row) for row in words)
    lines = [
        " │ ".join(_padded(cell, widths[number], sides[number] if number < len(sides) else 0) for number, cell in enumerate(row))
        for row in words
    ]  # fmt: skip
    lines.insert(1, "─┼─".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _words(cell: str) -> str:
    """A cell's words: a `pre` holds no other marks."""
    from adapters.markup.grammar import parser  # noqa: PLC0415 - as in `read`

    page = _Page()
    for token in parser().parseInline(cell):
        page.add(token)
    return page.rich().text


def _padded(cell: str, width: int, side: int) -> str:
    space = width - _width(cell)
    left = {1: space, 3: space // 2}.get(side, 0)
    return " " * left + cell + " " * (space - left)


def _width(text: str) -> int:
    """Columns on a screen, near enough: CJK and emoji are two, what combines is none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in {"Mn", "Me", "Cf"} else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
