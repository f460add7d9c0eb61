"""A database and a simulated node as a first start makes them, copied: to make both takes a third of a hub's start.

That a start makes them is seen by tests/unit/sqlite/test_opening.py and wherever a test runs the program.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from adapters.lightning.simulated_file import NodeFile
from adapters.sqlite.connection import connect
from tests.fakes import EPOCH


def blank(path: Path) -> Path:
    """Put an empty database there, in a folder of its owner's alone, unless there is one; returns the path."""
    return path if path.exists() else _put(path, _image())


def blank_node(path: Path) -> Path:
    """Put a simulated node there that has done nothing yet; they all have the same key."""
    return path if path.exists() else _put(path, _node())


def _put(path: Path, image: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(image)
    path.chmod(0o600)
    return path


@cache
def _image() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hub.db")
        connect(path).close()
        return path.read_bytes()


@cache
def _node() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "node.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            NodeFile(connection, EPOCH).found(bytes(range(1, 33)))
            connection.commit()
        return path.read_bytes()
