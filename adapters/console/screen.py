"""What goes to the terminal's streams: plain text only, and written on a thread, so that nobody waits for who does not read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from typing import TextIO

_CONTROLS = {number: None for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in "\n\t"}


def plain(text: str) -> str:
    """The text without the control characters (C0 and C1 but newline and tab) by which it could command a terminal."""
    return text.translate(_CONTROLS)


async def write(text: str, stream: TextIO | None) -> None:
    """Write; returns once it is taken. Raises what writing raises, such as `BrokenPipeError`.

    The thread is nobody's to wait for: one whose reader never reads outlives the hub's stop, as the reading one does.
    """
    if stream is None:
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    descriptor, left = stream.fileno(), text.encode(stream.encoding, "replace")

    def tell(error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        failed = None
        try:
            _write(descriptor, left)
        except OSError as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has ended
            loop.call_soon_threadsafe(tell, failed)

    threading.Thread(target=work, name="standard output", daemon=True).start()
    await done


def _write(descriptor: int, left: bytes) -> None:
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # somebody else made the terminal so
            select.select((), (descriptor,), ())
