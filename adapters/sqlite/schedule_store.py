"""Schedules and their runs as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.automation.schedule import What, dump, load
from core.automation.schedules import Outcome, Run, Schedule, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping, Sequence

_SCHEDULE = (
    "id, actor, acting_for, conversation, private, called, said, what, words, rule, zone, state, why, made_at, due"
)
_RUN = "schedule, due, state, at, late, earlier"


class ScheduleRows:
    """`core.automation.schedules.ScheduleStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, one: Schedule) -> Schedule:
        """See `ScheduleStore`."""
        values = (
            one.actor, one.acting_for, one.conversation, int(one.private), one.called, one.said, one.what.value, one.words,
            dump(one.rule), one.zone, one.state.value, one.why, one.made_at, one.due,
        )  # fmt: skip
        row = self._connection.execute(
            f"INSERT INTO schedule ({_SCHEDULE}) VALUES (NULL{', ?' * len(values)}) RETURNING {_SCHEDULE}",  # noqa: S608 - constants
            values,
        ).fetchone()
        return _schedule(*row)

    def find(self, number: int) -> Schedule | None:
        """See `ScheduleStore`."""
        row = self._connection.execute(f"SELECT {_SCHEDULE} FROM schedule WHERE id = ?", (number,)).fetchone()  # noqa: S608
        return None if row is None else _schedule(*row)

    def put(self, one: Schedule, ended_at: int | None = None) -> None:
        """See `ScheduleStore`."""
        self._connection.execute(
            "UPDATE schedule SET state = ?, why = ?, due = ?, ended_at = ? WHERE id = ?",
            (one.state.value, one.why, one.due, ended_at, one.id),
        )

    def live(self, actors: Collection[str] | None = None) -> list[Schedule]:
        """See `ScheduleStore`."""
        rows = self._connection.execute(
            f"SELECT {_SCHEDULE} FROM schedule WHERE state IN ('active', 'paused')"  # noqa: S608 - constants
            " AND (?1 IS NULL OR actor IN (SELECT value FROM json_each(?1))) ORDER BY id",
            (None if actors is None else json.dumps(sorted(actors)),),
        )
        return [_schedule(*row) for row in rows]

    def due(self, now: int, limit: int) -> list[Schedule]:
        """See `ScheduleStore`."""
        rows = self._connection.execute(
            f"SELECT {_SCHEDULE} FROM schedule WHERE state = 'active' AND due <= ? ORDER BY due LIMIT ?",  # noqa: S608
            (now, limit),
        )
        return [_schedule(*row) for row in rows]

    def next_due(self) -> int | None:
        """See `ScheduleStore`."""
        (due,) = self._connection.execute("SELECT min(due) FROM schedule WHERE state = 'active'").fetchone()
        return None if due is None else int(due)

    def note(self, run: Run) -> bool:
        """See `ScheduleStore`."""
        written = self._connection.execute(
            f"INSERT OR IGNORE INTO schedule_run ({_RUN}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (run.schedule, run.due, run.outcome.value, run.at, run.late, int(run.earlier)),
        )
        return written.rowcount > 0

    def run(self, schedule: int, due: int) -> Run | None:
        """See `ScheduleStore`."""
        row = self._connection.execute(
            f"SELECT {_RUN} FROM schedule_run WHERE schedule = ? AND due = ?",  # noqa: S608 - constants
            (schedule, due),
        ).fetchone()
        return None if row is None else _run(*row)

    def settle(self, run: Run) -> None:
        """See `ScheduleStore`."""
        self._connection.execute(
            "UPDATE schedule_run SET state = ?, at = ? WHERE schedule = ? AND due = ?",
            (run.outcome.value, run.at, run.schedule, run.due),
        )

    def unmiss(self, now: int) -> list[int]:
        """See `ScheduleStore`."""
        rows = self._connection.execute(
            "DELETE FROM schedule_run WHERE at > ?1 AND due > ?1 AND state = 'missed' RETURNING schedule", (now,)
        )
        return [number for (number,) in rows.fetchall()]

    def under_way(self, schedule: int) -> Run | None:
        """See `ScheduleStore`."""
        row = self._connection.execute(
            f"SELECT {_RUN} FROM schedule_run WHERE schedule = ? AND state = 'running'",  # noqa: S608 - constants
            (schedule,),
        ).fetchone()
        return None if row is None else _run(*row)

    def last(self, schedules: Sequence[int]) -> Mapping[int, Run]:
        """See `ScheduleStore`."""
        rows = self._connection.execute(
            f"SELECT {_RUN}, max(due) FROM schedule_run WHERE schedule IN (SELECT value FROM json_each(?)) GROUP BY schedule",  # noqa: S608
            (json.dumps(list(schedules)),),
        )
        return {schedule: _run(schedule, *row) for schedule, *row, _ in rows}


def _schedule(  # noqa: PLR0913, PLR0917 - the columns of a row
    number: int, actor: str, acting_for: str | None, conversation: str, private: int, called: str, said: str, what: str,
    words: str, rule: str, zone: str, state: str, why: str, made_at: int, due: int | None,
) -> Schedule:  # fmt: skip
    return Schedule(
        number, actor, acting_for, conversation, bool(private), called, said, What(what), words, load(rule), zone,
        State(state), why, made_at, due,
    )  # fmt: skip


def _run(schedule: int, due: int, state: str, at: int, late: int, earlier: int) -> Run:
    return Run(schedule, due, Outcome(state), at, late, bool(earlier))
