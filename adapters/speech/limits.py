"""What a child process of speech may use: `python -m adapters.speech.limits MEMORY PARENT PROGRAM ...` runs a program so."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress

from adapters.aside import leave_terminal

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # <linux/prctl.h>
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000  # <linux/sched.h>
NO_PROGRAM = 127
"""The status of a child whose program is not there, as a shell has it."""


def confine(memory: int, parent: int) -> None:
    """Bind this process to its limits, for good: no file, no network where that can be had, and it dies with the hub.

    `memory`: its address space, bytes; `parent`: the process id of the hub. What it becomes by `exec` is bound too.
    """
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
    os.nice(5)
    leave_terminal()
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - for the child alone

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Become the program."""
    confine(int(sys.argv[1]), int(sys.argv[2]))
    try:
        os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the hub's own command
    except OSError:
        sys.exit(NO_PROGRAM)


if __name__ == "__main__":
    main()
