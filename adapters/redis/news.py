"""What the hub and its gateways say to each other, as JSON: requests one way, answers and what changes on the board the other.

What comes out of Redis may be anybody's who writes there: it is read strictly, and nothing but these shapes is taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import HubError, UserError
from core.swarm.crew import Enrolled
from core.swarm.task import Status, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIELD = "d"
"""The one field of every entry of a stream."""


class OtherVersion(UserError):
    """The gateway and the hub do not understand each other: {what}. Run the same version of both."""


_OPTIONAL = (int, type(None))
_SHAPES: dict[str, tuple[type | tuple[type, ...], ...]] = {
    "pulse": (list,),
    "check": (),
    "enrol": (list, int, str),
    "bid": (int, int, _OPTIONAL, str),
    "refuse": (int, str),
    "beat": (int, str, str),
    "progress": (int, str, str),
    "holds": (int, str, str, list),
    "deliver": (int, str, str, list),
    "give_up": (int, str, str, bool),
}
"""What can be asked, and the types of what comes with it."""

_LISTED = {"deliver": (str, str, int, str), "pulse": (str, str)}
"""What the last list of some holds: a file's name, hash, size and key; a worker's name, and which process of it."""


@dataclass(slots=True)
class Ask:
    """A request of a gateway: its id, where the answer goes, for which worker, and the hash of that worker's token."""

    id: str
    to: str
    op: str
    name: str
    digest: str
    args: list[Any]

    @property
    def keys(self) -> list[str]:
        """Where the files lie that come with it."""
        return [key for *_, key in self.args[3]] if self.op == "deliver" else []

    def text(self) -> str:
        """As it is sent."""
        return json.dumps([self.id, self.to, self.op, self.name, self.digest, self.args])

    @classmethod
    def read(cls, raw: bytes) -> Ask:
        """Raises `OtherVersion`."""
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        match found:
            case [str(ident), str(to), str(op), str(name), str(digest), list(args)] if _fits(op, args):
                return cls(ident, to, op, name, digest, args)
        raise OtherVersion(what=f"a request that begins with {raw[:40]!r}")


def _fits(op: str, args: list[Any]) -> bool:
    shape = _SHAPES.get(op)
    if shape is None or len(args) != len(shape):
        return False
    if any(isinstance(one, bool) and kind is not bool for one, kind in zip(args, shape, strict=True)):
        return False
    if not all(isinstance(one, kind) for one, kind in zip(args, shape, strict=True)):
        return False
    if op in _LISTED:
        return all(isinstance(one, list) and (*map(type, one),) == _LISTED[op] for one in args[-1])
    return all(isinstance(part, str) for one in args if isinstance(one, list) for part in one)


def problem(error: HubError) -> list[Any]:
    """An error, to be raised again elsewhere."""
    return [error.status, error.code, str(error)]


def raised(status: int, code: str, words: str) -> HubError:
    """That error."""
    return _Said(status, code, words)


class _Said(HubError):
    """What the hub refused, as it said it."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__()
        self.args = (words,)
        self.status = status  # type: ignore[misc]
        self._said = code

    @property
    def code(self) -> str:
        """The hub's own."""
        return self._said


def task_facts(task: Task, called: Iterable[str], answered: Iterable[str]) -> list[Any]:
    """What a gateway needs to know of a task that is up for bids, or that a worker has. Its model comes last, where it has one."""
    return [
        "task", task.id, task.status.value, task.description, task.budget, task.closes_at or task.deadline, task.only,
        [*task.excluded], task.attempt, task.agent, task.lease, task.lease_until, sorted(called), [*answered],
        *([] if task.model is None else [task.model]),
    ]  # fmt: skip


def task_of(facts: Sequence[Any]) -> tuple[Task, frozenset[str], list[str]]:
    """The same, read: the task with nothing that a gateway need not know, what it calls for, who has answered."""
    ident, status, words, budget, end, only, excluded, attempt, agent, lease, until, called, answered, *more = facts  # fmt: skip
    task = _blank(
        ident, status, description=words, budget=budget, closes_at=end, only=only, excluded=tuple(excluded),
        attempt=attempt, agent=agent, lease=lease, lease_until=until, model=next(iter(more), None),
    )  # fmt: skip
    return task, frozenset(called), answered


def standing(number: int, status: str) -> Task:
    """A task of which no more is known than how it stands."""
    return _blank(number, status)


def _blank(number: int, status: str, **facts: Any) -> Task:
    given = {
        "requester": "", "account": "", "conversation": "", "description": "", "budget": 0, "hold": None, "pick": "auto",
        "only": None, "attempt": 0, "attempts": 0, "posted_at": 0, "deadline": 0,
    }  # fmt: skip
    return Task(id=number, status=Status(status), **{**given, **facts})


def worker_facts(worker: Enrolled, instance: str) -> list[Any]:
    """A worker, and which process of it works."""
    return ["worker", worker.name, [*worker.capabilities], worker.concurrency, instance]


def worker_of(facts: Sequence[Any]) -> tuple[Enrolled, str]:
    """The same, read."""
    name, capabilities, concurrency, instance = facts
    return Enrolled(name, tuple(capabilities), concurrency), instance
