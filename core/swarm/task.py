"""The life of a task: its states, the only edges between them, and what each edge does with the money.

This is CONTRACT's table "Tasks" as code. Functions take a task and facts and return a `Step`: the task afterwards,
the event that says so, and the money's move; no clock, no I/O, no `await`. Whatever the table has no edge for raises
`WrongState` and changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.errors import UserError
from core.events import Event, Kind
from core.ids import task_name
from core.money import to_sats
from core.tokens import STRANGER
from core.wallet.limits import Path

if TYPE_CHECKING:
    from collections.abc import Collection

    from core.events import Json

PERSON_MARK = ":"
"""Actor ids hold a colon (`telegram:12345`), names of agents never do."""


class WrongState(UserError):
    """{task} is {status}, so it cannot be {verb}. /show {task} tells more."""

    status = 409


class Status(StrEnum):
    """The states of a task."""

    OPEN = "open"
    BIDDING = "bidding"
    AWARDED = "awarded"
    RUNNING = "running"
    DELIVERED = "delivered"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OVER = frozenset({Status.SETTLED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
AT_WORK = frozenset({Status.AWARDED, Status.RUNNING})


class Verb(StrEnum):
    """What can happen to a task; the value completes "cannot be …"."""

    OPEN_AUCTION = "put up for bids"
    AWARD = "awarded"
    WAIT = "put back to wait"
    VOID = "closed without a winner"
    START = "started"
    LOSE = "taken back from its worker"
    DELIVER = "delivered"
    SETTLE = "accepted"
    REJECT = "rejected"
    CANCEL = "cancelled"
    EXPIRE = "expired"


class Move(StrEnum):
    """What an edge does with the money."""

    NONE = "none"
    ESCROW = "price to escrow, the rest released"
    RELEASE = "hold released"
    BACK_TO_HOLD = "escrow back to hold"
    REFUND = "escrow refunded"
    PAY = "escrow to worker"


_LIVE = (Status.OPEN, Status.BIDDING, Status.AWARDED, Status.RUNNING)

EDGES: dict[tuple[Status, Verb], frozenset[Status]] = {
    (Status.OPEN, Verb.OPEN_AUCTION): frozenset({Status.BIDDING}),
    (Status.BIDDING, Verb.AWARD): frozenset({Status.AWARDED}),
    (Status.BIDDING, Verb.WAIT): frozenset({Status.OPEN}),
    (Status.BIDDING, Verb.VOID): frozenset({Status.FAILED}),
    (Status.AWARDED, Verb.START): frozenset({Status.RUNNING}),
    (Status.AWARDED, Verb.LOSE): frozenset({Status.OPEN, Status.FAILED}),
    (Status.RUNNING, Verb.LOSE): frozenset({Status.OPEN, Status.FAILED}),
    (Status.RUNNING, Verb.DELIVER): frozenset({Status.DELIVERED}),
    (Status.DELIVERED, Verb.SETTLE): frozenset({Status.SETTLED}),
    (Status.DELIVERED, Verb.REJECT): frozenset({Status.OPEN, Status.FAILED}),
    **{(status, Verb.CANCEL): frozenset({Status.CANCELLED}) for status in _LIVE},
    **{(status, Verb.EXPIRE): frozenset({Status.EXPIRED}) for status in _LIVE},
}


class Task(NamedTuple):
    """A task as its row holds it. Amounts in msat, times in Unix ms UTC; `hold` is the budget's hold while one is open.

    `field` is that of the work, `awarded_at` when the present attempt was given away, both from the award on; `took`: ms from there
    to the result.
    `lease` is that of the last attempt until there is another, so that whoever had it is known; `lease_until` ends with the work.
    `only` names the one agent or person that may bid (`to=`); `excluded` those that failed at it before, and whoever
    else is the person that delivered it. `due` is when the clock next has something to do with it; `result` is the
    delivered text, `why` the reason it ended otherwise. `model` is the one that it is to be done with (`model=`), None: whichever.
    """

    id: int
    requester: str
    account: str
    conversation: str
    description: str
    status: Status
    budget: int
    hold: int | None
    pick: str
    only: str | None
    attempt: int
    attempts: int
    posted_at: int
    deadline: int
    closes_at: int | None = None
    agent: str | None = None
    price: int | None = None
    lease: str | None = None
    lease_until: int | None = None
    review_until: int | None = None
    result: str | None = None
    why: str | None = None
    excluded: tuple[str, ...] = ()
    retry_of: int | None = None
    ended_at: int | None = None
    field: str = ""
    awarded_at: int | None = None
    took: int = 0
    model: str | None = None

    def but(self, **changes: object) -> Task:
        """The same task with some fields changed: `_replace` in half the time, for the path of every task."""
        values: list[object] = list(self)
        for name, value in changes.items():
            values[_PLACES[name]] = value
        return Task._make(values)

    @property
    def name(self) -> str:
        """`T-12`."""
        return task_name(self.id)

    @property
    def path(self) -> Path:
        """By which way what it costs is spent."""
        return path_of(self.requester)

    @property
    def over(self) -> bool:
        """Whether the task has ended, one way or another."""
        return self.status in OVER

    @property
    def due(self) -> int | None:
        """When time next changes this task, Unix ms; None once it is over."""
        match self.status:
            case Status.OPEN:
                return self.deadline
            case Status.BIDDING:
                return min(self.closes_at or self.deadline, self.deadline)
            case Status.AWARDED | Status.RUNNING:
                return min(self.lease_until or self.deadline, self.deadline)
            case Status.DELIVERED:
                return self.review_until
            case _:
                return None

    @property
    def waits_for_people(self) -> bool:
        """Whether its auction stays open to the deadline: a person picks, or a person is asked."""
        return self.pick == "ask" or is_person(self.only)


_PLACES = {name: place for place, name in enumerate(Task._fields)}


def path_of(requester: str) -> Path:
    """By which way a task's cost is spent: what strangers bought is done out of what they paid for it."""
    return Path.SOLD if requester.startswith(STRANGER) else Path.TASK


def is_person(agent: str | None) -> bool:
    """Whether a bidder is a person rather than an agent."""
    return agent is not None and PERSON_MARK in agent


class Step(NamedTuple):
    """One edge taken: the task afterwards, the event, the money's move; not to `blame` is who failed at a faulty task.

    `kind`: the class of the work that is awarded, where the winner has one.
    """

    task: Task
    event: Event
    move: Move = Move.NONE
    blame: bool = True
    kind: str = ""


def check(task: Task, verb: Verb) -> None:
    """Raise `WrongState` unless the table has this edge."""
    if (task.status, verb) not in EDGES:
        again = " again" if task.status.value == verb.value else ""
        raise WrongState(task=task.name, status=task.status.value, verb=verb.value + again)


def open_auction(task: Task, *, closes_at: int) -> Step:
    """Open -> bidding."""
    check(task, Verb.OPEN_AUCTION)
    after = task.but(status=Status.BIDDING, closes_at=closes_at)
    return Step(after, Event(Kind.AUCTION_OPENED, task.id, data={"attempt": task.attempt, "closes_at": closes_at}))


def wait(task: Task, *, reason: str) -> Step:
    """Bidding -> open: everyone capable is busy. The hold stays."""
    check(task, Verb.WAIT)
    after = task.but(status=Status.OPEN, closes_at=None)
    return Step(after, Event(Kind.TASK_WAITING, task.id, data={"reason": reason}))


def void(task: Task, *, why: str) -> Step:
    """Nobody can do it, or all refused: failed, the hold released."""
    check(task, Verb.VOID)
    after = task.but(status=Status.FAILED, why=why, closes_at=None)
    return Step(after, Event(Kind.TASK_FAILED, task.id, data={"attempt": task.attempt}), Move.RELEASE)


def award(  # noqa: PLR0913 - what an award is
    task: Task, *, agent: str, price: int, lease: str, lease_until: int | None, now: int, field: str = "", kind: str = ""
) -> Step:  # fmt: skip
    """Bidding -> awarded; the lease begins now (None for a person, whose time ends with the deadline)."""
    check(task, Verb.AWARD)
    after = task.but(
        status=Status.AWARDED, agent=agent, price=price, lease=lease, lease_until=lease_until, closes_at=None, field=field,
        awarded_at=now,
    )  # fmt: skip
    data: dict[str, Json] = {"attempt": task.attempt, "price_sats": to_sats(price)}
    return Step(after, Event(Kind.TASK_AWARDED, task.id, agent, data), Move.ESCROW, kind=kind)


def start(task: Task, *, lease_until: int | None) -> Step:
    """Awarded -> running."""
    check(task, Verb.START)
    after = task.but(status=Status.RUNNING, lease_until=lease_until)
    return Step(after, Event(Kind.TASK_STARTED, task.id, task.agent, {"attempt": task.attempt}))


def lose(task: Task, *, why: str, blame: bool = True) -> Step:
    """Declined, handed back, lease lost or failed: open again without that agent, or failed when no attempt is left."""
    check(task, Verb.LOSE)
    return _next_attempt(task, why, Kind.ATTEMPT_FAILED)._replace(blame=blame)


def deliver(task: Task, *, result: str, now: int, review_until: int, selves: Collection[str] = ()) -> Step:
    """Running -> delivered; the requester has until `review_until` to reject. `selves`: all identities of a person who delivers.

    They are kept now, as they may be others when it is rejected: it was the turn of each.
    """
    check(task, Verb.DELIVER)
    others = sorted({*selves} - {task.agent, *task.excluded})
    after = task.but(
        status=Status.DELIVERED, result=result, review_until=review_until, lease_until=None,
        excluded=(*task.excluded, *others), took=max(0, now - (task.awarded_at or now)),
    )  # fmt: skip
    return Step(after, Event(Kind.TASK_DELIVERED, task.id, task.agent, {"attempt": task.attempt}))


def settle(task: Task, *, how: str) -> Step:
    """Delivered -> settled: the escrow goes to the worker. `how`: accepted, auto or review."""
    check(task, Verb.SETTLE)
    after = task.but(status=Status.SETTLED, review_until=None)
    data: dict[str, Json] = {"attempt": task.attempt, "price_sats": to_sats(task.price or 0), "how": how}
    return Step(after, Event(Kind.TASK_SETTLED, task.id, task.agent, data), Move.PAY)


def reject(task: Task, *, why: str) -> Step:
    """Delivered, and not good enough: open again, or failed when no attempt is left."""
    check(task, Verb.REJECT)
    return _next_attempt(task.but(result=None, review_until=None), why, Kind.TASK_REJECTED)


def forfeit(task: Task, *, why: str) -> Step:
    """Delivered, and what it is paid with is gone: failed, whatever attempts are left, and no fault of the worker's."""
    check(task, Verb.REJECT)
    last = task.but(attempts=task.attempt, result=None, review_until=None)
    return _next_attempt(last, why, Kind.TASK_REJECTED)._replace(blame=False)


def cancel(task: Task) -> Step:
    """The requester or an operator calls it off; whatever was set aside comes back."""
    check(task, Verb.CANCEL)
    return _end(task, Status.CANCELLED, Kind.TASK_CANCELLED, why="cancelled")


def expire(task: Task, *, why: str = "its deadline passed") -> Step:
    """The deadline passed, or what it is paid with can be held no longer; whatever was set aside comes back."""
    check(task, Verb.EXPIRE)
    return _end(task, Status.EXPIRED, Kind.TASK_EXPIRED, why=why)


def _next_attempt(task: Task, why: str, kind: Kind) -> Step:
    data: dict[str, Json] = {"attempt": task.attempt, "left": task.attempts - task.attempt}
    if task.attempt >= task.attempts:
        over = task.but(status=Status.FAILED, why=why, lease=None, lease_until=None)
        return Step(over, Event(Kind.TASK_FAILED, task.id, task.agent, data), Move.REFUND)
    again = task.but(status=Status.OPEN, attempt=task.attempt + 1, agent=None, price=None, lease=None, lease_until=None,
        why=why, excluded=(*task.excluded, task.agent or ""),
    )  # fmt: skip
    return Step(again, Event(kind, task.id, task.agent, data), Move.BACK_TO_HOLD)


def _end(task: Task, status: Status, kind: Kind, why: str) -> Step:
    move = Move.REFUND if task.status in AT_WORK else Move.RELEASE
    after = task.but(status=status, why=why, closes_at=None, lease_until=None)
    return Step(after, Event(kind, task.id, task.agent, {"attempt": task.attempt}), move)
