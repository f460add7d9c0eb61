"""`self-tdd watch`: the watchdog with what it works with, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from adapters.clockwork import Nursery, SystemClock, SystemIds
from adapters.console.client import request
from adapters.console.screen import plain
from adapters.folder import is_data
from adapters.suites import command
from adapters.suites.changes import changes
from adapters.suites.suite import Suite
from bot.teller import Teller
from core.automation.tdd import SelfTdd
from core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from core.automation.watchdog import Say


class NoSuchProject(UserError):
    """{folder} is no folder that can be read: {why}. Name the project's: self-tdd watch --path DIR"""


class Wanted(NamedTuple):
    """What is to be watched: the folder, seconds between runs and for one, and the command (None: found by the folder).

    `chat` is told, by the hub on the data folder `data`.
    """

    path: Path
    interval: float
    timeout: float
    command: list[str] | None = None
    chat: str | None = None
    data: Path | None = None


async def watch(wanted: Wanted) -> None:
    """Watch until SIGTERM or Ctrl-C. Raises what is wrong with folder, command and chat, and `NotWatched`."""
    stop, work = asyncio.Event(), asyncio.current_task()

    def end() -> None:
        if not stop.is_set() and work is not None:
            stop.set()
            work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        async with Nursery() as nursery:
            dog = await _made(wanted, stop, nursery)
            await dog.run()
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


async def _made(wanted: Wanted, stop: asyncio.Event, nursery: Nursery) -> SelfTdd:
    folder, clock = wanted.path.resolve(), SystemClock()
    _look(folder)
    words = wanted.command or command.found(folder)
    command.check(words, folder)
    teller = None
    if wanted.chat is not None and wanted.data is not None:
        ask, note = partial(request, wanted.data), partial(_print, clock)
        teller = Teller(wanted.chat, ask, note, clock=clock, ids=SystemIds())
        await teller.check()
        nursery.spawn(teller.run(), "the chat")

    def say(said: Say) -> None:
        _print(clock, said.words)
        if teller is not None and not said.note:
            teller.tell(f"{folder.name}: {said.words}")

    _print(clock, f"watching {folder}: {shlex.join(words)}")
    suite = Suite(folder, words, clock, seconds=wanted.timeout, environment=os.environ)
    return SelfTdd(
        suite,
        partial(changes, folder, clock, stop, is_data),
        say,
        clock=clock,
        spawner=nursery,
        interval=wanted.interval,
    )


def _look(folder: Path) -> None:
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise NoSuchProject(folder=folder, why=error.strerror or error) from error


def _print(clock: SystemClock, words: str) -> None:
    at = datetime.fromtimestamp(clock.now() / 1000, tz=UTC).astimezone()
    print(plain(f"{at:%H:%M:%S} {words}"), file=sys.stdout, flush=True)  # noqa: T201 - for whoever started it
