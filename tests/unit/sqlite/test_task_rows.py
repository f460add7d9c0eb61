"""What is asked about tasks again and again reads those that are not over, and not all of history."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.connection import connect
from adapters.sqlite.unit_of_work import UnitOfWork
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
    ],
    ids=["live", "due", "counts", "loads"],
)
def test_what_is_not_over_is_found_by_an_index(path: Path, ask: Callable[[UnitOfWork], object]) -> None:
    with closing(connect(blank(path))) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        ask(UnitOfWork(connection))
        connection.set_trace_callback(None)
        (query,) = asked
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan[0].startswith("SEARCH task USING"), plan
