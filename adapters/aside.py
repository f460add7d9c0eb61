"""How a child process of the hub's stands aside: it stays in the hub's session, and has no part in its terminal.

A child is begun in a group of its own (`process_group=0`), which ends as one, and which Ctrl-C does not reach. A session of its own
would be too much: Linux may share a processor out among sessions first (sched(7), autogroup), and such a child takes as much as the
hub, however nice it is. What else a session would keep from it, it gives up itself, before it runs or reads what is not the hub's.

A program that is not ours, and goes behind nobody, has a session: a clone's git, a project's tests.
"""

from __future__ import annotations

import os
from contextlib import suppress


def leave_terminal() -> None:
    """Have no controlling terminal, and nor has what this process starts: for good, as only a session's leader gains one.

    Through it, it could read what is typed, be stopped for trying (SIGTTIN), and itself type there in the owner's name (TIOCSTI).
    """
    import fcntl  # noqa: PLC0415 - as the next: for the child alone
    import termios  # noqa: PLC0415

    with suppress(OSError):  # there is none
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.ioctl(terminal, termios.TIOCNOTTY)
        finally:
            os.close(terminal)
