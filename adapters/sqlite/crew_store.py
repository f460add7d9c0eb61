"""The crew as rows. `enrolled_at` is when a worker enrolled, or was last noted to be here or to have gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.swarm.crew import Enrolled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from core.store import Tx


_WORKER = "name, capabilities, concurrency, live"


class CrewRows:
    """`core.swarm.ports.CrewStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection, tx: Tx) -> None:
        self._connection = connection
        self._tx = tx
        self._names: set[str] | None = None

    def renew(self) -> None:
        """Look again at the next question: a transaction began, or something of it was undone."""
        self._names = None

    def all(self) -> list[tuple[Enrolled, bool, int]]:
        """See `CrewStore`."""
        rows = self._connection.execute(f"SELECT {_WORKER}, here, enrolled_at FROM crew ORDER BY name")  # noqa: S608 - constants
        return [(_worker(*row), bool(here), seen) for *row, here, seen in rows]

    def has(self, name: str) -> bool:
        """See `CrewStore`. Asked of everybody who is paid, so read once a transaction."""
        if self._names is None:
            self._names = {name for (name,) in self._connection.execute("SELECT name FROM crew")}
        return name in self._names

    def find(self, name: str) -> Enrolled | None:
        """See `CrewStore`."""
        row = self._connection.execute(f"SELECT {_WORKER} FROM crew WHERE name = ?", (name,)).fetchone()  # noqa: S608
        return None if row is None else _worker(*row)

    def put(self, worker: Enrolled, *, here: bool) -> None:
        """See `CrewStore`."""
        self.renew()
        self._connection.execute(
            "INSERT INTO crew VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET capabilities = excluded.capabilities,"
            " concurrency = excluded.concurrency, live = excluded.live, here = excluded.here, enrolled_at = excluded.enrolled_at",
            (
                worker.name,
                "\n".join(worker.capabilities),
                worker.concurrency,
                int(worker.live),
                int(here),
                self._tx.now,
            ),
        )

    def note(self, here: Collection[str]) -> None:
        """See `CrewStore`."""
        for name, was in self._connection.execute("SELECT name, here FROM crew").fetchall():
            if was or name in here:
                query = "UPDATE crew SET here = ?, enrolled_at = ? WHERE name = ?"
                self._connection.execute(query, (int(name in here), self._tx.now, name))


def _worker(name: str, can: str, count: int, live: int) -> Enrolled:
    return Enrolled(name, tuple(can.split("\n")) if can else (), count, live=bool(live))
