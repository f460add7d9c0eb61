"""What is foreseen, and how little of that is kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from core.spark.forecast import foresee
from core.spark.known import NOTHING
from core.spark.spark import REMEMBERED, Spark
from core.swarm.task import Status, Task
from core.tokens import STRANGER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.spark.forecast import Forecast
    from core.spark.known import Known
    from core.spark.spark import Ended, SparkTx
    from core.store import Store

ABLE = ("ann", "bea")


@dataclass
class Rows:
    """A unit of work that holds forecasts, and nothing else."""

    said: dict[int, tuple[str, Forecast]] = field(default_factory=dict)

    @property
    def forecasts(self) -> Rows:
        return self

    def add(self, task: int, where: str, said: Forecast) -> None:
        self.said[task] = where, said

    def find(self, task: int) -> Forecast | None:
        return self.said[task][1]

    def ended(self, tasks: Sequence[int]) -> list[Ended]:
        raise NotImplementedError


def task(number: int, **how: Any) -> Task:
    given = {"requester": "console:owner", "budget": 100_000, "pick": "auto", "only": None, **how}
    return Task(
        id=number, account="a", conversation="c", description="count", status=Status.OPEN, hold=None, attempt=1, attempts=3,
        posted_at=0, deadline=9, **given,
    )  # fmt: skip


@pytest.fixture
def spark() -> Spark:
    return Spark(cast("Store[SparkTx]", None), lambda words: f"field of {words}")


def say(spark: Spark, *tasks: Task, able: Sequence[str] = ABLE) -> dict[int, tuple[str, Forecast]]:
    rows = Rows()
    for one in tasks:
        spark.foresee(cast("SparkTx", rows), one, able)
    return rows.said


def test_tasks_that_are_alike_are_worked_out_once(spark: Spark) -> None:
    said = say(spark, task(1), task(2), task(3, budget=50_000))
    assert said[1][0] == "field of count"
    assert said[1][1] is said[2][1]
    assert said[1][1] is not said[3][1]


def test_what_is_learned_while_a_task_is_foreseen_counts_for_the_next(
    spark: Spark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks are posted on the thread of the database, and what was learned counts on another."""

    def meanwhile(known: Known, *asked: Any) -> Forecast:
        said = foresee(known, *asked)
        if known is NOTHING:
            spark._learned = {"field of count": NOTHING._replace(nobody=(5.0, 0.0))}, {}
            spark.durable()
        return said

    monkeypatch.setattr("core.spark.spark.foresee", meanwhile)
    nobody: tuple[str, ...] = ()
    first, second, third = (say(spark, task(number), able=nobody)[number][1] for number in (1, 2, 3))
    assert first.done < 0.5 < second.done
    assert third is second


def test_memory_holds_only_so_many(spark: Spark) -> None:
    said = say(spark, *(task(number, budget=1000 * number) for number in range(1, 3 * REMEMBERED)))
    assert len(said) == 3 * REMEMBERED - 1
    assert 0 < len(spark._said) <= REMEMBERED


@pytest.mark.parametrize(
    "how",
    [{"pick": "ask"}, {"only": "telegram:7"}, {"requester": f"{STRANGER}abc"}],
    ids=["picked", "a person's", "sold"],
)
def test_what_people_decide_and_what_strangers_buy_is_not_foreseen(spark: Spark, how: dict[str, Any]) -> None:
    assert say(spark, task(1, **how), task(2, only="ann")).keys() == {2}
