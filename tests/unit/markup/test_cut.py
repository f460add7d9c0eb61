"""Where a long text is cut."""

from __future__ import annotations

import pytest

from adapters.markup import Rich, cut, html
from core.chat import Mark, Style


def texts(text: str, units: int, size: int = 32 * 1024) -> list[str]:
    return [piece.text for piece in cut(Rich(text), units, size)]


@pytest.mark.parametrize(
    ("text", "units", "expected"),
    [
        ("", 10, []),
        ("short", 10, ["short"]),
        ("one two\n\nthree", 12, ["one two\n\n", "three"]),
        ("one two\nthree", 12, ["one two\n", "three"]),
        ("one two three", 12, ["one two ", "three"]),
        ("onetwothree", 6, ["onetwo", "three"]),
        ("abcdef ghi", 6, ["abcdef", " ghi"]),
        ("abc😀", 4, ["abc", "😀"]),
        ("abce\u0301", 4, ["abc", "e\u0301"]),
        ("ab👩\u200d👧", 6, ["ab", "👩\u200d👧"]),
        ("🇩🇪🇫🇷🇯🇵", 6, ["🇩🇪", "🇫🇷", "🇯🇵"]),
        ("abc👍🏽", 6, ["abc", "👍🏽"]),
        ("a" + "\u0301" * 200, 100, ["a" + "\u0301" * 99, "\u0301" * 100, "\u0301"]),
        ("ab\r\n", 3, ["ab", "\r\n"]),
    ],
)
def test_where(text: str, units: int, expected: list[str]) -> None:
    assert texts(text, units) == expected


def test_a_caption_is_cut_the_same_way() -> None:
    assert [len(text) for text in texts("x" * 2100, 1024)] == [1024, 1024, 52]


def test_bytes_count_after_escaping() -> None:
    assert texts("&" * 100, 4096, 200) == ["&" * 40, "&" * 40, "&" * 20]


def test_code_over_a_cut_is_code_on_both_sides() -> None:
    rich = Rich("say\n" + "x = 1\n" * 6, (Mark(4, 40, Style.PRE, "python"),))
    found = [html(piece) for piece in cut(rich, 20)]
    assert found[0] == 'say\n<pre><code class="language-python">x = 1\nx = 1\n</code></pre>'
    assert found[1] == '<pre><code class="language-python">x = 1\nx = 1\nx = 1\n</code></pre>'


def test_code_goes_whole_to_the_next_piece_when_little_of_it_fits() -> None:
    rich = Rich("a few words here\nx = 1\n\ny = 2", (Mark(17, 29, Style.PRE),))
    assert [piece.text for piece in cut(rich, 26)] == ["a few words here\n", "x = 1\n\ny = 2"]


def test_white_space_that_fits_nowhere_is_a_blank_piece() -> None:
    found = cut(Rich("abcd\n\n"), 4)
    assert [(piece.text, piece.blank) for piece in found] == [("abcd", False), ("\n\n", True)]


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u2060", "\u3164", "\u2800", "\ufe0f"])
def test_blank(text: str) -> None:
    assert Rich(text).blank
    assert not Rich(text + ".").blank


def test_marks_are_put_in_order() -> None:
    rich = Rich(
        "abcdef", (Mark(2, 9, Style.ITALIC), Mark(-1, 4, Style.BOLD), Mark(1, 3, Style.BOLD), Mark(5, 5, Style.CODE))
    )
    assert rich.marks == (Mark(0, 4, Style.BOLD), Mark(2, 4, Style.ITALIC))
