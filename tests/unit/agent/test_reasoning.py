"""What a model thinks is told from what it answers, however its stream is cut, and nothing of an answer is taken for a thought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.agent import reasoning
from core.agent.model import Bounds, ChatMessage, ModelRepeats, Unsaid
from core.agent.reasoning import Reasoning
from tests.depth import depth

if TYPE_CHECKING:
    from collections.abc import Iterable


def told(pieces: Iterable[str], *, begun: bool = False, asked: str = "") -> tuple[str, bool]:
    """What stands in the end, and whether the answer began within a thought."""
    heard, said = Reasoning(begun=begun, named=reasoning.about_thoughts([ChatMessage("user", asked)])), ""
    for one in [*(known for piece in pieces for known in heard.hears(piece)), *heard.over()]:
        said = "" if isinstance(one, Unsaid) else said + one
    return said, heard.begun


CASES = [
    ("Hello.", "Hello."),
    ("\n Hello.", "\n Hello."),
    ("<", "<"),
    ("<thin", "<thin"),
    ("<b>Hello</b>", "<b>Hello</b>"),
    ("<think>They greet.</think>Hello.", "Hello."),
    ("\n<think>\nThey greet.\n</think>\n\nHello.\n", "Hello.\n"),
    ("<think>\n\n</think>\n\nHello.", "Hello."),
    ("<THINKING>a</THINKING> Hello.", "Hello."),
    ("[THINK]They greet.[/THINK]Hello.", "Hello."),
    ("<seed:think>They greet.</seed:think>Hello.", "Hello."),
    ("<think>a</think>\n<think>b</think>\nHello.", "Hello."),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>Hello.", "Hello."),
    ("<|START_THINKING|>a<|END_THINKING|>Hello.", "Hello."),
    ("◁think▷a◁/think▷Hello.", "Hello."),
    ("<|im_start|>Hello.", "<|im_start|>Hello."),
    # Nested, and never closed as often as it was opened.
    ("<think>a<think>b</think>c</think>Hello.", "Hello."),
    ("<think>is <think> a tag?</think>Hello.", "Hello."),
    ("<think>is <think> a tag?</think>It ends with `</think>`, as you see.", "It ends with `</think>`, as you see."),
    # No end, and no answer.
    ("<think>They greet.", ""),
    ("<think>They greet.</thi", ""),
    ("<think>", ""),
    ("<think>a</think>", ""),
    ("<think>a</think>\n\n", ""),
    ("<think>a</think><", "<"),
    # Only what it begins with is a thought.
    ("Well. <think>So?</think> Yes.", "Well. <think>So?</think> Yes."),
    ("```\n<think>a</think>\n```\n", "```\n<think>a</think>\n```\n"),
    ("```\n</think>\n```\nends it.", "```\n</think>\n```\nends it."),
    ("`<think>` begins a thought, and\n</think>\nends it.", "`<think>` begins a thought, and\n</think>\nends it."),
    ("<think>a</think>Write\n</think>\nat its end.", "Write\n</think>\nat its end."),
    ("A thought ends with </think>\nas you see.", "A thought ends with </think>\nas you see."),
    # Its beginning stands in the template.
    ("They greet.\nSo I greet.\n</think>\n\nHello.", "Hello."),
    ("They greet.\n</think>\nHello.\n</think>\nBye.", "Hello.\n</think>\nBye."),
    ("</think>\n\nHello.", "Hello."),
    ("They greet.\n</think>\n<think>Hm.</think>\nHello.", "Hello."),
    # Nothing follows it: then that was the answer.
    ("In full.\n</think>", "In full."),
    ("In full.\n</think>\n\n", "In full."),
    ("In full.\n</think>\n<think>Done?</think>", "In full."),
    ("In full.\n</think>\n<think>a<think>b</think>c</think>", "In full."),
    ("\n</think>\n", ""),
    # Another mark, or one within a line, is what it says.
    ("An XML doc:\n<a>\n</reasoning>\n</a> rest", "An XML doc:\n<a>\n</reasoning>\n</a> rest"),
    ("An end:\n[/THINK]\nrest", "An end:\n[/THINK]\nrest"),
    ("They greet.</think>Hello.", "They greet.</think>Hello."),
    ("See:\n```\n</think>\n```\nSo.\n</think>\nHello.", "Hello."),
]


@pytest.mark.parametrize(("text", "answer"), CASES)
def test_only_the_answer_is_left(text: str, answer: str) -> None:
    assert told([text])[0] == answer
    assert told(text)[0] == answer, "letter by letter"
    assert told(text, begun=True)[0] == answer, "kept back, since the last answer was a thought first"


@pytest.mark.parametrize("asked", ["What is </think> for?", "Which mark follows <THINK>?"])
@pytest.mark.parametrize(
    "text", ["It ends a thought:\n\n</think>\n\nThen it answers.", "</think>\n\nends it.", "\n</think>\n"]
)
def test_what_is_asked_about_a_mark_is_answered_with_it(asked: str, text: str) -> None:
    assert told([text], asked=asked) == (text, False)
    assert told(text, asked=asked) == (text, False)
    assert told(text, asked="What is a thought?") != (text, False), "where nobody spoke of it, it is one"
    thinks = f"They ask.\n</think>\n\nWell. {text}"
    assert told(thinks, begun=True, asked=asked) == (f"Well. {text}", True), (
        "of a model that is known to begin with one"
    )
    assert told(f"<think>They ask.</think>{text}", asked=asked) == (text.lstrip(), False)


MARKS = ["<think>", "</think>", "[THINK]", "[/THINK]", "<thi", "\n", " ", "```", "`", "Hello.", "So?", "<"]
TEXTS = st.lists(st.sampled_from(MARKS), max_size=12).map("".join)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=5), st.booleans(), st.sampled_from(["", "</think>?"]))
@example("a\n</think>", [11], False, "")
@settings(max_examples=depth(60, 3000))
def test_it_means_the_same_however_it_is_cut(text: str, cuts: list[int], begun: bool, asked: str) -> None:
    places = sorted(cuts)
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert told(pieces, begun=begun, asked=asked) == told([text], begun=begun and bool(asked), asked=asked)
    assert told([text], begun=begun, asked=asked)[0].strip() in text


@given(st.text(max_size=300).filter(lambda text: not reasoning._IS_EITHER.search(text)))
def test_what_has_no_mark_is_left_as_it_is(text: str) -> None:
    assert told(text)[0] == (text if text.strip() else "")
    assert told(text, begun=True) == (text if text.strip() else "", False)


def test_a_model_that_was_seen_to_begin_within_a_thought_is_kept_back() -> None:
    text = "They greet.\n</think>\n\nHello."
    assert told([text]) == ("Hello.", True)
    heard = Reasoning(begun=True)
    assert list(heard.hears("They greet.")) == []
    assert list(heard.hears("\n</think>\n\nHel")) == ["Hel"]
    assert list(heard.hears("lo.")) == ["lo."]
    assert list(heard.over()) == []
    assert heard.begun
    assert told(["Hello", " there."], begun=True) == ("Hello there.", False), "this one did not think"
    assert told(["<think>a</think>Hello."], begun=True) == ("Hello.", False)
    assert told(["a\n</think>\n<think>b</think>Hello."], begun=True) == ("Hello.", True)
    assert told(["Hello.\n</think>\n"]) == ("Hello.", False), "that one was none"


CALL = object()


def told_with(*pieces: str | object, begun: bool = False) -> tuple[str, bool]:
    """The same where a tool is called among the pieces."""
    heard, said = Reasoning(begun=begun), ""
    for piece in pieces:
        for one in heard.hears(piece) if isinstance(piece, str) else heard.calls():
            said = "" if isinstance(one, Unsaid) else said + one
    return said + "".join(one for one in heard.over() if isinstance(one, str)), heard.begun


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_said_before_a_call_and_behind_it_is_not_lost(begun: bool) -> None:
    assert told_with("I look it up.", CALL, " It is", " nine.", begun=begun) == ("I look it up. It is nine.", False)
    assert told_with("Look", " up.\n</thi", "nk>", CALL, begun=begun) == ("", True), "that was the thought before it"
    assert told_with("Look it up.\n</think>\n\n", CALL, begun=begun) == ("", True)
    assert told_with("Look it up.\n</think>\nI do. ", CALL, "Done.", begun=begun) == ("I do. Done.", True)
    assert told_with("I do.", CALL, " Done.\n</think>\n", begun=begun) == ("I do. Done.", False)
    assert told_with(CALL, begun=begun) == ("", False)


def test_blanks_without_end_are_said() -> None:
    heard = Reasoning()
    assert list(heard.hears(" " * 999)) == []
    assert list(heard.hears("\n")) == [" " * 999 + "\n"]


def test_so_much_is_kept_back_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bounds().characters > reasoning.MOST_HELD, "the loop's own bound counts what is said then"
    monkeypatch.setattr(reasoning, "MOST_HELD", 100)
    heard = Reasoning(begun=True)
    assert list(heard.hears("x" * 100)) == []
    assert list(heard.hears("y")) == ["x" * 100 + "y"]
    assert list(heard.hears("z")) == ["z"]
    assert list(heard.hears("\n</think>\nHello.")) == ["\n</think>\nHello.", Unsaid.ALL, "Hello."]
    assert len(told(["<think>", *["x" * 50] * 10, "</think>Hello."])[0]) == 6


@pytest.mark.parametrize(("start", "begun"), [("<think>", False), ("<think>", True), ("", True)])
def test_a_thought_that_says_the_same_again_and_again_is_ended(start: str, begun: bool) -> None:
    with pytest.raises(ModelRepeats):
        told([start, *["But wait, is it nine? "] * 200], begun=begun)
