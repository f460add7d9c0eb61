"""`timmy run`: the hub until it is told to stop, with a chat on standard input if wanted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from bot.app import build, talk
from bot.descriptors import many_files
from bot.doctor_money import Money, sats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.app import App
    from config.settings import Settings


SWITCH_SECONDS = 0.0005
"""How long one thread may hold up the others. The database's lets go at each statement; Python's own 5 ms is a whole answer's."""


async def run(settings: Settings, *, console: bool) -> None:
    """Serve until SIGTERM, Ctrl-C, or the end of the console. Raises `HubError` where the hub cannot start."""
    os.umask(0o077)  # whatever the hub writes is its owner's alone
    sys.setswitchinterval(SWITCH_SECONDS)
    many_files()
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.ensure_future(_serve(settings, ready, stop, console=console))  # noqa: TID251 - ended by a signal

    def end() -> None:
        if not ready.is_set() and not stop.is_set():
            serving.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        await serving
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


@contextlib.asynccontextmanager
async def _whole(settings: Settings) -> AsyncIterator[App]:
    """A hub until it is down; raises `DataGone` where it ended because its files were gone."""
    async with build(settings) as app:
        yield app
    if app.watch.lost is not None:
        raise app.watch.lost


async def _serve(settings: Settings, ready: asyncio.Event, stop: asyncio.Event, *, console: bool) -> None:
    if not (found := sats(settings, Money())).ok:
        print(f"timmy: {found.says}. {found.fix}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever starts it
    async with _whole(settings) as app:
        app.watch.end = stop.set
        if app.watch.lost is not None:
            stop.set()
        gc.freeze()  # what the start made is there to stay: to look through all of it again would stop the hub for 50 ms
        ready.set()
        if not console:
            print(f"timmy: ready on {app.address}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever started it
            if settings.serve.enabled:
                gate = app.serving.gate
                words = f"timmy: selling to strangers on {gate.address}, {gate.price_words} a call"
                print(words, file=sys.stderr, flush=True)  # noqa: T201
            await stop.wait()
            return
        chat = asyncio.ensure_future(talk(app))  # noqa: TID251 - raced with the signal, and ended here
        stopping = asyncio.ensure_future(stop.wait())  # noqa: TID251
        try:
            await asyncio.wait({chat, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            chat.cancel()
            outcome, _ = await asyncio.gather(chat, stopping, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
