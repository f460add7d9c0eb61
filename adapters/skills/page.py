"""For tools: what a page of the web says, as Markdown, without what stands around it.

The page is hostile until shown otherwise: it is parsed here, in the child, and what a reader would not see is left out.
"""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from adapters.skills.alarm import at_most
from adapters.skills.closed import shown
from adapters.skills.errors import NoPage, NoText
from adapters.skills.texts import decode
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

    from adapters.skills.job import Job

MOST_LETTERS = 5_500
"""How much is told at once; the answer says where it goes on."""

SECONDS = 5
"""How long a page may take to be set in Markdown; of one that takes longer there are the bare words."""

_AROUND = (
    *(
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "canvas",
        "iframe",
        "object",
        "embed",
        "video",
        "audio",
        "head",
    ),
    *("nav", "footer", "aside", "form", "button", "input", "select", "textarea", "dialog", "menu"),
)
_ROLES = ("navigation", "banner", "contentinfo", "complementary", "search", "dialog")
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?![.\d])", re.IGNORECASE
)
_FEWEST = 200
"""A part of a page that says less than so many letters is not what the page is about."""

_BLANKS = re.compile(r"\n\s*\n\s*\n+")
_MARKUP = frozenset({"text/html", "application/xhtml+xml", ""})
_TEXTS = re.compile(r"text/.*|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|toml|javascript|x-ndjson)")


def page(job: Job) -> Outcome:
    """The page `job.options["body"]` (base64) of the address `job.subject`, from the letter `start` on."""
    options, body = job.options, base64.b64decode(job.options["body"])
    kind, start = options.get("kind", ""), int(options.get("start", "0"))
    if kind == "application/pdf":
        text = _of_pdf(body)
    elif kind in _MARKUP:
        text = _of_markup(body, options.get("charset", ""), job.subject)
    elif _TEXTS.fullmatch(kind):
        text = _decoded(body, options.get("charset", ""))
    else:
        raise NoPage(kind=shown(kind))
    text = text.strip()
    if not text:
        raise NoText(path="That page")
    if start >= len(text):
        return Outcome(f"The page ends before that: it has {len(text):,} letters.")
    part = text[start : start + MOST_LETTERS]
    end = start + len(part)
    more = "" if end == len(text) else f"\n(it goes on: fetch it again from letter {end}, of {len(text):,})"
    return Outcome(part + more)


def _of_pdf(body: bytes) -> str:
    from adapters.skills.pdf import read_pdf  # noqa: PLC0415 - if it is one

    return "\n\n".join(block.text for block in read_pdf(io.BytesIO(body), "That page"))


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset) if charset else decode(body)
    except (LookupError, UnicodeDecodeError):
        return decode(body)


def _of_markup(body: bytes, charset: str, url: str) -> str:
    from bs4 import BeautifulSoup  # noqa: PLC0415 - if it is one
    from markdownify import MarkdownConverter  # noqa: PLC0415

    soup = BeautifulSoup(body, "lxml", from_encoding=charset or None)
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    base = soup.base["href"] if soup.base and soup.base.get("href") else ""
    _strip(soup)
    _link(soup, urljoin(url, str(base)))
    part = _main(soup)
    try:
        with at_most(SECONDS):
            text = MarkdownConverter(
                heading_style="atx", bullets="-", escape_asterisks=False, escape_underscores=False
            ).convert_soup(part)
    except (RecursionError, TimeoutError):  # nested beyond all use
        text = part.get_text("\n")
    lines = (line.rstrip() for line in _BLANKS.sub("\n\n", text).strip().split("\n"))
    body_text = "\n".join(lines)
    return body_text if not title or title in body_text[:300] else f"{title}\n\n{body_text}"


def _strip(soup: BeautifulSoup) -> None:
    """Take out what is not of the page's matter, and what its reader does not see."""
    from bs4 import Comment  # noqa: PLC0415

    for comment in soup.find_all(string=lambda one: isinstance(one, Comment)):
        comment.extract()
    for tag in soup.find_all(True):
        if _is_aside(tag):
            tag.extract()


def _is_aside(tag: Tag) -> bool:
    return (
        tag.name in _AROUND
        or tag.get("role") in _ROLES
        or tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
        or bool(_UNSEEN.search(str(tag.get("style", ""))))
    )


def _link(soup: BeautifulSoup, base: str) -> None:
    """Whole addresses, of pages alone; a picture is what its words say."""
    for tag in soup.find_all("a"):
        try:
            address = urljoin(base, str(tag.get("href", "")))
        except ValueError:
            address = ""
        if address.startswith(("https://", "http://")) and tag.get_text(strip=True):
            tag.attrs = {"href": address.partition("#")[0]}
        else:
            tag.unwrap()
    for picture in soup.find_all("img"):
        picture.replace_with(f"[picture: {picture['alt']}]" if str(picture.get("alt", "")).strip() else "")


def _main(soup: BeautifulSoup) -> Tag:
    """The part that the page is about, as far as the page itself says which that is."""
    for part in (soup.find("main"), soup.find(None, {"role": "main"}), soup.find("article")):
        if part is not None and len(part.get_text(" ", strip=True)) >= _FEWEST:
            return part
    return soup.body or soup
