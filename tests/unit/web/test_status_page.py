"""What the page makes of texts: their beginning, and no more."""

from __future__ import annotations

import pytest

from adapters.web.picture import MOST_LINES, MOST_WORDS, _beginning
from adapters.web.status_page import STATIC


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("  one\n", "one"),
        ("\n".join("abcdefgh"), "\n".join("abcdefgh")),
        ("\n".join("abcdefghi"), "\n".join("abcdefgh") + " …"),
        ("x" * MOST_WORDS, "x" * MOST_WORDS),
        ("x" * (MOST_WORDS + 1), "x" * MOST_WORDS + " …"),
        ("x" * 100_000, "x" * MOST_WORDS + " …"),
    ],
)
def test_the_beginning_of_a_text_has_few_lines_and_characters(text: str, shown: str) -> None:
    assert _beginning(text) == shown
    assert len(shown.splitlines()) <= MOST_LINES


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    html, style, script = ((STATIC / name).read_text() for name in ("page.html", "page.css", "page.js"))
    assert "<style" not in html
    assert " style=" not in html
    assert " on" not in "".join(part.split(">")[0] for part in html.split("<"))
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    for source in (style, script):
        assert "://" not in source
    assert "url(" not in style
    for markup in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert markup not in script
