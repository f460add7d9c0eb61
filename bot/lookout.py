"""The lookout: what stays stuck is set going once more where that can be, and then told to the hub's owners, once.

It is shown as long as it lasts: by /status, `timmy doctor` and /metrics.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.automation.topics import Notice, Topic
from core.chat import Reply
from core.store import patiently
from core.tokens import home_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from core.automation.notify import Notices, NoticeTx
    from core.chat import Outgoing
    from core.ports import Clock
    from core.store import Store
    from core.swarm.stuck import Stuck

log = logging.getLogger(__name__)

LOOK_SECONDS = 20.0

MEND_LOOKS, STUCK_LOOKS = 3, 4
"""At so many looks on end something has looked stuck until it is set going once more, and until it is said to be stuck.

Looks are counted and no time: over one jump of the clock whatever is due has not had its turn.
"""

MOST_TOLD = 5
"""What one message names."""


class Lookout:
    """Looks now and then. `looks` say what looks stuck now; `owners` are actor ids now, told in their homes."""

    def __init__(
        self,
        looks: Sequence[Callable[[], Awaitable[Sequence[Stuck]]]],
        store: Store[NoticeTx],
        notices: Notices,
        clock: Clock,
        owners: Callable[[], Collection[str]],
        send: Callable[[Outgoing], None],
    ) -> None:
        self._looks = looks
        self._store = store
        self._notices = notices
        self._clock = clock
        self._owners = owners
        self._send = send
        self._seen: dict[str, int] = {}
        self._mended: set[str] = set()
        self._told: set[str] = set()
        self.stuck: list[Stuck] = []
        """What is stuck, as of the last look."""

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look at everything."""
        seen = {one.key: one for look in self._looks for one in await look()}
        self._seen = {key: self._seen.get(key, 0) + 1 for key in seen}
        self._mended &= seen.keys()
        self._told &= seen.keys()
        for key, one in seen.items():
            if one.mend is not None and key not in self._mended and self._seen[key] >= MEND_LOOKS:
                log.warning("%s is set going once more: %s", one.about, one.why)
                self._mended.add(key)
                one.mend()
        self.stuck = [one for key, one in seen.items() if self._seen[key] >= STUCK_LOOKS]
        if new := [one for one in self.stuck if one.key not in self._told]:
            await self._tell(new)
            self._told.update(one.key for one in new)

    async def _tell(self, found: Sequence[Stuck]) -> None:
        """Tell the owners of what they were not told of, in this life of the hub or another."""

        def work(tx: NoticeTx) -> list[Outgoing]:
            new = [one for one in found if tx.applied(one.key) is None]
            for one in new:
                tx.mark(one.key, "")
                log.error("%s is stuck: %s", one.about, one.why)
            homes = {home for owner in self._owners() if (home := home_of(owner)) is not None}
            return self._notices.tell(tx, Notice(Topic.HEALTH, told(new), homes)) if new else []

        for message in await patiently(self._store, work, self._clock):
            self._send(message)


def told(found: Sequence[Stuck]) -> Reply:
    """What is stuck, and what to do about each."""
    lines = [f"{one.about} is stuck: {one.why}. To do: {one.fix}." for one in found[:MOST_TOLD]]
    if (more := len(found) - MOST_TOLD) > 0:
        lines.append(f"So are {more} more: /status")
    return Reply("\n".join(lines), {"ok": False, "stuck": [one.about for one in found]})
