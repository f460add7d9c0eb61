"""Rich text over texts of every kind: 10,000 made by a fast seeded maker (2,000 in `make test`), and some by Hypothesis,
which shrinks.

Each piece's HTML is read back by a strict reader written here, from Telegram's rules and not from our writer.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the same texts for ever
import re
import unicodedata
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.markup import Rich, cut, html, pieces, read, speech
from core.chat import Mark, Style
from tests.depth import depth, first

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20_250_401
TEXTS = depth(1_000, 10_000)
BATCHES = 4

ATOMS = [
    *("word", "sats", "T-12", "9,960", "a", "I", "naïve", "e\u0301", "o\u0308\u0323", "クラウド", "中文字", "한국어"),
    *("\u1112\u1161\u11ab"),
    *("שלום", "مرحبا بالعالم", "\u202eRTL\u202c", "क्षि", "ก็", "\u200f", "\u00ad", "\ufeff"),
    *("😀", "👩\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "👍🏽", "🇩🇪", "🇩🇪🇫🇷🇯🇵"),
    *("🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "1️⃣"),
    *("𝕏", "𐍈", "\U0010fffd", "\ud83d", "\udc00", "\x00", "\x1b[31m", "\r", "\r\n", "\t", "\u2028", "\u00a0", "\x0b"),
    *("<b>", "</b>", "<script>alert(1)</script>", "<", ">", "&", "&amp;", "&lt;", "&#x41;", "&quot;", "&nosuch;"),
    *("<!--", "-->", '"', "'"),
    *("*", "**", "_", "__", "`", "``", "```", "```python\n", "\n```\n", "~~~", "~~"),
    *("# ", "## ", "\n# ", "\n- ", "\n* ", "\n1. ", "\n> "),
    *("\n\n", "\n", "\n\n\n", " ", "  ", "    ", "\n    ", "\\", "\\*", "[", "](", ")", "![", "[a](https://x.y/z)", "[t]: /u", "<http://a.b>"),
    *("|", "\n|a|b|\n|-|:-:|\n|1|2|3|\n", "---\n", "===\n", "***", "https://a.b/c?d=e&f=g", "a@b.c", "x" * 90, "lorem ipsum " * 9),
]  # fmt: skip
STYLES = list(Style)
LANGUAGES = ["", "python", "c++", 'x"><b>', "ж", "a" * 31, "x"]


def units(text: str) -> int:
    return sum(1 + (char > "\uffff") for char in text)


class Strict:
    """Reads what Telegram takes: the four tags, closed in order, nothing in code or pre but a language; four entities."""

    TOKEN = re.compile(r'<(/?)([a-z]+)(?: class="language-([A-Za-z0-9_+-]{1,30})")?>|&(amp|lt|gt);|[^<>&]+')
    ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}  # noqa: RUF012 - never changed

    def __init__(self, source: str) -> None:
        said: list[str] = []
        self._open: list[tuple[str, int]] = []
        self._length = at = 0
        for found in self.TOKEN.finditer(source):
            assert found.start() == at, f"not HTML for Telegram: {source[at : at + 30]!r}"
            at = found.end()
            closing, tag, language, entity = found.groups()
            if entity or not tag:
                said.append(self.ENTITIES[entity] if entity else found[0])
                self._length += len(said[-1])
            elif closing:
                name, start = self._open.pop()
                assert name == tag
                assert self._length > start, "an empty stretch"
            else:
                self._opened(tag, language)
        assert at == len(source), f"not HTML for Telegram: {source[at : at + 30]!r}"
        assert not self._open, "left open"
        self.text = "".join(said)

    def _opened(self, tag: str, language: str | None) -> None:
        names = [name for name, _ in self._open]
        assert tag in {"b", "i", "code", "pre", "blockquote"}
        assert tag not in names, "in itself"
        inside = names[-1:] == ["pre"] and self._open[-1][1] == self._length
        assert (tag == "code" and inside) if language else True
        assert language or not {"code", "pre"} & set(names), "code holds no tags"
        self._open.append((tag, self._length))


def marks_for(dice: random.Random, length: int) -> tuple[Mark, ...]:
    def one() -> Mark:
        start = dice.randrange(-2, length + 3)
        return Mark(
            start, start + dice.randrange(-1, dice.choice([3, 30, 3000])), dice.choice(STYLES), dice.choice(LANGUAGES)
        )

    return tuple(one() for _ in range(dice.choice([0, 1, 2, 5, 12])))


def check_rich(rich: Rich) -> None:
    held: list[Mark] = []
    for mark in rich.marks:
        assert 0 <= mark.start < mark.end <= len(rich.text)
        held = [one for one in held if one.end > mark.start]
        assert all(mark.end <= one.end and one.style not in {mark.style, Style.CODE, Style.PRE} for one in held)
        held.append(mark)
    rich.text.encode()
    assert Strict(html(rich)).text == rich.text
    assert len("".join(text for _, text in pieces(rich))) == len(rich.text)


def check_cut(rich: Rich, most: int, size: int) -> None:
    found = cut(rich, most, size)
    assert "".join(piece.text for piece in found) == rich.text
    at = 0
    for piece in found:
        source = html(piece)
        assert piece.text
        assert units(piece.text) <= most
        assert len(source.encode()) <= size
        assert Strict(source).text == piece.text
        end = at + len(piece.text)
        covered = [m for m in rich.marks if m.start < end and m.end > at]
        assert [(m.start + at, m.end + at, m.style, m.language) for m in piece.marks] == [
            (max(m.start, at), min(m.end, end), m.style, m.language) for m in covered
        ]
        if piece.blank and most >= 300 and size >= 1000 and end < len(rich.text):
            assert units(piece.text) > most // 4, "it could have gone with a neighbour"
        at = end


def check_read(markdown: str) -> Rich:
    rich = read(markdown)
    check_rich(rich)
    check_kept(markdown, rich)
    return rich


def check_kept(markdown: str, rich: Rich) -> None:
    """Entities apart, each letter and sign is there as often as it was written."""
    if "&" not in markdown:
        shown = Counter(rich.text + "".join(mark.language for mark in rich.marks))
        written = Counter(char for char in markdown if unicodedata.category(char) in {"Ll", "Lu", "Lo", "So"})
        assert not written - shown, "lost"


def check_speech(rich: Rich) -> None:
    said = speech(rich)
    assert len(said.split()) <= 60
    assert len(said) <= 600
    assert not set(said) & set('<>*`_[](){}|│•·…←#\\/@~^="\n\ud83d')
    assert "://" not in said
    assert said or rich.blank


def check(dice: random.Random, text: str) -> None:
    rich = Rich(text, marks_for(dice, len(text)))
    check_rich(rich)
    check_cut(rich, dice.choice([2, 3, 16, 50, 300, 1024, 4096]), dice.choice([128, 200, 1000, 32 * 1024]))


@pytest.mark.deep
@pytest.mark.parametrize("batch", range(BATCHES))
def test_pieces_are_valid_and_nothing_is_lost(batch: int) -> None:
    dice = random.Random(SEED + batch)  # noqa: S311 - as above
    flagged = 0
    for number in range(TEXTS // BATCHES):
        text = "".join(dice.choices(ATOMS, k=dice.choice([0, 1, 2, 4, 8, 16, 32])))
        try:
            check(dice, text)
            if number % 3 == 0:
                rich = check_read(text)
                check_cut(rich, 40, 300)
                check_speech(rich)
        except AssertionError as error:
            error.add_note(f"batch {batch}, text {number}: {text!r}")
            raise
        flagged += not text.isascii()
    assert flagged > TEXTS // BATCHES // 2, "the texts are plainer than meant"


TEXT: st.SearchStrategy[str] = st.lists(st.sampled_from(ATOMS) | st.text(max_size=5), max_size=30).map("".join)


@pytest.mark.deep
@settings(max_examples=depth(50, 1_500), deadline=None)
@given(TEXT, st.randoms(use_true_random=False))
def test_any_text_and_marks(text: str, dice: random.Random) -> None:
    check(dice, text)


@pytest.mark.deep
@settings(max_examples=depth(50, 1_500), deadline=None)
@given(TEXT)
def test_any_markdown(text: str) -> None:
    check_speech(check_read(text))


LONG: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "[" * n,
    "pictures": lambda n: "![" * (n // 2),
    "links": lambda n: "[a](" * (n // 4),
    "labels in labels": lambda n: "[" * (n // 5) + "](u)" * (n // 5),
    "quotes": lambda n: ">" * n,
    "lists in lists": lambda n: "- " * (n // 2),
    "stars": lambda n: "*a_ " * (n // 4),
    "a cell wider than all": lambda n: "|a|b|\n|-|-|\n|" + "x" * (n // 2) + "|y|\n" + "|x|y|\n" * (n // 12),
    "many columns": lambda n: "|" * (n // 3) + "\n" + "|-" * (n // 6) + "\n" + "|\n" * (n // 6),
    "lines under deep quotes": lambda n: "> " * 40 + "a\n" * (n // 2),
}


@pytest.mark.parametrize("text", first(5, [partial(make, 6000) for make in LONG.values()]), ids=LONG)
def test_hostile_markdown_stays_small_and_loses_nothing(text: Callable[[], str]) -> None:
    rich = read(text())
    check_rich(rich)
    check_kept(text(), rich)
    assert len(rich.text) < 20 * 6000
