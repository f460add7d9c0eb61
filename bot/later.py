"""A part of the hub that is made when it is first needed: a hub that does not use it holds neither the part nor its code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Later(Generic[T]):
    """A part of type `T`; `make` imports what only that part needs."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.made: T | None = None
        """The part, where there was need of it."""
        self.needed = asyncio.Event()
        """Set from the first need on."""

    def __call__(self) -> T:
        """The part, always the same."""
        if self.made is None:
            self.made = self._make()
            self.needed.set()
        return self.made
