"""Rich text for a voice: plain words, at most 60 of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.chat import Style

if TYPE_CHECKING:
    from adapters.markup.rich import Rich
    from core.chat import Mark

WORDS = 60
LETTERS = 600
"""The longest speech where words are not set apart by spaces, in code points."""

MORE = "More in the chat."
_READ = 6000
"""How much of a text is looked at, in code points: far more than is said."""

_CODE = "some code"
_SAID_CODE = re.compile(r"[\w.-]+(?: [\w.-]+){0,3}")
_GAP = re.compile(r"\S {2,}\S| │ ")
_CHANGES = (
    (
        r"\s*\([a-z][a-z0-9+.-]{1,20}:[^\s()]{0,500}(?:\([^\s()]{0,100}\)[^\s()]{0,100})*(?: \"[^\"\n]{0,200}\")?\)",
        "",
    ),
    (r"\s*\([#/][^\s()]{0,200}\)", ""),
    (r"\b[a-z][a-z0-9+.-]{1,20}://[^\s│]*[^\s│.,;:!?)\]}\"'»]", "a link"),
    (r"\bwww\.[^\s│]*[^\s│.,;:!?)\]}\"'»]", "a link"),
    (r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+", "an address"),
    (r"\bT-(\d+)\b", r"task \1"),
    (r"\bA-(\d+)\b", r"question \1"),
    (r"(?<!\S)console:owner\b", "the hub's owner"),
    (r"(?<!\S)shortcuts:(?=\w)", "device "),
    (r"(?<!\S)@?\b(?:telegram|matrix|console|peer):[\w@:.+-]*\w", "somebody"),
    (r"(?<!\S)[@!][\w.-]{1,100}:[\w.-]{1,100}", "somebody"),
    (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", ""),
    (r"\b(?=[a-zA-Z]{0,40}\d)(?=\d{0,40}[a-zA-Z])[0-9a-zA-Z]{16,}\b", ""),
    (r"\b(?=[a-f]{0,40}\d)(?=\d{0,40}[a-f])[0-9a-f]{8,}\b", ""),
    (r"(?<=\d)[,'\u2019\u00a0\u2009\u202f](?=\d{3}(?!\d))", ""),
    (r"(?m)^([ \t]*\d+)\.(?=[ \t])", r"\1,"),
    (r"(?<!\S)/(?=[a-z])", ""),
    (r"(?<=\d)[ \u00a0]?%", " percent"),
    (r"(?<![\w+-])\+(?=\d)", "plus "),
    (r"(?<![\w+-])[-\u2212](?=\d)", "minus "),
    (r"&", " and "),
    (r"[ \t]+[\u2013\u2014-]+[ \t]+|\u2014", ", "),
)
_UNSAID = re.compile(r"[^\w\s.,!?;:'\u2019%$\u20ac\u00a3\u3002\u3001\uff01\uff1f\uff0c\uff1b\uff1a\u061f\u060c\u061b\u0964"
                     r"\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e\u200c\u200d-]|_")  # fmt: skip
_JOINER = re.compile(r"(?<![^\W\d_])[\u200c\u200d]+|[\u200c\u200d]+(?!\w)")
_LOOSE = re.compile(r"(?<!\w)[-']+|[-']+(?!\w)|(?<!\w)[%](?!\w)")
_SPACE_BEFORE = re.compile(r"\s+(?=[.,!?;:])")
_RUN = re.compile(r"([.!?;:,])(?:\s*[.,;:])+")
_SENTENCE = re.compile(r"(?<=[.!?\u061f\u0964])\s+|(?<=[\u3002\uff01\uff1f])")


def speech(rich: Rich) -> str:
    """What a voice says of a text: no markup, links, ids, code or signs; "" only of a text that is empty.

    Long texts end with a sentence, where one ends in time, and say that there is more in the chat.
    """
    said = _plain(rich)
    if not said:
        return "" if rich.blank else "The answer is in the chat."
    if _fits(rich, said):
        return said
    room, letters = WORDS - len(MORE.split()), LETTERS - len(MORE) - 2
    kept = words = long = 0
    sentences = [part for part in _SENTENCE.split(said) if part.strip()]
    for part in sentences:
        words, long = words + len(part.split()), long + len(part) + 1
        if words > room or long > letters:
            break
        kept += 1
    start = " ".join(sentences[:kept]) or " ".join(said.split()[:room])[:letters].rstrip(" ,;:-") + "."
    return f"{start} {MORE}"


def whole(rich: Rich) -> bool:
    """Whether a voice says all of a text, and nothing is left for the chat."""
    said = _plain(rich)
    return (bool(said) or rich.blank) and _fits(rich, said) and not any(_unsaid(rich, mark) for mark in rich.marks)


def _fits(rich: Rich, said: str) -> bool:
    return len(said.split()) <= WORDS and len(said) <= LETTERS and len(rich.text) <= _READ


def _unsaid(rich: Rich, mark: Mark) -> bool:
    """Whether other words stand for a stretch."""
    return mark.style is Style.PRE or (mark.style is Style.CODE and _code(rich.text[mark.start : mark.end]) == _CODE)


def _plain(rich: Rich) -> str:
    words = (" ".join(line.split()) for line in "".join(_said(rich)).splitlines())
    text = "\n".join(line for line in words if line)  # no run of spaces is left for a pattern to be slow on
    for pattern, by in _CHANGES:
        text = re.sub(pattern, by, text)  # compiled, and kept, by the first that is spoken
    lines = (" ".join(_JOINER.sub("", _UNSAID.sub(" ", line)).split()) for line in text.splitlines())
    text = " ".join(_ended(line) for line in lines if any(char.isalnum() for char in line))
    text = _LOOSE.sub(" ", text)
    return " ".join(_RUN.sub(r"\1", _SPACE_BEFORE.sub("", " ".join(text.split()))).split()).lstrip(".,;:!? ")


def _ended(line: str) -> str:
    return line if line.endswith((*".,!?;:", "\u3002", "\uff01", "\uff1f", "\u061f", "\u0964")) else f"{line}."


def _said(rich: Rich) -> list[str]:
    """The text, as much as is looked at, with words for its code and tables: each said once."""
    parts: list[str] = []
    told: set[str] = set()
    at = 0
    for mark in rich.marks:
        if mark.start >= _READ:
            break
        if mark.style not in {Style.PRE, Style.CODE}:
            continue
        parts.append(rich.text[at : mark.start])
        at = mark.end
        words = _block(rich, mark) if mark.style is Style.PRE else _code(rich.text[mark.start : mark.end])
        if mark.style is Style.CODE or words not in told:
            parts.append(words)
        told.add(words)
    if at < _READ:
        parts.append(rich.text[at:_READ])
    return parts


def _block(rich: Rich, mark: Mark) -> str:
    """Code, or a table: that has gaps in every line, and no language."""
    lines = [line for line in rich.text[mark.start : min(mark.end, mark.start + _READ)].splitlines() if line.strip()]
    table = not mark.language and all(_GAP.search(line.strip()) or set(line) <= set("─┼") for line in lines)
    return f"\nThere is {'a table' if table else 'code'} in the chat.\n"


def _code(text: str) -> str:
    """A name in the middle of a sentence is said, code is not."""
    return text.replace("_", " ") if len(text) <= 40 and _SAID_CODE.fullmatch(text) else _CODE  # noqa: PLR2004
