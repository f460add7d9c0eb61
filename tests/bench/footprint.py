"""What starting costs, and how much memory an idle hub holds, against the bare libraries that it uses."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
FLOOR = "import aiosqlite, aiohttp, aiohttp.web, pydantic_settings"
PACKAGES = ("bot", "core", "adapters", "config")
TIMMY = [sys.executable, "-m", "bot.cli"]


def _environment(folder: Path) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("TIMMY_")} | {
        "TIMMY_DATA_DIR": str(folder / "data"), "TIMMY_WORKSPACE": str(folder / "workspace"), "TIMMY_HTTP_PORT": "0",
        "TIMMY_OLLAMA_URL": "http://127.0.0.1:9",
    }  # fmt: skip


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def help_seconds() -> tuple[float, float]:
    """`timmy --help`, and the import of its command-line library."""
    return _seconds([*TIMMY, "--help"]), _seconds([sys.executable, "-c", "import click"])


def start_seconds(folder: Path) -> tuple[float, float]:
    """From nothing to "ready" on an existing data folder, and the import of the libraries in use."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [*TIMMY, "run"], cwd=ROOT, env=_environment(folder), stderr=subprocess.PIPE, text=True
    ) as hub:
        assert hub.stderr is not None
        line = hub.stderr.readline()
        taken = time.perf_counter() - begun
        hub.terminate()
        hub.communicate()
    assert "ready" in line, line
    return taken, _seconds([sys.executable, "-c", FLOOR])


def resident_mb(folder: Path) -> tuple[float, float]:
    """Resident memory of an idle `timmy run --console` on a pipe, and of a process that imported the libraries, MB."""
    waits = f"{FLOOR}; print('/', flush=True); input()"
    return (
        _resident([*TIMMY, "run", "--console"], folder, "/whoami\n"),
        _resident([sys.executable, "-c", waits], folder, ""),
    )


def _resident(command: list[str], folder: Path, first: str) -> float:
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(first)
        process.stdin.flush()
        assert process.stdout.readline(), "it did not start"
        found = psutil.Process(process.pid).memory_info().rss / 2**20
        process.stdin.write("\n")
        process.stdin.close()
        process.wait(10)
    return float(found)


def data_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a hub that has been started once, and is compiled: else what was changed would be, at each start."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", *PACKAGES], cwd=ROOT, check=True)
    folder = tempfile.TemporaryDirectory(prefix="timmy-bench-")
    start_seconds(Path(folder.name))
    return folder


def is_set_up() -> bool:
    """Whether `make run` would start at once here, with nothing to install."""
    made = subprocess.run(["make", "-q", "install"], cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
    return made.returncode == 0


def prompt_seconds(folder: Path) -> float:
    """From `make run` on a terminal to its prompt, on an existing data folder."""
    ours, theirs = pty.openpty()
    begun = time.perf_counter()
    with subprocess.Popen(
        ["make", "-s", "run"], cwd=ROOT, env=_environment(folder) | {"TERM": "xterm"}, stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # what a terminal says once nobody is left on it
            while b"timmy>" not in seen:
                seen += os.read(ours, 4096)
        taken = time.perf_counter() - begun
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    os.close(ours)
    assert b"timmy>" in seen, seen
    return taken
