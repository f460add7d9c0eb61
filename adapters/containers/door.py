"""The way to boxes, for a hub that may never use one: what runs them is loaded by the first that is asked for."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import HubError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from adapters.containers.box import Boxes
    from core.agent.box import Ran
    from core.ports import Clock, Spawner

BELIEVED = 60_000
"""ms for which what went wrong last is believed."""

log = logging.getLogger(__name__)


class Door:
    """`core.agent.box.Box`. `make` gives what runs boxes on the Docker at `url`.

    Where there may be one it is looked at behind the first turn that might need it, so that the next ones know.
    """

    def __init__(self, url: str, make: Callable[[], Boxes], clock: Clock, spawner: Spawner) -> None:
        self._url = url
        self._make = make
        self._clock = clock
        self._spawner = spawner
        self._looked: int | None = None
        self._boxes: Boxes | None = None
        self._wrong: tuple[int, str] = (0, "")

    def lacks(self) -> str:
        """See `Box`."""
        since, why = self._wrong
        if why and self._clock.steady() - since < BELIEVED:
            return why
        parts = urlsplit(self._url)
        if parts.scheme == "unix" and not os.access(parts.path, os.R_OK | os.W_OK):
            return f"it runs in a container, and there is no Docker at {self._url} that this hub may use (TIMMY_DOCKER_URL)"
        if self._looked is None or (why and self._clock.steady() - self._looked >= BELIEVED):
            self._looked, self._wrong = self._clock.steady(), (0, "")
            self._spawner.spawn(self._look(), "look at Docker")
        return ""

    async def _look(self) -> None:
        try:
            await (await self._made()).look()
        except HubError as error:
            self._noted(error)

    async def run(self, command: Sequence[str], files: Sequence[tuple[str, bytes]], *, seconds: float = 60) -> Ran:
        """See `Box`."""
        try:
            return await (await self._made()).run(command, files, seconds=seconds)
        except HubError as error:
            raise self._noted(error) from None

    async def run_in(self, folder: Path, command: Sequence[str], *, seconds: float = 600) -> Ran:
        """See `Box`."""
        try:
            return await (await self._made()).run_in(folder, command, seconds=seconds)
        except HubError as error:
            raise self._noted(error) from None

    async def sweep(self) -> None:
        """Remove what other runs of this hub have left; where there is no Docker now, the first box does it."""
        try:
            await (await self._made()).sweep()
        except HubError as error:
            log.info("boxes of an earlier run could not be looked for: %s", error)

    async def _made(self) -> Boxes:
        if self._boxes is None:
            self._boxes = await asyncio.to_thread(self._make)
        return self._boxes

    def _noted(self, error: HubError) -> HubError:
        """What is wrong with Docker or the image is wrong with the next box too; what goes in is each box's own."""
        if not isinstance(error, UserError) or error.code in {"no_image", "bad_image", "not_started"}:
            self._wrong = self._clock.steady(), str(error)
        return error
