"""The lookout counts looks, and no time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bot.lookout import MEND_LOOKS, STUCK_LOOKS, Lookout
from core.swarm.stuck import Stuck
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence


class Told(Lookout):
    """Keeps what it would tell."""

    def __init__(self, clock: FakeClock) -> None:
        none = cast("Any", None)
        super().__init__([self.late], none, none, clock, lambda: (), lambda _: None)
        self.mended = self.told = 0

    async def late(self) -> Sequence[Stuck]:
        """Something is, always."""
        return [Stuck("a", "S-1", "it is late", "wait", "a/1", self.mend)]

    def mend(self) -> None:
        """It is set going."""
        self.mended += 1

    async def _tell(self, found: Sequence[Stuck]) -> None:
        self.told += len(found)


async def test_over_a_jump_of_the_clock_nothing_is_stuck_that_had_no_turn() -> None:
    clock = FakeClock()
    lookout = Told(clock)
    for look in range(1, STUCK_LOOKS + 3):
        await lookout.look()
        assert (lookout.mended, lookout.told, len(lookout.stuck)) == (
            look >= MEND_LOOKS,
            look >= STUCK_LOOKS,
            look >= STUCK_LOOKS,
        )
        clock.advance(3_600_000)
