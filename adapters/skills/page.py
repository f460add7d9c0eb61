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
    from lxml.html import HtmlElement

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

_TITLED = 300
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
    from lxml.etree import ParserError  # noqa: PLC0415 - if it is one
    from lxml.html import HTMLParser, document_fromstring  # noqa: PLC0415

    text = _decoded(body, charset or _declared(body))
    try:
        page = document_fromstring(text.encode(), parser=HTMLParser(encoding="utf-8", huge_tree=True))
    except ParserError:  # there is nothing in it
        return ""
    title = " ".join((page.findtext(".//title") or "").split())
    base = page.find(".//base[@href]")
    address = url if base is None else urljoin(url, base.get("href", ""))
    _strip(page)
    _link(page, address)
    lines = (line.rstrip() for line in _BLANKS.sub("\n\n", _markdown(_main(page))).strip().split("\n"))
    matter = "\n".join(lines)
    return matter if not title or title in matter[:_TITLED] else f"{title}\n\n{matter}"


def _declared(body: bytes) -> str:
    """The encoding that a page itself says it has."""
    from bs4.dammit import EncodingDetector  # noqa: PLC0415 - as above

    return EncodingDetector.find_declared_encoding(body, is_html=True) or ""


def _markdown(part: HtmlElement) -> str:
    from bs4 import BeautifulSoup  # noqa: PLC0415 - as above
    from lxml.html import tostring  # noqa: PLC0415
    from markdownify import MarkdownConverter  # noqa: PLC0415

    setting = MarkdownConverter(heading_style="atx", bullets="-", escape_asterisks=False, escape_underscores=False)
    try:
        with at_most(SECONDS):
            return str(setting.convert_soup(BeautifulSoup(tostring(part, encoding="unicode"), "lxml")))
    except (RecursionError, TimeoutError):  # nested, or in pieces, beyond all use
        return str(part.text_content())


def _strip(page: HtmlElement) -> None:
    """Take out what is not of the page's matter, and what its reader does not see."""
    from lxml.etree import Comment, ProcessingInstruction, strip_elements  # noqa: PLC0415 - as above

    strip_elements(page, Comment, ProcessingInstruction, *_AROUND, with_tail=False)
    for tag in [tag for tag in page.iter() if _is_aside(tag)]:
        if tag.getparent() is not None:
            tag.drop_tree()


def _is_aside(tag: HtmlElement) -> bool:
    return (
        tag.get("role") in _ROLES
        or tag.get("hidden") is not None
        or tag.get("aria-hidden") == "true"
        or bool(_UNSEEN.search(tag.get("style", "")))
    )


def _link(page: HtmlElement, base: str) -> None:
    """Whole addresses, of pages alone; a picture is what its words say."""
    for tag in page.iter("a", "img"):
        if tag.tag == "img":
            words = " ".join(tag.get("alt", "").split())
            tag.tag, tag.text = "span", f"[picture: {words}]" if words else ""
            continue
        try:
            address = urljoin(base, tag.get("href", "")).partition("#")[0]
        except ValueError:
            address = ""
        tag.attrib.clear()
        if address.startswith(("https://", "http://")):
            tag.set("href", address)


def _main(page: HtmlElement) -> HtmlElement:
    """The part that the page is about, as far as the page itself says which that is."""
    for part in page.xpath("(//main)[1] | (//*[@role='main'])[1] | (//article)[1]"):
        if len(part.text_content()) >= _FEWEST:
            return part
    return page.body if page.find("body") is not None else page
