"""What came back from a server, made fit to be shown: untrusted text, cut and cleaned, or else a file. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category

from core.chat import readable

if TYPE_CHECKING:
    from core.ports import Page

SHOWN = 3000
"""Characters of a page that are shown at most; a longer one is a file besides."""

_TEXT = re.compile(r"text/.*|application/(?:.*\+)?(?:json|xml|javascript|yaml)|")
_CHARSET = re.compile(
    r"utf-?(?:8|16|32)|(?:us-)?ascii|latin-?1|iso-?8859-\d{1,2}|(?:windows-|cp)125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gb(?:k|2312|18030)"
    r"|big5"
)
"""Those that are read: Python knows others, which are not for texts of strangers, or slow."""

_SUFFIXES = {
    "application/json": "json", "application/pdf": "pdf", "application/zip": "zip", "audio/mpeg": "mp3", "audio/ogg": "ogg",
    "image/gif": "gif", "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "text/csv": "csv", "text/html": "html",
    "text/markdown": "md", "text/plain": "txt", "video/mp4": "mp4",
}  # fmt: skip


class Goods(NamedTuple):
    """`text`: what is shown, may be empty; `file`: the name under which the whole is to be handed over, empty if all is shown."""

    text: str
    file: str


def goods(page: Page, host: str) -> Goods:
    """What a person gets of a page from `host`. The server chooses nothing of the file's name but its kind."""
    text = _text(page)
    if text is None:
        return Goods("", _name(host, _SUFFIXES.get(page.kind, "bin")))
    if len(text) <= SHOWN:
        return Goods(text, "")
    return Goods(f"{text[:SHOWN]}…", _name(host, _SUFFIXES.get(page.kind, "txt")))


def _text(page: Page) -> str | None:
    """The page as a text without signs that are obeyed or not seen; None where it is none."""
    charset = page.charset.lower() or "utf-8"
    if _TEXT.fullmatch(page.kind) is None or _CHARSET.fullmatch(charset) is None:
        return None
    try:
        text = page.body.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return None
    if "\0" in text:
        return None
    return "".join(sign for sign in readable(text) if category(sign) != "Cf").strip()


def _name(host: str, suffix: str) -> str:
    return f"{re.sub(r'[^a-z0-9.-]+', '-', host.lower()).strip('.-')[:60] or 'page'}.{suffix}"
