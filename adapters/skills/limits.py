"""What a child process may use, and how it binds itself to it before it reads anything of a user's."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from typing import NamedTuple

from adapters.aside import leave_terminal

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # <linux/prctl.h>
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000  # <linux/sched.h>


class Limits(NamedTuple):
    """The bounds of one child: seconds of wall and of processor time, bytes of memory and of each file it writes.

    The kernel keeps to these; the hub looks itself at what all files together take (`written_bytes`, `written_files`).
    """

    wall_seconds: float = 60
    cpu_seconds: int = 45
    memory_bytes: int = 2 * 2**30
    file_bytes: int = 32_000_000
    open_files: int = 128
    niceness: int = 10
    text_bytes: int = 200_000
    delivered_bytes: int = 20_000_000
    written_bytes: int = 200_000_000
    written_files: int = 20_000


def confine(limits: Limits, parent: int) -> bool:
    """Bind this process to its limits, for good. It dies with `parent`, the process id of the hub.

    Whether it is also cut off from the network, which not every system allows.
    """
    for what, most, hardest in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 2),  # SIGXCPU first: it tells why
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS; a stricter limit may be there already
            resource.setrlimit(what, (most, hardest))
    os.nice(limits.niceness)
    leave_terminal()
    is_cut_off = sys.platform == "linux" and _confine_on_linux()
    if os.getppid() != parent:  # it died before we could ask to be told
        sys.exit(1)
    return is_cut_off


def _confine_on_linux() -> bool:
    """Die with the parent, gain no rights, reach no network; the last one where the kernel lets us."""
    import ctypes  # noqa: PLC0415 - for the child alone

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # root keeps its rights over files that way; anybody else needs a user namespace to be allowed one
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))
