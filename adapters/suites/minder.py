"""Stands between the watchdog and the tests: `python -m adapters.suites.minder`, with a socket as its standard input.

Whatever the tests start ends with them, and all of it ends with the watchdog, even one that was killed: the socket closes then.
It needs nothing but the standard library, and starts in 20 ms.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
GRACE_SECONDS = 0.3
"""How long tests that are interrupted may take to clean up."""

_LOOK_SECONDS = 0.02
_ROUNDS = 20
_PROCESSES = Path("/proc")


def main() -> None:
    """Read what is to be run, run it, and say how it ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    link = socket.socket(fileno=os.dup(0))
    job = json.loads(_line(link))
    _adopt()
    try:
        child = subprocess.Popen(
            job["command"],
            cwd=job["folder"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_hear_again,  # noqa: PLW1509 - there is one thread so far
        )
    except OSError as error:
        answer = {"errno": error.errno, "what": "folder" if error.filename == job["folder"] else "program"}
    else:
        threading.Thread(target=_end_with, args=(link, child), daemon=True).start()
        answer = {"status": child.wait()}
        _sweep(child.pid)
    with suppress(OSError):
        link.sendall(json.dumps(answer).encode() + b"\n")


def _hear_again() -> None:
    """What this process ignores its child would ignore too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _line(link: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and (piece := link.recv(65_536)):
        data += piece
    return data


def _adopt() -> None:
    """What a child leaves behind becomes this process's own, where there is a way to say so: else only its group is known."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - for Linux alone

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with(link: socket.socket, child: subprocess.Popen[bytes]) -> None:
    """Wait until the watchdog hangs up, or is gone; then interrupt the tests, as Ctrl-C would."""
    with suppress(OSError):
        link.recv(1)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    if child.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _sweep(group: int) -> None:
    """End and reap whatever is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for _ in range(_ROUNDS):
        for process in _descendants():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if not _descendants():
            return
        time.sleep(_LOOK_SECONDS)


def _descendants() -> set[int]:
    """The processes below this one."""
    parents = {}
    for entry in _PROCESSES.glob("[0-9]*/stat") if sys.platform == "linux" else ():
        with suppress(OSError, ValueError, IndexError):
            # pid (name) state parent ...; a name may hold spaces and brackets
            parents[int(entry.parent.name)] = int(entry.read_bytes().rpartition(b")")[2].split()[1])
    found, fresh = set[int](), {os.getpid()}
    while fresh:
        fresh = {process for process, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


if __name__ == "__main__":
    main()
