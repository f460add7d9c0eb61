"""What a voice says."""

from __future__ import annotations

import pytest

from adapters.markup import Rich, read, speech, whole
from core.chat import Mark, Style


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I asked you as A-12", "I asked you as question 12."),
        ("T-12 settled: quill was paid 40 sats", "task 12 settled: quill was paid 40 sats."),
        ("9,960 sats free, 1,234,567 held", "9960 sats free, 1234567 held."),
        ("1,5 or 12,34 or 3.14", "1,5 or 12,34 or 3.14."),
        ("quill  40 sats  ← won", "quill 40 sats won."),
        ("a · b … │ • c", "a b c."),
        ("Done 🎉👩\u200d👧 1️⃣", "Done 1."),
        ("See https://a.b/c_d?e=f. Then rest", "See a link. Then rest."),
        ("Read [the guide](https://a.b/c_(d)) now", "Read the guide now."),
        ("When done: /deliver T-3 RESULT", "When done: deliver task 3 RESULT."),
        ("50% & more", "50 percent and more."),
        ("-40 or +45 at 22-30", "minus 40 or plus 45 at 22-30."),
        ("Paid telegram:12345 and @ann:example.org", "Paid somebody and somebody."),
        ("Hash 3f9a0c1d2e4b5a69 was paid", "Hash was paid."),
        ("Use `make test`, not `rm -rf /; x`", "Use make test, not some code."),
        ("# Two ways\n\n- one\n- two\n\n1. three", "Two ways. one. two. 1, three."),
        ("Look:\n```py\nx = [1]\n```\nThen:\n```\ny\n```", "Look: There is code in the chat. Then:"),
        ("Look:\n\n|a|b|\n|-|-|\n|1|2|", "Look: There is a table in the chat."),
        ("It's the user's — really", "It's the user's, really."),
        ("**Wichtig**: Größe in café, 中文。", "Wichtig: Größe in café, 中文。"),
        ("שלום עולם", "שלום עולם."),
        ("नमस्ते", "नमस्ते."),
        ("🎉", "The answer is in the chat."),
        ("", ""),
    ],
)
def test_said(text: str, said: str) -> None:
    assert speech(read(text)) == said


def test_a_long_answer_ends_with_a_sentence_and_points_to_the_chat() -> None:
    said = speech(read("This sentence has exactly six words. " * 20))
    assert said == "This sentence has exactly six words. " * 9 + "More in the chat."


def test_a_sentence_without_end_is_cut_after_a_word() -> None:
    said = speech(Rich("word " * 100))
    assert said == " ".join(["word"] * 56) + ". More in the chat."


def test_a_text_without_spaces_is_bounded_too() -> None:
    assert len(speech(Rich("字" * 5000))) <= 600


def test_a_long_code_block_does_not_hide_what_follows() -> None:
    code = "x = 1\n" * 3000
    assert speech(Rich(code + "Done.", (Mark(0, len(code), Style.PRE, "py"),))).startswith("There is code in the chat.")


@pytest.mark.parametrize(
    ("text", "all_of_it"),
    [
        ("T-12 settled: quill was paid 40 sats", True), ("Use `make test`", True), ("", True), ("word " * 61, False),
        ("Use `rm -rf /; x`", False), ("Look:\n```\ny\n```", False), ("|a|b|\n|-|-|\n|1|2|", False), ("🎉", False),
    ],
)  # fmt: skip
def test_a_voice_knows_whether_it_says_all(text: str, all_of_it: bool) -> None:
    assert whole(read(text)) is all_of_it
