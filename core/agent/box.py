"""The port to a box: where code runs that a model wrote or changed, or nowhere.

A box is made for one program and is gone with it. It has no network, nothing of the hub's, and limits; what goes in and what comes
out are files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_IN = 50 * 2**20
"""Bytes of all files that go in."""

MOST_OUT = 20 * 2**20
"""Bytes of all files that come out."""

MOST_FILES = 20
"""Files that come out."""

MOST_SAID = 100_000
"""Bytes that a program says; of more, the first and the last are kept."""


class Ran(NamedTuple):
    """How a program ended: its exit status, what it said, and the files it made or changed, by name.

    `ended` says why it did not end by itself; empty if it did.
    """

    status: int
    said: str
    files: tuple[tuple[str, bytes], ...] = ()
    ended: str = ""


class Box(Protocol):
    """What runs programs in boxes."""

    def lacks(self) -> str:
        """What it lacks to run anything now, as far as that is known without asking; empty if nothing. Quick."""

    async def run(self, command: Sequence[str], files: Sequence[tuple[str, bytes]], *, seconds: float = 60) -> Ran:
        """Run a program (an argument list) among these files, and return with what it made.

        Raises `UserError`s for what cannot be put in or begun, and `DockerAway`.
        """

    async def run_in(self, folder: Path, command: Sequence[str], *, seconds: float = 600) -> Ran:
        """Run a program in a copy of a folder, without what is closed in it; nothing comes back but what it said."""
