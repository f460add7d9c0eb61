"""What Shortcuts asked, and where their answers stand, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.sqlite.message_store import OUTGOING, outgoing
from core.messages import RECORDING, Answer, Job

if TYPE_CHECKING:
    import sqlite3

_JOB = "job, token, key, request, person, words"
_HEARD = (
    "(SELECT nullif(text, '') FROM inbound WHERE surface = 'shortcuts' AND account = shortcut_job.token"
    " AND update_id = shortcut_job.key)"
)


class ShortcutRows:
    """`core.messages.JobStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def open(self, job: Job, now: int) -> Job:
        """See `JobStore`."""
        self._connection.execute(
            f"INSERT INTO shortcut_job ({_JOB}, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token, key) DO NOTHING",  # noqa: S608
            (job.name, job.token, job.key, job.request, job.person, job.words, now),
        )
        return self.caused(job.token, job.key) or job

    def find(self, name: str) -> Job | None:
        """See `JobStore`."""
        return self._found("job = ?", name)

    def caused(self, token: str, key: str) -> Job | None:
        """See `JobStore`."""
        return self._found("token = ? AND key = ?", token, key)

    def _found(self, where: str, *values: str) -> Job | None:
        query = f"SELECT {_JOB}, {_HEARD} FROM shortcut_job WHERE {where}"  # noqa: S608 - constants
        row = self._connection.execute(query, values).fetchone()
        if row is None:
            return None
        job = Job(*row[:-1])
        return job._replace(words=row[-1], heard=True) if job.words == RECORDING and row[-1] else job

    def received(self, job: Job) -> bool:
        """See `JobStore`."""
        query = "SELECT 1 FROM inbound WHERE surface = 'shortcuts' AND account = ? AND update_id = ?"
        return self._connection.execute(query, (job.token, job.key)).fetchone() is not None

    def answer(self, cause: str) -> Answer | None:
        """See `JobStore`."""
        row = self._connection.execute(
            f"SELECT {OUTGOING} FROM outgoing WHERE surface = 'shortcuts' AND cause = ? ORDER BY id LIMIT 1",  # noqa: S608
            (cause,),
        ).fetchone()
        return None if row is None else Answer(outgoing(*row), row[5] in {"queued", "sending"})

    def take(self, number: int, sent: str) -> bool:
        """See `JobStore`."""
        changed = self._connection.execute(
            "UPDATE outgoing SET state = 'sent', platform_id = ? WHERE id = ? AND state IN ('queued', 'sending')",
            (sent, number),
        )
        return changed.rowcount > 0
