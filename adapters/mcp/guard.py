"""Stands between the hub and one MCP server: `main` with FD and COMMAND as arguments, begun by `process`; light.

It ends when the server does, or when the hub closes FD, or is killed; and then nothing is left of the server: not its process
group, nor (on Linux) what left the group and its parents. Standard input and output are the server's alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

from adapters.aside import leave_terminal

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 38, 36  # <linux/prctl.h>
GRACE_SECONDS = 0.5
"""How long a server may take to end once it is told to."""

NOT_FOUND = 127
_NICENESS = 5


def main() -> int:
    """Run the server; returns its exit code, or 128 and the signal that ended it, as a shell does."""
    life, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(life, False)
    leave_terminal()
    linux = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if linux is not None:
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    child = os.fork()
    if child == 0:
        _become(command, linux)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    code = _wait(child, life, told)
    _sweep(child)
    return code


def _become(command: list[str], linux: ctypes.CDLL | None) -> None:
    """Be the server, in a group of its own."""
    try:
        signal.set_wakeup_fd(-1)
        os.setpgid(0, 0)
        os.nice(_NICENESS)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if linux is not None:
            linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            linux.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.execvp(command[0], command)  # noqa: S606 - an argument list
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(NOT_FOUND)


def _wait(child: int, life: int, told: int) -> int:
    """Wait for the end of the server; tell it to end once the hub is gone, or does."""
    deadline: float | None = None
    while True:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    code = os.waitstatus_to_exitcode(found[1])
                    return code if code >= 0 else 128 - code
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if left == 0:
            return 128 + signal.SIGKILL
        watched = [told] if deadline is not None else [told, life]
        ready, _, _ = select.select(watched, [], [], left)
        signals = os.read(told, 64) if told in ready else b""
        if deadline is None and (life in ready or set(signals) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}):
            deadline = time.monotonic() + GRACE_SECONDS
            _kill_group(child, signal.SIGTERM)


def _sweep(child: int) -> None:
    """End whatever is left of the server: its group, then those whose parents are gone, until there are none."""
    _kill_group(child, signal.SIGKILL)
    for _ in range(50):
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _kill_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
