"""What every test runs under.

Hypothesis's profiles: CI tries the same cases at every run, so that what is red stays red while it is looked at.

Data folders are in memory where there is enough of it: a test kills processes and no machine, so waiting for a disk proves
nothing, and thousands of folders are made. `PYTEST_DEBUG_TEMPROOT` names another place.

What is collected stays to the end, so the garbage collector looks at it no more: it took a seventh of the run.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from hypothesis import settings

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's; pytest makes a folder of its own in it
ENOUGH = 2 << 30
"""Bytes that must be free there, though a run takes 300 MB: a container's default of 64 MB must not be filled."""

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
    free = os.statvfs(MEMORY)
    if free.f_bavail * free.f_frsize >= ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()
