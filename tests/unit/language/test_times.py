"""Times and durations as people say them."""

from __future__ import annotations

import pytest

from core.language.moments import is_repeated, read_when
from core.language.times import read_deadline, read_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("ten minutes", "10m"),
        ("about ten minutes", "10m"),
        ("an hour", "1h"),
        ("half an hour", "30m"),
        ("a half hour", "30m"),
        ("half a day", "12h"),
        ("a quarter of an hour", "15m"),
        ("half a week", None),
        ("an hour and a half", "90m"),
        ("a couple of days", "2d"),
        ("a week", "7d"),
        ("two weeks", "14d"),
        ("90s", "90s"),
        ("0s", None),
        ("45 seconds", "45s"),
        ("zero minutes", None),
        ("ten apples", None),
        ("the hour", None),
        ("", None),
    ],
)
def test_durations(text: str, duration: str | None) -> None:
    found = read_duration(text.split(), 0)
    assert (None if found is None else str(found)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("within two hours please", "2h"),
        ("in under ten minutes", "10m"),
        ("in no more than a day", "1d"),
        ("within reason", None),
        ("after two hours", None),
    ],
)
def test_deadlines(text: str, duration: str | None) -> None:
    found = read_deadline(text.split(), 0)
    assert (None if found is None else str(found)) == duration


@pytest.mark.parametrize(
    "when",
    [
        "every morning",
        "every morning at eight",
        "every other day",
        "every thirty minutes",
        "every half hour",
        "every monday and friday at 9am",
        "every first of the month",
        "every first monday of the month",
        "every last day of the month",
        "every first of may",
        "every 3rd may",
        "each weekday",
        "at nine",
        "at 9",
        "at nine thirty",
        "at 16:15",
        "at 16.15",
        "at 9:30pm",
        "at 9pm",
        "at six oclock sharp",
        "at about six pm",
        "at half past four",
        "at quarter to five",
        "at ten past six in the morning",
        "at twenty minutes to nine",
        "at noon",
        "at night",
        "at nine every day",
        "in ten minutes",
        "in about an hour",
        "in the evening",
        "on monday",
        "on mondays at ten",
        "on next friday",
        "on the first of the month",
        "on the 3rd of march",
        "on march 3rd at noon",
        "on march 3",
        "next tuesday at noon",
        "this evening",
        "tomorrow",
        "tomorrow morning at nine",
        "tomorrow afternoon at three",
        "tonight at ten",
        "friday at five",
        "the day after tomorrow at noon",
    ],
)
def test_a_time_is_read_to_its_end_and_no_further(when: str) -> None:
    words = when.split()
    assert read_when([*words, "show", "tasks"], 0) == len(words)
    assert read_when(words, 0) == len(words)


@pytest.mark.parametrize(
    "text",
    [
        "every payment",
        "at most 50",
        "at 25:00",
        "at 9:75",
        "at 30",
        "at 99pm",
        "in the house",
        "in may",
        "on the table",
        "on march",
        "on time",
        "this task",
        "the day before",
        "yesterday",
        "half past four",
        "at",
        "every",
    ],
)
def test_what_is_no_time_is_not_read(text: str) -> None:
    assert read_when(text.split(), 0) == 0


def test_what_comes_round_again() -> None:
    assert is_repeated(["at", "nine", "every", "day"])
    assert not is_repeated(["tomorrow", "at", "nine"])
