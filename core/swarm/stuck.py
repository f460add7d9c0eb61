"""What looks stuck: tasks that nothing will move any more, or that should have been moved long ago, and money left behind by them.

A round looks at some live tasks and some accounts, found by their index, and goes on there the next time; what looked stuck
before is looked at each time. Whether it is, time tells (`bot/lookout.py`): whatever a hub is about to do looks so for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.ids import task_name
from core.money import format_cost
from core.swarm.ports import SwarmTx
from core.swarm.task import OVER, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.store import Store
    from core.swarm.task import Task

SOME = 500
"""Tasks and accounts that one round looks at."""

MOST = 100
"""What is named at a time."""

SLACK_MS = 30_000
"""How long a task may be overdue: a busy hub is late."""

FIRST = (-1, 0)

_OVERDUE = {
    Status.OPEN: "its deadline is over, and it did not expire",
    Status.BIDDING: "its bidding is over, and was not closed",
    Status.AWARDED: "its agent did not begin, and it was not taken back",
    Status.RUNNING: "its agent went silent, and it was not taken back",
    Status.DELIVERED: "its review is over, and it was not paid for",
}

HANDLER, MONEY, SCHEDULE = "handler", "money", "schedule"
KINDS = (*(status.value for status in Status if status not in OVER), HANDLER, MONEY, SCHEDULE)
"""What can be stuck: a task, by its state; who handles events; money that a task has left; a schedule."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """What looks stuck: its kind, what it is (`T-12`), why, and what to do. `mend`: what may set it going once more.

    `key` is the same as long as it is the same thing in the same state.
    """

    kind: str
    about: str
    why: str
    fix: str
    key: str
    mend: Callable[[], object] | None = field(default=None, compare=False)


class Left(NamedTuple):
    """Money that is set aside for a task that is over, or for none: in its `account`, or of it, by an open `hold`. msat."""

    task: int
    amount: int
    account: str
    hold: int | None = None


class StuckStore(Protocol):
    """Looking through live tasks and money page by page, inside one unit of work. A page begins after the last one's last row."""

    def live(self, after: tuple[int, int], limit: int) -> list[tuple[int, int, str]]:
        """Live tasks, by when time changes them: (due, number, status)."""

    def escrows(self, after: str, limit: int) -> tuple[list[Left], str]:
        """What is left in the next accounts of tasks; and the last one's name, empty at the end."""

    def holds(self, after: tuple[str, int], limit: int) -> tuple[list[Left], tuple[str, int]]:
        """The same of the next open holds for tasks."""

    def still(self, left: Left) -> bool:
        """Whether it is still there."""


class StuckTx(SwarmTx, Protocol):
    """A unit of work over tasks, and what they have left."""

    @property
    def stuck(self) -> StuckStore:
        """Looking through them."""


class Swarm(Protocol):
    """What is known of open tasks (`core/swarm/coordinator.py`)."""

    def stranded(self, number: int, loads: Mapping[str, int], *, frozen: bool) -> str:
        """Why an open task waits for nobody who will take it; empty where it does."""

    def resume(self, number: int) -> None:
        """Set it going once more."""


class _Page(NamedTuple):
    """What a round reads at a time, Unix ms: open tasks, late ones, money left over; how many tasks each agent has."""

    at: int
    waiting: list[int]
    late: list[int]
    left: list[Left]
    loads: Mapping[str, int]
    frozen: bool


class Rounds:
    """Goes its rounds."""

    def __init__(self, store: Store[StuckTx], swarm: Swarm) -> None:
        self._store = store
        self._swarm = swarm
        self._tasks: list[int] = []
        self._left: list[Left] = []
        self._after, self._account, self._hold = FIRST, "", ("", 0)

    async def look(self) -> list[Stuck]:
        """One round; what looks stuck now."""
        page = await self._store.read(self._page)
        stranded = {number: why for number in page.waiting if (why := self._stranded(number, page))}
        numbers = list(dict.fromkeys((*self._tasks, *page.late, *stranded)))
        tasks = await self._store.read(lambda tx: [task for one in numbers if (task := tx.tasks.find(one)) is not None])
        found = [(task, why) for task in tasks if (why := self._why(task, page))][:MOST]
        self._tasks, self._left = [task.id for task, _ in found], page.left
        return [*(self._said(task, why) for task, why in found), *map(_left, self._left)]

    def _page(self, tx: StuckTx) -> _Page:
        page = tx.stuck.live(self._after, SOME)
        self._after = page[-1][:2] if len(page) == SOME else FIRST
        accounts, self._account = tx.stuck.escrows(self._account, SOME)
        holds, self._hold = tx.stuck.holds(self._hold, SOME)
        before = [one for one in self._left if tx.stuck.still(one)]
        return _Page(
            tx.now, [number for _, number, status in page if status == Status.OPEN],
            [task.id for task in tx.tasks.due(tx.now - SLACK_MS, MOST)], list(dict.fromkeys((*before, *accounts, *holds)))[:MOST],
            tx.tasks.loads(), tx.limits.rules().freeze is not None,
        )  # fmt: skip

    def _stranded(self, number: int, page: _Page) -> str:
        return self._swarm.stranded(number, page.loads, frozen=page.frozen)

    def _why(self, task: Task, page: _Page) -> str:
        if task.due is not None and task.due < page.at - SLACK_MS:
            return _OVERDUE[task.status]
        return self._stranded(task.id, page) if task.status is Status.OPEN else ""

    def _said(self, task: Task, why: str) -> Stuck:
        ends = (
            "/accept or /reject it" if task.status is Status.DELIVERED else f"/cancel {task.name} gives its sats back"
        )
        key = f"stuck/{task.name}/{task.status.value}/{task.attempt}"
        mend = partial(self._swarm.resume, task.id) if task.status is Status.OPEN else None
        return Stuck(task.status.value, task.name, why, f"{ends}; the log may say why", key, mend)


def _left(one: Left) -> Stuck:
    where = "in escrow" if one.hold is None else "held"
    return Stuck(
        MONEY, task_name(one.task), f"{format_cost(one.amount)} are {where} for it, and it is not under way",
        "timmy ledger verify says what does not fit; keep a copy of the data folder before anything is changed",
        f"stuck/money/{one.task}/{one.hold}",
    )  # fmt: skip
