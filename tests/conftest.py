"""What every test runs under.

Hypothesis's profiles: CI tries the same cases at every run, so that what is red stays red while it is looked at.

Data folders are in memory where there is enough of it: a test kills processes and no machine, so waiting for a disk proves
nothing, and thousands of folders are made. `PYTEST_DEBUG_TEMPROOT` names another place.

What is collected stays to the end, so the garbage collector looks at it no more: it took a seventh of the run.

Each worker collects every test, and in a new clone rewrites the assertions of every file: together they do it once.

Each worker keeps to one processor, where there is a way to say so: a hub's threads hand over to each other all the time, which
takes a quarter longer from one processor to another. One worker more than there are processors is where another waits.

What a run of everything leaves out is not collected where that can be told beforehand: each worker would make a test of it.

Workers report a test once, unless an option asks for more: six messages a test were a tenth of the run.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.depth import depth

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's; pytest makes a folder of its own in it
ENOUGH = 2 << 30
"""Bytes that must be free there, though a run takes 300 MB: a container's default of 64 MB must not be filled."""

EXAMPLES = depth(30, 100)
settings.register_profile("default", deadline=None, max_examples=EXAMPLES)
settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
    free = os.statvfs(MEMORY)
    if free.f_bavail * free.f_frsize >= ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
if WORKER and hasattr(os, "sched_setaffinity") and (own := sorted(os.sched_getaffinity(0))[int(WORKER) :]):
    os.sched_setaffinity(0, own[:1])

gc.disable()


@cache
def _left_out(config: pytest.Config) -> frozenset[str]:
    """The marks that a run of everything leaves out: none where somebody names a path, or an expression of their own."""
    asked = config.option.markexpr
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and f"-m={asked}" in config.getini("addopts")
    return frozenset(re.findall(r"not (\w+)", asked)) if whole else frozenset()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Folders named after a mark have it throughout: they are not even read."""
    return (collection_path.parent == HERE and collection_path.name in _left_out(config)) or None


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, obj: object) -> list[pytest.Item] | None:
    marks = {mark.name for mark in getattr(obj, "pytestmark", ())}
    return [] if marks & _left_out(collector.config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Where several workers collect everything, each begins with other files, and finds what the others have rewritten."""
    config = session.config
    if WORKER and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        root = config.rootpath
        folders = [folder for name in config.getini("testpaths") for folder in (root / name).iterdir()]
        wanted = [folder for folder in folders if folder.name not in _left_out(config)]
        files = sorted(file for folder in wanted for file in folder.rglob("test_*.py"))
        first = len(files) * int(WORKER) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for file in files[first:] + files[:first]:
            with contextlib.suppress(Exception):  # the collector says what is wrong with it
                importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))


def pytest_sessionstart(session: pytest.Session) -> None:
    option = session.config.option
    if option.verbose > 0 or option.durations or option.xmlpath:
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if send := getattr(plugin, "sendevent", None):
            plugin.sendevent = partial(_unless_needless, send)


def _unless_needless(send: Callable[..., None], name: str, **facts: Any) -> None:
    """Send what a worker has to tell, but for a set-up or an end that went well, and that a test begins or is over."""
    report = facts["data"] if name == "testreport" else {"outcome": "", "when": ""}
    if name not in {"logstart", "logfinish"} and (report["outcome"] != "passed" or report["when"] == "call"):
        send(name, **facts)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()
