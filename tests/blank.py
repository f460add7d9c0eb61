"""A database as a first start makes it, copied: to run the schema upgrades takes a third of a hub's start.

That a start makes it is seen by tests/unit/sqlite/test_opening.py and wherever a test runs the program.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from adapters.sqlite.connection import connect


def blank(path: Path) -> Path:
    """Put an empty database there, in a folder of its owner's alone, unless there is one; returns the path."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(_image())
        path.chmod(0o600)
    return path


@cache
def _image() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hub.db")
        connect(path).close()
        return path.read_bytes()
