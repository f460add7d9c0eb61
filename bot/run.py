"""`timmy run`: the hub until it is told to stop, with a chat on standard input if wanted."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from bot.app import build, talk

if TYPE_CHECKING:
    from config.settings import Settings


async def run(settings: Settings, *, console: bool) -> None:
    """Serve until SIGTERM, Ctrl-C, or the end of the console. Raises `HubError` where the hub cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build(settings) as app:
        if not console:
            print(f"timmy: ready on {app.address}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever started it
            await stop.wait()
            return
        chat = asyncio.ensure_future(talk(app))  # noqa: TID251 - raced with the signal, and ended here
        stopping = asyncio.ensure_future(stop.wait())  # noqa: TID251
        try:
            await asyncio.wait({chat, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            chat.cancel()
            await asyncio.gather(chat, stopping, return_exceptions=True)
