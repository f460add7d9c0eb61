"""What is asked about tasks again and again reads those that are asked for, and not all of history."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.connection import connect
from adapters.sqlite.unit_of_work import UnitOfWork
from core.swarm.task import Status, Task
from tests.blank import blank

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx: tx.tasks.live(),
        lambda tx: tx.tasks.due(0, 10),
        lambda tx: tx.tasks.counts(),
        lambda tx: tx.tasks.loads(),
        lambda tx: tx.tasks.loads(["a", "b"]),
        lambda tx: tx.tasks.newest(Status.RUNNING, 10),
        lambda tx: tx.tasks.newest(Status.RUNNING, 10, start=7),
        lambda tx: tx.tasks.newest(Status.CANCELLED, 10, start=7),
        lambda tx: tx.tasks.count(Status.SETTLED),
        lambda tx: tx.tasks.count(Status.DELIVERED, start=7),
        lambda tx: tx.tasks.count(None),
    ],
    ids=[
        "live",
        "due",
        "counts",
        "loads",
        "loads of some",
        "running",
        "running from",
        "cancelled",
        "count settled",
        "count delivered",
        "count",
    ],
)
def test_what_is_asked_for_is_found_by_an_index(path: Path, ask: Callable[[UnitOfWork], object]) -> None:
    with closing(connect(blank(path))) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        ask(UnitOfWork(connection))
        connection.set_trace_callback(None)
        (query,) = asked
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan[0].startswith("SEARCH task"), plan
    assert "PRIMARY KEY" not in plan[0], "by number it reads history down to the first"


def test_tasks_are_listed_and_counted_by_status_from_a_number_down(path: Path) -> None:
    with closing(connect(blank(path))) as connection:
        tasks = UnitOfWork(connection).tasks
        task = Task(
            id=1, requester="a", account="user:a", conversation="c", status=Status.OPEN, description="d", budget=1, hold=None,
            pick="auto", only=None, attempt=1, attempts=1, posted_at=0, deadline=9, review_until=5,
        )  # fmt: skip
        for number, status in enumerate((*Status, Status.EXPIRED), 1):
            tasks.add(task._replace(id=number, status=status))
        found = {status: [one.id for one in tasks.newest(status, -1)] for status in Status}
        assert found == {status: [number] for number, status in enumerate(Status, 1)} | {Status.EXPIRED: [10, 9]}
        assert [tasks.count(one) for one in Status] == [1] * 8 + [2]
        assert (tasks.count(None), tasks.count(None, start=7), tasks.count(None, start=99)) == (10, 7, 10)
        assert [one.id for one in tasks.newest(Status.EXPIRED, -1, start=9)] == [9]
        assert (tasks.count(Status.EXPIRED, start=9), tasks.count(Status.RUNNING, start=3)) == (1, 0)
        assert [one.id for one in tasks.newest(None, 2, start=8)] == [8, 7]
