"""When each payment whose end is not known is looked up at the node: at once, then later and later, some at a time.

Each has a pace of its own, so that one that the node never ends, or never answers for, holds up nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST_LOOK_MS = 1_000
LAST_LOOK_MS = 60_000
"""How soon what is unfinished is looked up again: later and later."""

AT_ONCE = 100
"""How many are looked up before what is unfinished is read anew."""


class Looks:
    """The next look at each payment, by its hash; times in Unix ms."""

    def __init__(self) -> None:
        self._next: dict[bytes, tuple[int, int]] = {}
        self._busy: frozenset[bytes] = frozenset()

    def due(self, unfinished: Collection[bytes], busy: Collection[bytes], now: int) -> list[bytes]:
        """Those to look up now, whoever waits longest first; not the `busy` ones, which are being sent, and keep their pace.

        What is not unfinished any more is forgotten. A look further away than the longest pause was planned before the clock was
        set back.
        """
        self._next = {one: self._next.get(one, (0, 0)) for one in unfinished}
        self._busy = frozenset(busy)
        late = [one for one, (at, _) in self._next.items() if at <= now or at > now + LAST_LOOK_MS]
        return sorted((one for one in late if one not in self._busy), key=self._next.__getitem__)[:AT_ONCE]

    def looked(self, payment_hash: bytes, now: int) -> None:
        """It is being looked up: the next time is further away."""
        _, pause = self._next[payment_hash]
        pause = min(2 * pause, LAST_LOOK_MS) or FIRST_LOOK_MS
        self._next[payment_hash] = (now + pause, pause)

    def following(self) -> int | None:
        """When the next look is; None where nothing is unfinished, or all that is is busy."""
        return min((at for one, (at, _) in self._next.items() if one not in self._busy), default=None)
