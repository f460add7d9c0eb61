"""What a gateway knows of the crew, by what the hub tells it."""

from __future__ import annotations

import asyncio

import pytest

from core.swarm.board import Board
from core.swarm.crew import Enrolled, NotEnrolled, OtherProcess
from core.swarm.roll import Roll
from core.swarm.task import Status, Task


def task(number: int, description: str = "write a letter", *, only: str | None = None) -> Task:
    return Task(
        id=number, requester="", account="", conversation="", description=description, budget=1, hold=None, pick="auto",
        only=only, status=Status.BIDDING, attempt=1, attempts=3, posted_at=0, deadline=0,
    )  # fmt: skip


def test_a_worker_is_here_from_its_enrolment_until_it_leaves_or_loses_its_token() -> None:
    roll = Roll()
    with pytest.raises(NotEnrolled):
        roll.seen("box")
    assert not roll.here("box")
    roll.put(Enrolled("box", ("any",)), "")
    assert roll.has("box")
    assert roll.here("box")
    assert [*roll] == ["box"]
    roll.gone("box")
    assert not roll.here("box")
    roll.seen("box")
    assert roll.here("box"), "it has another token"
    roll.gone("box")
    roll.drop("box")
    roll.put(Enrolled("box", ("any",)), "")
    assert roll.here("box"), "it was let in again"
    roll.drop("boy")


def test_who_fits_goes_by_what_each_task_calls_for() -> None:
    roll = Roll()
    roll.put(Enrolled("box", ("writing",)), "")
    roll.put(Enrolled("boy", ("data",)), "")
    first, second = task(1), task(2)
    assert roll.called_for("write a letter") == frozenset()
    roll.calls(first, frozenset({"writing"}))
    roll.calls(second, frozenset({"writing"}))
    assert [one.name for one in roll.fitting(first)] == ["box"]
    assert roll.fits("box", second)
    assert not roll.fits("boy", second)
    roll.forget(1)
    assert roll.called_for("write a letter") == {"writing"}, "the second calls for it still"
    roll.forget(2)
    roll.forget(2)
    assert roll.called_for("write a letter") == frozenset()
    roll.loaded("box", 3)


def test_the_process_that_the_hub_names_works_and_without_one_the_first_that_asks() -> None:
    roll = Roll()
    roll.put(Enrolled("box", ("any",)), "")
    roll.check_instance("box", "")
    assert not roll.instance("box")
    roll.check_instance("box", "one")
    roll.check_instance("box", "")
    with pytest.raises(OtherProcess):
        roll.check_instance("box", "two")
    roll.put(Enrolled("box", ("any",)), "two")
    roll.check_instance("box", "two")
    with pytest.raises(OtherProcess):
        roll.check_instance("box", "one")
    roll.put(Enrolled("box", ("any",)), "")
    assert roll.instance("box") == "two", "a hub that does not know yet takes nobody's place away"
    roll.gone("box")
    roll.check_instance("box", "three")


async def test_a_board_of_a_gateway_shows_what_is_up_and_who_waits() -> None:
    roll = Roll()
    roll.put(Enrolled("box", ("any",)), "")
    board = Board(roll)
    board.note(task(1))
    assert 1 in board
    assert 2 not in board
    assert not board.who_waits()
    async with asyncio.TaskGroup() as group:
        waits = group.create_task(board.wait("box", lambda: board.given("box"), 5))
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop
        assert board.who_waits() == ["box"]
        board.close()
    assert waits.result() is None
    assert not board.who_waits()
