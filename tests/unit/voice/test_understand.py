"""What a text means: the edges that a corpus of ordinary phrases does not reach."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.language.words import WIDEST_GAP, Phrases, join, split
from core.voice import approval
from core.voice.commands import COMMANDS, READS
from core.voice.intent import LONGEST, Intent, Known, understand
from tests.depth import depth, first
from tests.voice import score

if TYPE_CHECKING:
    from types import FrameType

WORDS = sorted({word for phrase in score.corpus(score.WORK) for word in phrase.text.split()})
CHAT = Intent.CHAT


def command(text: str, known: Known = score.KNOWN) -> str | None:
    return understand(text, known).command


@pytest.mark.parametrize(
    ("text", "intent", "meant"),
    [
        ("/balance", "money", "/balance"),
        ("/Pay@timmy_bot  ann 500 ", "money", "/pay ann 500"),
        ("/task\nwrite a poem", "task", "/task write a poem"),
        ("/voice on", "voice", "/voice on"),
        ("/approve a7k", "approval", "/approve a7k"),
        ("/", "chat", None),
        ("/nonsense", "chat", None),
        (" /balance", "chat", None),
    ],
)
def test_a_typed_command_is_itself(text: str, intent: str, meant: str | None) -> None:
    found = understand(text, score.KNOWN)
    assert (found.intent.value, found.command) == (intent, meant)
    assert found.confidence == (1.0 if meant else 0.5)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("approve A-12", "/approve A-12"),
        ("yes A-1234", "/approve A-1234"),
        ("deny a-3 please", "/deny A-3"),
        ("approve a1", "/approve a1"),
        ("yes a12", None),
        ("no to A-4 paper", None),
        ("don't approve A-1", None),
        ("approve A-12, deny A-13", None),
        ("approve A-12 or A-13", None),
        ("approve A-12, yes, A-12", "/approve A-12"),
    ],
)
def test_an_approval_is_named_as_the_hub_names_it(text: str, meant: str | None) -> None:
    assert command(text) == meant


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0"])
def test_blank_is_unknown(text: str) -> None:
    assert understand(text, score.KNOWN).data() == {
        "intent": "unknown", "confidence": 0.0, "entities": {}, "command": None,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["?", "...", "maybe", "actually", "\ud800", "\U0001f600 \U0001f600", "\u202epay ann"])
def test_what_no_rule_knows_is_chat(text: str) -> None:
    found = understand(text, score.KNOWN)
    assert (found.intent, found.confidence, found.command) == (CHAT, 0.5, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("tomorrow at 9", "tomorrow at 9"),
        ("monday", "monday"),
        ("tonight", "tonight"),
        ("at noon", "at noon"),
        ("next week", "next week"),
        ("every morning", "every morning"),
        ("in 1 minute.", "in 1 minute"),
        ("timmy, tomorrow please", "tomorrow"),
        ("9am", "at 9am"),
        ("7:30?", "at 7:30"),
        ("timmy, nine tomorrow please", "at nine tomorrow"),
        ("7", "at 7"),
        ("half past four", "at half past four"),
    ],
)
def test_a_time_alone_is_talk_and_known_to_be_a_time(text: str, moment: str) -> None:
    found = understand(text, score.KNOWN)
    assert (found.intent, found.command, found.reminder) == (Intent.CHAT, None, None)
    assert found.moment == moment


@pytest.mark.parametrize(
    "text",
    [
        "25",
        "30",
        "9 lives",
        "9 eggs",
        "",
        "please",
        "tomorrow is fine",
        "at noon we eat",
        "hello",
        "show my balance at noon",
    ],
)
def test_what_says_more_than_a_time_is_none(text: str) -> None:
    assert not understand(text, score.KNOWN).moment


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("remember my pin is 1234", "my pin is 1234"), ("Remember I like tea.", "I like tea"),
        ("please remember my birthday is 3 May", "my birthday is 3 May"), ("remember I'm a vegan now", "I'm a vegan now"),
        ("remember that I'm a vegan", "I'm a vegan"), ("remember the printer is called Otto", "the printer is called Otto"),
        ("remember that hunter2 is my password", "hunter2 is my password"), ("remember hunter2 is my password?", None),
        ("remember the card 4111 1111 1111 1111", "the card 4111 1111 1111 1111"), ("remember the summer of 1969", None),
        ("remember the number 4111 1111 1111 1112", None), ("remember we met in Rome", None),
        ("remember my trip to Rome", None), ("remember me?", None), ("remember", None),
        ("remember the time is short", None), ("remember my name is what?", None), ("I remember my dog is old", None),
        ("remember I have the dentist tomorrow at 9", None), ("remember that I leave tomorrow", "I leave tomorrow"),
    ],
)  # fmt: skip
def test_what_lasts_is_remembered_without_a_that_and_old_times_are_talk(text: str, kept: str | None) -> None:
    assert command(text) == (kept and f"/remember {kept}")


@pytest.mark.parametrize(
    "text",
    [
        "cancel task 7 no dont",
        "pay ann 500 sats no wait",
        "if task 7 fails, pay ann 500 sats",
        "when task 9 is done, accept it",
        "bob said please cancel task 7",
        "he told us: pay ann 500 sats",
        "should I pay ann 500 sats",
        "don't pay ann 500 sats",
        "I would never dismiss quill",
        "do not approve a7k",
        "what if I cancel task 7",
        "how do I pay ann 500 sats",
        "carol told me to freeze the wallet",
        "once bob pays, create a task to thank him",
    ],
)
def test_what_is_not_plainly_asked_for_now_does_not_act(text: str) -> None:
    assert not score.acts(command(text)), command(text)


@pytest.mark.parametrize(
    "text",
    [
        "give bob 3 apples",
        "ann should get 8 hours of sleep",
        "pay bob 20 dollars",
        "remove pixel from the photo",
        "we need a second echo in this song",
        "somebody needs to calm down",
        "I need somebody to lean on",
        "can people fly",
        "have helm over for tea",
        "make pixel happy",
        "create a task force",
        "I got a job offer from google",
        "post a job on linkedin",
        "answer the phone out loud",
        "a4a paper is fine",
        "is h2o accepted",
        "don't let d4d happen",
        "my wallet must be in my coat",
    ],
)
def test_words_of_the_field_in_another_sense_do_not_act(text: str) -> None:
    assert not score.acts(command(text)), command(text)


@pytest.mark.parametrize(("text", "answer"), [("y", "yes"), ("Y", "yes"), (" y. ", "yes"), ("n", "no"), ("N!", "no")])
def test_a_letter_alone_answers(text: str, answer: str) -> None:
    assert (understand(text, score.KNOWN), approval.answer(text)) == (understand(answer, score.KNOWN), answer == "yes")


@pytest.mark.parametrize("text", ["y?", "(y)", "y so", "y n", "n that", "why", "x"])
def test_a_letter_in_another_sense_answers_nothing(text: str) -> None:
    assert understand(text, score.KNOWN).intent is CHAT


@pytest.mark.parametrize(
    ("text", "yes"),
    [("no", False), ("yes", True), ("rather not", False), ("task 7", None), ("don't approve A-1", None)],
)
def test_a_bare_answer_is_a_yes_or_a_no(text: str, yes: bool | None) -> None:
    assert approval.answer(text) is yes


@pytest.mark.parametrize(
    ("text", "known", "meant"),
    [
        ("pay dave 500", Known(people=None), "/pay dave 500"),
        ("send 40 sats to dave", Known(people=None), "/pay dave 40"),
        ("pay him 500", Known(people=None), None),
        ("pay dave 500", Known(), None),
        ("dismiss quill two", Known(frozenset({"quill", "quill-2"})), "/dismiss quill-2"),
        ("dismiss quill-3", Known(frozenset({"quill"})), "/dismiss quill-3"),
        ("show #12", Known(tasks=range(1, 20)), "/show T-12"),
        ("show #12", Known(tasks=range(1, 5)), None),
        ("show t 12", Known(), "/show T-12"),
        ("show task zero", Known(), None),
        ("pay ann 0 sats", score.KNOWN, None),
        ("pay ann 9000000000000000 sats", score.KNOWN, None),
        ("pay ann 500sats", score.KNOWN, "/pay ann 500"),
        ("pay ann bob 500 sats", score.KNOWN, None),
        ("spawn a second echo", score.KNOWN, "/spawn echo"),
        ("don't speak out loud", score.KNOWN, "/voice off"),
        ("quill?", score.KNOWN, "/agent quill"),
        ("k5t is a postcode", score.KNOWN, None),
        ("start task 7", score.KNOWN, None),
    ],
)
def test_what_the_hub_knows_counts(text: str, known: Known, meant: str | None) -> None:
    assert command(text, known) == meant


@pytest.mark.parametrize(
    "text",
    [
        "have quill and echo summarise welcome.md",
        "ask quill, echo or seer to write a poem",
        "summarise welcome.md, give it to quill or echo",
        "have quill write a poem and have echo check it",
    ],
)
def test_several_agents_stay_in_the_text_and_none_is_asked_alone(text: str) -> None:
    found = understand(text, score.KNOWN)
    assert found.command == f"/task {text}"
    assert found.entities["task_description"] == text
    assert "agent_name" not in found.entities


def test_agents_that_a_task_is_about_are_not_asked() -> None:
    found = understand("have seer compare quill and echo", score.KNOWN)
    assert (found.command, found.entities["agent_name"]) == ("/task compare quill and echo to=seer", "seer")


def test_a_hub_may_have_many_names() -> None:
    many = frozenset(f"agent{number}" for number in range(5000))
    assert command("dismiss agent4711", Known(many)) == "/dismiss agent4711"


@given(st.text())
def test_any_text_has_a_meaning(text: str) -> None:
    well_formed(text)


@pytest.mark.deep
@settings(max_examples=depth(100, 4_000))
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_any_words_have_a_well_formed_meaning(text: str) -> None:
    well_formed(text)


def well_formed(text: str) -> None:
    found = understand(text, score.KNOWN)
    assert found == understand(text, score.KNOWN)
    assert 0.0 <= found.confidence <= 1.0
    assert set(found.entities) <= {
        "agent_name", "task_description", "task_id", "number", "amount_sats", "actor", "when", "target_file",
    }  # fmt: skip
    assert all(found.entities.values())
    if found.command is not None:
        assert found.command[0] == "/"
        assert found.command[1:].split()[0] in COMMANDS
        assert found.command == found.command.strip()


def test_every_command_that_reads_is_a_command() -> None:
    assert set(COMMANDS) > READS


HOSTILE = [
    "a " * 2000, "and " * 2000, "please " * 2000, "every " * 2000, "thousand " * 2000, "two k " * 2000, "task " * 2000,
    "help with " * 2000, "i dont " * 2000, "send " * 2000, ", " * 2000, "for 5 sats " * 2000, "at " * 2000, "quill " * 2000,
    "create a " * 2000, "x" * 8000, "," * 8000, "in under " * 2000, "no dont " * 2000, "remind me " * 2000,
]  # fmt: skip


@pytest.mark.parametrize("text", first(7, HOSTILE), ids=lambda text: text[:8])
def test_twice_the_text_is_at_most_about_twice_the_work(text: str) -> None:
    words = text.split()
    short, long = (" ".join(words[: LONGEST // share]) for share in (2, 1))
    assert steps(long) <= 2.3 * steps(short) + 2000
    assert steps(text) <= 2.3 * steps(long) + 2000


def steps(text: str) -> int:
    """How many lines of Python run to understand a text."""
    counted = 0

    def count(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal counted
        counted += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        understand(text, score.KNOWN)
    finally:
        sys.settrace(before)
    return counted


def test_a_text_of_any_length_is_answered() -> None:
    assert understand("cancel task 7 " + "x " * 100_000, score.KNOWN).intent is CHAT
    assert understand("x" * 100_000, score.KNOWN).intent is CHAT


def test_phrases_find_the_longest_and_gaps_end_early() -> None:
    phrases = Phrases("call off, call ... off, call, put ... on ice")
    assert phrases.at(["call", "off", "it", "off"], 0) == 2
    assert phrases.at(["call", "the", "whole", "thing", "off", "now"], 0) == 5
    assert phrases.at(["call", "me"], 0) == 1
    assert phrases.at(["put", *["x"] * WIDEST_GAP, "on", "ice"], 0) == WIDEST_GAP + 3
    assert phrases.at(["put", *["x"] * (WIDEST_GAP + 1), "on", "ice"], 0) == 0
    assert phrases.at([], 0) == 0
    assert phrases.find(["please", "call"]) == (1, 2)
    assert phrases.find(["please"]) is None
    assert phrases.covers(["call", "call", "off"])
    assert not phrases.covers(["call", "it"])


def test_words_lose_what_stands_around_them_and_keep_how_they_were_written() -> None:
    assert split("Don\u2019t  (stop), please!") == (["dont", "stop", "please"], ["Don\u2019t", "(stop),", "please!"])
    assert join(["write", "it,", "please."]) == "write it, please"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("brief me", "/briefing"), ("timmy, please brief me", "/briefing"), ("give me my morning briefing", "/briefing"),
        ("every morning at eight brief me", "/every morning at eight /briefing"), ("brief me on whales", None),
        ("the briefing was long", None), ("write a briefing about whales", None), ("bob said brief me", None),
        ("don't brief me", None),
    ],
)  # fmt: skip
def test_a_briefing_is_asked_for_by_itself(text: str, meant: str | None) -> None:
    assert command(text) == meant
