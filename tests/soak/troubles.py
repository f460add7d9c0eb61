"""What goes wrong meanwhile: flood waits in single chats, servers that fail, hang up or go away, and two ends of the hub.

Troubles come one after another with a breath between, or several at once (`nasty`). Each takes some seconds and is made good.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.clockwork import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.soak.wires import BreakableModel, WatchedMatrix, WatchedTelegram

FLOOD = 6
"""Seconds that a chat is told to wait."""

AFTERMATH_MS = 6000
"""How long a broken server is felt after it is well: whoever found it broken looks again some seconds later."""

BREATH = 2.0
OUTAGE = 2.0


@dataclass(frozen=True)
class Trouble:
    """What went wrong from when until when, Unix ms; `parked`: the one place that it was for."""

    name: str
    begun: int
    ended: int
    parked: str = ""

    @property
    def felt(self) -> tuple[int, int]:
        """From when until when somebody may have to wait for it."""
        return self.begun, self.ended + (0 if self.parked else AFTERMATH_MS)


class Troubles:
    """Makes them."""

    def __init__(self, telegram: WatchedTelegram, matrix: WatchedMatrix, model: BreakableModel, seed: int) -> None:
        self._telegram = telegram
        self._matrix = matrix
        self._model = model
        self._dice = random.Random(f"troubles {seed}")  # noqa: S311 - the same again
        self.made: list[Trouble] = []

    async def run(self, over: Callable[[], bool], lane: int = 0) -> None:
        """Make one after another until it is over, beginning somewhere else in each `lane`."""
        kinds: list[Callable[[], Coroutine[Any, Any, str | None]]] = [
            self._flood_telegram, self._telegram_fails, self._flood_matrix, self._matrix_fails, self._flood_telegram,
            self._telegram_hangs_up, self._flood_matrix, self._matrix_hangs_up, self._telegram_goes_away,
            self._matrix_goes_away, self._model_breaks_off, self._telegram_is_silent, self._matrix_is_slow,
        ]  # fmt: skip
        for kind in itertools.islice(itertools.cycle(kinds), lane * 4, None):
            await SystemClock().sleep(BREATH)
            if over():
                return
            begun = SystemClock().now()
            parked = await kind() or ""
            name = kind.__name__.strip("_").replace("_", " ")
            self.made.append(Trouble(name, begun, SystemClock().now(), parked))

    async def _flood_telegram(self) -> str:
        chat = self._dice.choice(list(self._telegram.chats.values()))
        self._telegram.flood(chat, FLOOD)
        await SystemClock().sleep(FLOOD)
        self._telegram.calm(chat)
        return str(chat.id)

    async def _flood_matrix(self) -> str:
        room = self._dice.choice(list(self._matrix.rooms.values()))
        self._matrix.flood(room, FLOOD)
        await SystemClock().sleep(FLOOD)
        self._matrix.calm(room)
        return room.id

    async def _telegram_fails(self) -> None:
        self._telegram.down(self._dice.choice((500, 502)))
        await SystemClock().sleep(OUTAGE)
        self._telegram.up()

    async def _matrix_fails(self) -> None:
        self._matrix.down()
        await SystemClock().sleep(OUTAGE)
        self._matrix.up()

    async def _telegram_hangs_up(self) -> None:
        """After it did what it was asked, so that nobody can know; or before."""
        for method in ("sendMessage", "editMessageText", "getUpdates"):
            self._telegram.drop_reply(method, 2)
        await SystemClock().sleep(OUTAGE)
        for method in ("sendMessage", "sendChatAction", "getUpdates"):
            self._telegram.drop_request(method, 2)
        await SystemClock().sleep(OUTAGE)

    async def _matrix_hangs_up(self) -> None:
        for _ in range(3):
            self._matrix.lose()
        await SystemClock().sleep(OUTAGE)
        self._matrix.cut(4)
        await SystemClock().sleep(OUTAGE)

    async def _telegram_goes_away(self) -> None:
        await self._telegram.stop()
        await SystemClock().sleep(OUTAGE)
        await self._telegram.start()

    async def _matrix_goes_away(self) -> None:
        await self._matrix.stop()
        await SystemClock().sleep(OUTAGE)
        await self._matrix.start()

    async def _model_breaks_off(self) -> None:
        self._model.breaking += 3
        await SystemClock().sleep(OUTAGE)

    async def _telegram_is_silent(self) -> None:
        self._telegram.stall()
        await SystemClock().sleep(OUTAGE)
        self._telegram.flow()

    async def _matrix_is_slow(self) -> None:
        """It takes what is sent, and answers nobody for a while."""
        self._matrix.hold()
        await SystemClock().sleep(OUTAGE)
        self._matrix.release()
