"""Rich text as Telegram's HTML (Bot API, "Formatting options", HTML style): only `& < >` are escaped in text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from core.chat import Style

if TYPE_CHECKING:
    from adapters.markup.rich import Rich
    from core.chat import Mark

_NAMES = {Style.BOLD: "b", Style.ITALIC: "i", Style.CODE: "code", Style.PRE: "pre", Style.QUOTE: "blockquote"}


def tags(mark: Mark) -> tuple[str, str]:
    """What opens a mark and what closes it."""
    if mark.style is Style.PRE and mark.language:
        return f'<pre><code class="language-{escape(mark.language)}">', "</code></pre>"
    name = _NAMES[mark.style]
    return f"<{name}>", f"</{name}>"


def html(rich: Rich) -> str:
    """The text with its marks as tags, well formed; nothing in the text itself can become a tag."""
    parts: list[str] = []
    held: list[tuple[int, str]] = []
    at = 0

    def write(to: int) -> None:
        nonlocal at
        parts.append(escape(rich.text[at:to], quote=False))
        at = to

    def close(until: int) -> None:
        while held and held[-1][0] <= until:
            end, tag = held.pop()
            write(end)
            parts.append(tag)

    for mark in rich.marks:
        close(mark.start)
        write(mark.start)
        opening, closing = tags(mark)
        parts.append(opening)
        held.append((mark.end, closing))
    close(len(rich.text))
    write(len(rich.text))
    return "".join(parts)
