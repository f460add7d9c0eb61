"""A reminder of which half was not said is asked for at once, with words that can be copied; what only sounds like one is talk."""

from __future__ import annotations

import pytest

from core.voice.intent import understand
from core.voice.schedule import completed
from tests.voice.score import KNOWN

WHEN = "remind me tomorrow at 9"


@pytest.mark.parametrize(
    ("said", "question", "example"),
    [
        ("remind me to call mum", "When shall I remind you to call mum?", f"{WHEN} to call mum"),
        ("can you remind me later to buy milk?", "When shall I remind you to buy milk?", f"{WHEN} to buy milk"),
        ("remind me about the rent", "When shall I remind you about the rent?", f"{WHEN} about the rent"),
        ("set a reminder for the dentist", "When shall I remind you of the dentist?", f"{WHEN} for the dentist"),
        ("don't let me forget to buy milk", "When shall I remind you to buy milk?", f"{WHEN} to buy milk"),
        ("Remind me.", "Of what shall I remind you, and when?", f"{WHEN} to call mum"),
        ("remind me later", "Of what shall I remind you, and when?", f"{WHEN} to call mum"),
        ("remind me at 9", "Of what shall I remind you at 9?", "remind me at 9 to call mum"),
        ("remind me every monday", "Of what shall I remind you every monday?", "remind me every monday to call mum"),
        ("wake me tomorrow", "At what time tomorrow shall I wake you?", "wake me tomorrow at 7"),
        ("wake me up every day", "At what time every day shall I wake you?", "wake me every day at 7"),
        ("please wake me up early", "At what time shall I wake you?", "wake me tomorrow at 7"),
        ("set an alarm for work", "At what time shall I wake you?", "wake me tomorrow at 7"),
        ("wake me for the game", "At what time shall I wake you?", "wake me tomorrow at 7"),
        ("set an alarm for tomorrow", "At what time tomorrow shall I wake you?", "wake me tomorrow at 7"),
        ("set an alarm for 7 tomorrow", "At what time shall I wake you?", "wake me tomorrow at 7"),
    ],
)
def test_what_was_not_said_is_asked_for(said: str, question: str, example: str) -> None:
    meant = understand(said, KNOWN)
    assert (meant.command, meant.reminder, meant.unsaid) == (None, None, (question, example))
    assert understand(example, KNOWN).reminder, "it can be copied"


@pytest.mark.parametrize(
    ("said", "reminder"),
    [
        ("wake me up at seven tomorrow", "/at seven tomorrow remind me: wake up"),
        ("wake me in 20 minutes", "/at in 20 minutes remind me: wake up"),
        ("wake me at noon", "/at noon remind me: wake up"),
        ("set an alarm every day at 7", "/every day at 7 remind me: wake up"),
        ("set an alarm for tomorrow at 7", "/at tomorrow at 7 remind me: wake up"),
    ],
)
def test_to_be_woken_is_a_reminder(said: str, reminder: str) -> None:
    assert understand(said, KNOWN).reminder == reminder


@pytest.mark.parametrize(
    "said",
    [
        "what did I ask you to remind me of", "what did you remind me about", "did you remind me to call mum",
        "why did you not remind me to call mum", "I asked you to remind me to call mum", "don't remind me to call mum",
        "never remind me", "remind me of the capital of France", "remind me who wrote Hamlet", "remind me about what we said",
        "remind me again", "you remind me of a robot", "notify me about new tasks", "if it rains remind me to take an umbrella",
        "remind me to call mum, no wait", "wake me up when september ends", "wake me up before you go", "don't wake me",
        "did you wake me", "my alarm went off too early this morning",
        "set an alarm for the server", "set an alarm for the server every day at 7", "I need an alarm for the door",
    ],
)  # fmt: skip
def test_what_asks_for_no_reminder_is_not_asked_back(said: str) -> None:
    meant = understand(said, KNOWN)
    assert (meant.command, meant.reminder, meant.unsaid) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "reminder"),
    [
        (["wake me tomorrow", "at 9"], "/at tomorrow at 9 remind me: wake up"),
        (["wake me tomorrow", "tomorrow at 9"], "/at tomorrow at 9 remind me: wake up"),
        (["wake me tomorrow please.", "9am"], "/at tomorrow at 9am remind me: wake up"),
        (["wake me tomorrow", "on friday at noon"], "/at on friday at noon remind me: wake up"),
        (["wake me tomorrow", "in 8 hours"], "/at in 8 hours remind me: wake up"),
        (["wake me", "tomorrow", "half past seven"], "/at tomorrow at half past seven remind me: wake up"),
        (["wake me tomorrow", "in the morning", "at 7"], "/at tomorrow in the morning at 7 remind me: wake up"),
        (["wake me for the game", "at 8"], "/at 8 remind me: wake up"),
        (["set an alarm for 7 tomorrow", "at 7"], "/at tomorrow at 7 remind me: wake up"),
        (["set an alarm for tomorrow", "tomorrow at 7"], "/at tomorrow at 7 remind me: wake up"),
        (["remind me to call mum", "7:30"], "/at 7:30 remind me: call mum"),
        (["remind me to call mum.", "every monday"], "/every monday remind me: call mum"),
    ],
)
def test_a_time_said_after_it_completes_it(said: list[str], reminder: str) -> None:
    *before, time = said
    text = completed(reversed(before), time, lambda one: understand(one, KNOWN))
    assert text is not None
    assert understand(text, KNOWN).reminder == reminder


def test_one_that_has_no_thing_is_asked_for_that_with_the_time_it_has_now() -> None:
    text = completed(["remind me at 8"], "at 9", lambda one: understand(one, KNOWN))
    assert text == "remind me at 9"


@pytest.mark.parametrize("before", [[], ["hello"], ["tomorrow"], ["at 7", "wake me tomorrow"], ["thanks", "wake me"]])
def test_a_time_after_anything_else_completes_nothing(before: list[str]) -> None:
    assert completed(before, "at 9", lambda one: understand(one, KNOWN)) is None
