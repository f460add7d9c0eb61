"""Tasks, bids and standings as rows."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

from core.swarm.auction import Bid
from core.swarm.ports import Answer, ResultFile
from core.swarm.reputation import NOTHING, Record
from core.swarm.task import OVER, Status, Task

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from core.swarm.reputation import Weight

_COLUMNS = (
    "id, requester, account, conversation, description, status, budget, hold, pick, only, attempt, attempts, posted_at,"
    " deadline, closes_at, agent, price, lease, lease_until, review_until, result, why, excluded, retry_of, ended_at,"
    " field, awarded_at, took, model"
)
_ANSWER = "SELECT agent, price, eta, note, fit, at, score FROM bid"
_RECORD = "settled, failed, earned, took, good, bad, at"
_SELECT = f"SELECT {_COLUMNS} FROM task"  # noqa: S608 - constants
_IS_OVER = "status IN ('settled', 'failed', 'cancelled', 'expired')"
_SELECT_BARE = _SELECT.replace(" result,", " NULL,")


@cache
def _update(changed: tuple[str, ...]) -> str:
    return f"UPDATE task SET {', '.join(f'{name} = ?' for name in (*changed, 'due'))} WHERE id = ?"  # noqa: S608 - constants


@cache
def _insert_bids(count: int) -> str:
    columns = "task, attempt, agent, price, eta, note, fit, score, at"
    return f"INSERT OR REPLACE INTO bid ({columns}) VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * count)  # noqa: S608 - constants


class TaskRows:
    """`core.swarm.ports.TaskStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: int | None = None

    def renew(self) -> None:
        """Look again which task is the last: a transaction began, or something of it was undone."""
        self._last = None

    def next_id(self) -> int:
        """See `TaskStore`."""
        if self._last is None:
            (self._last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM task").fetchone()
        return self._last + 1

    def add(self, task: Task) -> None:
        """See `TaskStore`."""
        self._connection.execute(
            "INSERT INTO task (id, requester, account, conversation, description, status, budget, hold, pick, only,"
            " attempt, attempts, posted_at, deadline, retry_of, model, due) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                task.id, task.requester, task.account, task.conversation, task.description, task.status.value,
                task.budget, task.hold, task.pick, task.only, task.attempt, task.attempts, task.posted_at,
                task.deadline, task.retry_of, task.model, task.due,
            ),
        )  # fmt: skip
        if self._last is not None:
            self._last = max(self._last, task.id)

    def save(self, task: Task, before: Task) -> None:
        """See `TaskStore`. Only what has changed: SQLite would write each index of what is named anew."""
        changed: dict[str, object] = dict(compress(zip(Task._fields, task, strict=True), map(ne, before, task)))
        if "status" in changed:
            changed["status"] = task.status.value
        if "excluded" in changed:
            changed["excluded"] = "\n".join(task.excluded)
        self._connection.execute(_update(tuple(changed)), (*changed.values(), task.due, task.id))

    def find(self, number: int) -> Task | None:
        """See `TaskStore`."""
        row = self._connection.execute(_SELECT + " WHERE id = ?", (number,)).fetchone()
        return None if row is None else _task(row)

    def newest(
        self, status: Status | None, limit: int, *, start: int | None = None, results: bool = True
    ) -> list[Task]:
        """See `TaskStore`."""
        select, (where, bound) = _SELECT if results else _SELECT_BARE, _chosen(status, start)
        order = "id" if status is None or status in OVER else "+id"  # see `live`
        rows = self._connection.execute(f"{select}{where} ORDER BY {order} DESC LIMIT ?", (*bound, limit))
        return [_task(row) for row in rows]

    def count(self, status: Status | None, *, start: int | None = None) -> int:
        """See `TaskStore`."""
        where, bound = _chosen(status, start)
        counted = "count(*)" if status else "coalesce(max(id), 0)"  # numbers have no gaps, and no task is ever deleted
        (count,) = self._connection.execute(f"SELECT {counted} FROM task{where}", bound).fetchone()  # noqa: S608
        return int(count)

    def live(self) -> list[Task]:
        """See `TaskStore`. By +id, for by id SQLite reads all of history."""
        return [_task(row) for row in self._connection.execute(_SELECT + " WHERE due IS NOT NULL ORDER BY +id")]

    def due(self, now: int, limit: int) -> list[Task]:
        """See `TaskStore`."""
        rows = self._connection.execute(_SELECT + " WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))
        return [_task(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """See `TaskStore`."""
        return dict(
            self._connection.execute(
                "SELECT status, count(*) FROM task WHERE due IS NOT NULL GROUP BY status"
            ).fetchall()
        )

    def loads(self, agents: Sequence[str] | None = None) -> Counter[str]:
        """See `TaskStore`."""
        which = "IS NOT NULL" if agents is None else f"IN ({', '.join('?' * len(agents))})"
        query = (
            f"SELECT agent, count(*) FROM task WHERE status IN ('awarded', 'running') AND agent {which} GROUP BY agent"  # noqa: S608 - constants
        )
        loads: Counter[str] = Counter()
        dict.update(loads, self._connection.execute(query, agents or ()))  # its own update would count
        return loads

    def load(self, agent: str) -> int:
        """See `TaskStore`."""
        query = "SELECT count(*) FROM task WHERE agent = ? AND status IN ('awarded', 'running')"
        return int(self._connection.execute(query, (agent,)).fetchone()[0])

    def at_work(self, limit: int) -> list[tuple[str, int]]:
        """See `TaskStore`."""
        query = "SELECT agent, id FROM task WHERE status IN ('awarded', 'running') AND agent IS NOT NULL ORDER BY agent, id LIMIT ?"
        return self._connection.execute(query, (limit,)).fetchall()

    # Bids ------------------------------------------------------------------------------------------------------

    def answer(self, task: int, attempt: int, answers: Sequence[Answer]) -> None:
        """See `TaskStore`."""
        values: list[object] = []
        for one in answers:
            bid = one.bid
            values += (
                task, attempt, bid.agent, None if one.refused else bid.price, bid.eta, bid.note, bid.fit, bid.score, bid.at
            )  # fmt: skip
        self._connection.execute(_insert_bids(len(answers)), values)

    def answered(self, task: int, attempt: int) -> set[str]:
        """See `TaskStore`."""
        query = "SELECT group_concat(agent, char(10)) FROM bid WHERE task = ? AND attempt = ?"  # a row costs a turn of the lock
        (names,) = self._connection.execute(query, (task, attempt)).fetchone()
        return set(names.split("\n")) if names else set()

    def answers_of(self, task: int, attempt: int, agents: Sequence[str]) -> list[Answer]:
        """See `TaskStore`."""
        query = f"{_ANSWER} WHERE task = ? AND attempt = ? AND agent IN ({', '.join('?' * len(agents))})"
        return [_answer(row) for row in self._connection.execute(query, (task, attempt, *agents))]

    def answers(self, task: int, attempt: int) -> list[Answer]:
        """See `TaskStore`."""
        rows = self._connection.execute(f"{_ANSWER} WHERE task = ? AND attempt = ?", (task, attempt))
        return [_answer(row) for row in rows]

    def records(self, agent: str) -> dict[str, Record]:
        """See `TaskStore`."""
        rows = self._connection.execute(f"SELECT field, {_RECORD} FROM reputation WHERE agent = ?", (agent,))  # noqa: S608
        return {field: Record(*row) for field, *row in rows}

    def weights(self, agents: Sequence[str]) -> dict[str, list[Weight]]:
        """See `TaskStore`."""
        marks = ", ".join("?" * len(agents))
        rows = self._connection.execute(
            f"SELECT agent, field, good, bad, at FROM reputation WHERE agent IN ({marks})",  # noqa: S608 - marks
            tuple(agents),
        )
        found: dict[str, list[Weight]] = {}
        for agent, field, good, bad, at in rows:
            found.setdefault(agent, []).append((field, good, bad, at))
        return found

    def record(self, agent: str, field: str) -> Record:
        """See `TaskStore`."""
        query = f"SELECT {_RECORD} FROM reputation WHERE agent = ? AND field = ?"  # noqa: S608 - constants
        row = self._connection.execute(query, (agent, field)).fetchone()
        return NOTHING if row is None else Record(*row)

    def put_record(self, agent: str, field: str, record: Record) -> None:
        """See `TaskStore`."""
        one = record
        self._connection.execute(
            "INSERT OR REPLACE INTO reputation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (agent, field, one.settled, one.failed, one.earned, one.took, one.good, one.bad, one.at),
        )

    def reputation(self) -> list[tuple[str, str, Record]]:
        """See `TaskStore`."""
        rows = self._connection.execute(f"SELECT agent, field, {_RECORD} FROM reputation ORDER BY field, agent")  # noqa: S608
        return [(agent, field, Record(*row)) for agent, field, *row in rows]

    # Files -----------------------------------------------------------------------------------------------------

    def attach(self, task: int, files: Sequence[ResultFile], now: int) -> None:
        """See `TaskStore`."""
        if not files:
            return
        self._connection.executemany(
            "INSERT OR REPLACE INTO file (task, name, sha256, size, at) VALUES (?, ?, ?, ?, ?)",
            [(task, file.name, file.sha256, file.size, now) for file in files],
        )

    def files(self, task: int) -> list[ResultFile]:
        """See `TaskStore`."""
        rows = self._connection.execute("SELECT name, sha256, size FROM file WHERE task = ? ORDER BY name", (task,))
        return [ResultFile(*row) for row in rows]


def _answer(row: tuple[Any, ...]) -> Answer:
    return Answer(Bid(row[0], row[1] or 0, *row[2:]), refused=row[1] is None)


def _task(row: tuple[Any, ...]) -> Task:
    values = list(row)
    values[5] = Status(values[5])
    values[22] = tuple(str(values[22]).split("\n")) if values[22] else ()
    return Task._make(values)  # the columns are in the order of the fields


def _chosen(status: Status | None, start: int | None) -> tuple[str, tuple[str | int, ...]]:
    """The condition for tasks of a status from a number down, and what it is bound to."""
    found: list[str] = []
    bound: list[str | int] = []
    if status is not None:
        found += ["status = ?", _IS_OVER if status in OVER else "due IS NOT NULL"]  # each has an index of its own
        bound.append(status.value)
    if start is not None:
        found.append("id <= ?" if status is None or status in OVER else "+id <= ?")  # see `live`
        bound.append(start)
    return (f" WHERE {' AND '.join(found)}" if found else ""), tuple(bound)
