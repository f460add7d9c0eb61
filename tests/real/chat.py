"""A chat of the fake Telegram as a page that looks like a phone: what a person is shown, for a browser to look at.

Nothing of a message becomes markup here: texts are escaped, their entities become the few tags below, pictures are data.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from tests.telegram_rules import cut, units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.telegram_objects import File, Message

TEMPLATE = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
LINK = ('<span class="link">', "</span>")
TAGS = {
    "bold": ("<b>", "</b>"), "italic": ("<i>", "</i>"), "code": ("<code>", "</code>"),
    "pre": ('<span class="pre">', "</span>"), "blockquote": ('<span class="quote">', "</span>"),
    "bot_command": LINK, "mention": LINK, "url": LINK,
}  # fmt: skip
"""What the hub sends, and what Telegram finds by itself in a text."""


def page_of(title: str, messages: Iterable[Message]) -> str:
    """The page of these messages, which those of the bot's and of the person's are both among."""
    return TEMPLATE.substitute(title=escape(title), messages="\n".join(map(_message, messages)))


def _message(message: Message) -> str:
    words = f'<div class="text">{_text(message)}</div>' if message.text else ""
    body = f"{''.join(_file(message.kind, file) for file in message.files)}{words}{_when(message)}"
    kind = " picture" if message.kind == "photo" else ""
    rows = "".join(f'<div class="row">{"".join(map(_button, row))}</div>' for row in message.labels)
    whose = "theirs" if message.mine else "mine"  # `mine` is the bot's; the phone is the person's
    return f'<div class="message {whose}" id="m{message.id}"><div class="bubble{kind}">{body}</div>{rows}</div>'


def _text(message: Message) -> str:
    """The text, cut wherever an entity begins or ends, each piece in the tags of all that cover it."""
    spans = [(one["offset"], one["offset"] + one["length"], TAGS[one["type"]]) for one in message.entities]
    edges = sorted({0, units(message.text), *(edge for start, end, _ in spans for edge in (start, end))})
    pieces = []
    for start, end in pairwise(edges):
        piece = escape(cut(message.text, start, end))
        for begin, finish, (opening, closing) in reversed(spans):
            if begin <= start and end <= finish:
                piece = f"{opening}{piece}{closing}"
        pieces.append(piece)
    return "".join(pieces)


def _file(kind: str, file: File) -> str:
    if kind == "photo":
        return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.data).decode()}">'
    return f'<div class="file"><i></i><div><b>{escape(file.name)}</b><small>{file.size:,} bytes</small></div></div>'


def _button(label: str) -> str:
    return f"<button>{escape(label)}</button>"


def _when(message: Message) -> str:
    at = datetime.fromtimestamp(message.edited or message.date, UTC)
    return f'<span class="when">{"edited " if message.edited else ""}{at:%H:%M}</span>'
