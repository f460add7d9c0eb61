"""A damaged or hostile file trips the library that reads it over anything whatever; here that becomes one clear line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters.skills.closed import shown
from adapters.skills.errors import FileBroken
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reading(path: str, kind: str, why: str = "its contents are damaged") -> Iterator[None]:
    """Raise `FileBroken` for what a library raises in this block; named errors, lack of memory and of time go up."""
    try:
        yield
    except (HubError, MemoryError, TimeoutError):
        raise
    except Exception as error:
        raise FileBroken(path=shown(path), kind=kind, why=why) from error
