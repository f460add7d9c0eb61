"""The corpus: what people say to the hub, and what it must make of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from core.voice.intent import Intent
from tests.voice import score

if TYPE_CHECKING:
    from pathlib import Path

CORPORA = [file for file in (score.WORK, score.KEPT) if file.exists()]


@pytest.fixture(params=CORPORA, ids=lambda file: file.stem)
def scored(request: pytest.FixtureRequest) -> list[score.Scored]:
    return _scored(request.param)


@cache
def _scored(file: Path) -> list[score.Scored]:
    found = score.score(score.corpus(file))
    assert len(found) > 100
    return found


def test_intent_and_command_are_both_right(scored: list[score.Scored]) -> None:
    misses = [str(one) for one in scored if not one.both]
    assert score.rate(one.both for one in scored) >= 0.97, "\n".join(misses)


def test_no_chat_becomes_a_command_that_acts(scored: list[score.Scored]) -> None:
    assert [str(one) for one in scored if one.dangerous] == []


def test_entities_are_right(scored: list[score.Scored]) -> None:
    misses = [str(one) for one in scored if not one.entities]
    assert score.rate(one.entities for one in scored) >= 0.95, "\n".join(misses)


def test_what_was_once_understood_still_is() -> None:
    found = score.score(score.corpus(score.MORE))
    assert len(found) > 900
    assert [str(one) for one in found if not one.both] == []


def test_every_intent_is_in_the_corpus(scored: list[score.Scored]) -> None:
    assert {one.phrase.intent for one in scored} >= {intent.value for intent in Intent if intent is not Intent.UNKNOWN}


def test_the_confusion_table_counts_rows_as_labelled() -> None:
    table = score.confusion([("task", "task"), ("task", "chat"), ("chat", "chat")])
    assert table.splitlines() == [
        "| labelled \\ understood | task | chat |", "|---|---:|---:|", "| task | 1 | 1 |", "| chat |  | 1 |",
    ]  # fmt: skip
