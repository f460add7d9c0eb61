"""Events: public names that never clash, facts that are JSON, and what ends a task."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.writer import Database
from core.events import TERMINAL, Event, Kind
from core.swarm import task as life
from core.swarm.task import OVER, Status, Task
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.events import Json
    from core.swarm.task import Step

ODD: dict[str, Json] = {
    "text": 'ünïcödé \u2028 \x00 \U0001f600 "quoted" \\ \n',
    "n": 2**53 + 1,
    "no": None,
    "yes": True,
    "many": [1, "two", {"deep": []}],
}


def test_public_names_are_words_and_say_the_same_as_ours() -> None:
    assert len(Kind) > 15
    for kind in Kind:
        assert re.fullmatch(r"(?:[A-Z][a-z]+){2,}", kind.value)
        assert kind.name == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.value).upper()


async def test_an_event_comes_back_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    sent = [Event(Kind.TASK_POSTED, 7, "quill", ODD), Event(Kind.BOOK_OPENED)]
    heard: list[Event] = []

    def work(tx: UnitOfWork) -> None:
        for event in sent:
            tx.emit(event)

    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        store.listen(heard.extend)
        await store.write(work)
        clock.advance(5)
        read = await store.read(lambda tx: tx.events_after(0, 10))
        assert await store.read(lambda tx: tx.events_after(1, 10)) == read[1:]
        assert await store.read(lambda tx: tx.events_after(0, 1)) == read[:1]
    assert read == heard
    assert [(event.id, event.at) for event in read] == [(1, clock.now() - 5), (2, clock.now() - 5)]
    assert [(event.kind, event.task, event.agent, event.data) for event in read] == [
        (event.kind, event.task, event.agent, event.data) for event in sent
    ]


async def test_events_never_take_an_old_number(tmp_path: Path) -> None:
    """`Last-Event-ID` names an event for ever, also after it was forgotten."""
    async with Database.open(blank(tmp_path / "hub.db"), FakeClock()) as store:
        await store.write(lambda tx: tx.emit(Event(Kind.BOOK_OPENED)))
        await store.write(lambda tx: tx.forget("event", "at <= ?", FakeClock().now(), [(1,)]))
        await store.write(lambda tx: tx.emit(Event(Kind.BOOK_OPENED)))
        assert [event.id for event in await store.read(lambda tx: tx.events_after(0, 10))] == [2]


def a_task(status: Status, attempt: int = 1) -> Task:
    return Task(
        id=3, requester="console:owner", account="user:console:owner", conversation="console:1", status=status,
        description="a secret plan", budget=100_000, hold=None, pick="auto", only=None, attempt=attempt, attempts=2,
        posted_at=0, deadline=1000, agent="quill", price=50_000, lease="a-lease-token", result="a secret result",
    )  # fmt: skip


STEPS = [
    life.open_auction(a_task(Status.OPEN), closes_at=5),
    life.wait(a_task(Status.BIDDING), reason="busy"),
    life.void(a_task(Status.BIDDING), why="a secret reason"),
    life.award(a_task(Status.BIDDING), agent="quill", price=50_000, lease="a-lease-token", lease_until=9, now=5),
    life.start(a_task(Status.AWARDED), lease_until=9),
    life.lose(a_task(Status.RUNNING), why="a secret reason"),
    life.lose(a_task(Status.RUNNING, attempt=2), why="a secret reason"),
    life.deliver(a_task(Status.RUNNING), result="a secret result", now=7, review_until=9),
    life.settle(a_task(Status.DELIVERED), how="accepted"),
    life.reject(a_task(Status.DELIVERED), why="a secret reason"),
    life.cancel(a_task(Status.RUNNING)),
    life.expire(a_task(Status.OPEN)),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.event.kind.value)
def test_a_tasks_event_tells_no_text_and_no_secret(step: Step) -> None:
    told = json.dumps(dict(step.event.data))
    assert "secret" not in told
    assert "lease" not in told
    assert step.event.task == 3


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.event.kind.value)
def test_the_terminal_events_are_those_that_end_a_task(step: Step) -> None:
    assert (step.event.kind in TERMINAL) == (step.task.status in OVER)


def test_every_ending_has_its_event() -> None:
    assert {step.event.kind for step in STEPS if step.task.over} == TERMINAL
