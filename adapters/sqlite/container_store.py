"""Agents in containers as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.swarm.container import Container, Trouble

if TYPE_CHECKING:
    import sqlite3

_CONTAINER = "name, image, capabilities, live, ended, ends, trouble, why"


class ContainerRows:
    """`core.swarm.keeper.ContainerStore` on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def mark(self, fresh: str) -> str:
        """See `ContainerStore`."""
        self._connection.execute("INSERT OR IGNORE INTO container_mark VALUES (1, ?)", (fresh,))
        (mark,) = self._connection.execute("SELECT mark FROM container_mark").fetchone()
        return str(mark)

    def all(self) -> list[Container]:
        """See `ContainerStore`."""
        rows = self._connection.execute(f"SELECT {_CONTAINER} FROM container ORDER BY name")  # noqa: S608 - constants
        return [_container(*row) for row in rows]

    def put(self, one: Container) -> None:
        """See `ContainerStore`."""
        self._connection.execute(
            f"INSERT OR REPLACE INTO container ({_CONTAINER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (
                one.name, one.image, "\n".join(one.capabilities), int(one.live), one.ended, one.ends, one.trouble.value,
                one.why,
            ),
        )  # fmt: skip


def _container(  # noqa: PLR0913, PLR0917 - the columns of a row
    name: str, image: str, can: str, live: int, ended: str, ends: int, trouble: str, why: str
) -> Container:
    capabilities = tuple(can.split("\n")) if can else ()
    return Container(name, image, capabilities, bool(live), ended, ends, Trouble(trouble), why)
