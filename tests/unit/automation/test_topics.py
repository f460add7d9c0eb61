"""What is told where."""

from __future__ import annotations

import pytest

from core.automation.topics import (
    ABOUT,
    CannotBeOff,
    Notice,
    Topic,
    UnknownTopic,
    Wish,
    check_off,
    parse_topic,
    places,
    within,
)
from core.chat import Reply

ANN, BOB, GROUP, PHONE = "telegram:5", "telegram:6", "telegram:-100", "apprise:phone"
REPLY = Reply("news")


def wish(topic: Topic, place: str, actor: str = ANN, *, on: bool = True) -> Wish:
    return Wish(topic, place, actor, on)


@pytest.mark.parametrize(
    ("notice", "wishes", "told"),
    [
        (Notice(Topic.MONEY, REPLY, {ANN, BOB}), [], [(ANN, ""), (BOB, "")]),
        (Notice(Topic.MONEY, REPLY, {ANN}), [wish(Topic.MONEY, ANN, on=False)], []),
        (Notice(Topic.MONEY, REPLY, {ANN}), [wish(Topic.REPORT, ANN, on=False)], [(ANN, "")]),
        (Notice(Topic.MONEY, REPLY, {ANN}), [wish(Topic.MONEY, PHONE)], [(ANN, ""), (PHONE, ANN)]),
        (Notice(Topic.MONEY, REPLY, {BOB}), [wish(Topic.MONEY, PHONE)], [(BOB, "")]),
        (Notice(Topic.MONEY, REPLY, {ANN}, [GROUP]), [], [(GROUP, "")]),
        (Notice(Topic.TASKS, REPLY, {ANN}, [f"{ANN}/9"]), [wish(Topic.TASKS, ANN)], [(f"{ANN}/9", "")]),
        (Notice(Topic.TASKS, REPLY, {ANN}, [GROUP]), [wish(Topic.TASKS, ANN)], [(GROUP, ""), (ANN, ANN)]),
        (Notice(Topic.HEALTH, REPLY, {ANN}), [wish(Topic.HEALTH, ANN, on=False)], [(ANN, "")]),
        (
            Notice(Topic.HEALTH, REPLY, {ANN, BOB}),
            [wish(Topic.HEALTH, ANN, on=False), wish(Topic.HEALTH, PHONE)],
            [(BOB, ""), (PHONE, ANN)],
        ),
        (Notice(Topic.HEALTH, REPLY, {ANN, BOB}, but="telegram"), [wish(Topic.HEALTH, PHONE)], [(PHONE, ANN)]),
        (Notice(Topic.HEALTH, REPLY, {"console:owner", ANN}, but="telegram"), [wish(Topic.HEALTH, GROUP)], [("console:owner", "")]),
    ],
)  # fmt: skip
def test_where_something_is_told(notice: Notice, wishes: list[Wish], told: list[tuple[str, str]]) -> None:
    assert places(notice, wishes) == told


def test_a_thread_is_within_its_place() -> None:
    assert within(f"{GROUP}/7", GROUP)
    assert within(GROUP, GROUP)
    assert not within(f"{GROUP}0", GROUP)


def test_topics_by_name() -> None:
    assert parse_topic("Bids") is Topic.BIDS
    with pytest.raises(UnknownTopic, match="tasks, bids"):
        parse_topic("weather")
    assert set(ABOUT) == set(Topic)
    check_off(Topic.MONEY)
    with pytest.raises(CannotBeOff, match="security cannot"):
        check_off(Topic.SECURITY)
