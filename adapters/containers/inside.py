"""What begins in a box: unpacks what came in, runs the one program, and packs what it made. No part of the hub: it is sent there.

On standard input come the files, as a tar; standard error carries what the program says, standard output the files it made.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

TIMED_OUT, NO_PROGRAM = 124, 127
"""Exit statuses as timeout(1) and shells have them."""


def main(order: dict[str, Any]) -> int:
    """Do as ordered; returns the program's exit status."""
    work = Path(order["work"])
    unpack(sys.stdin.buffer.read(order["bytes"]), work)
    before = seen(work)
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        child = subprocess.Popen(order["command"], stdin=subprocess.DEVNULL, cwd=work, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{order['command'][0]}: {error.strerror}\n")
        return NO_PROGRAM
    try:
        status = child.wait(order["seconds"])
    except subprocess.TimeoutExpired:
        status = TIMED_OUT
    with contextlib.suppress(ProcessLookupError):  # what it started goes with it
        os.killpg(child.pid, signal.SIGKILL)
    if order["files"]:
        deliver(work, before, answers, order)
    return status if status >= 0 else 128 - status


def unpack(packed: bytes, work: Path) -> None:
    """Put the files where they are worked on."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for entry in archive:
            place = work / entry.name
            place.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(entry)
            place.write_bytes(content.read() if content else b"")
            place.chmod(entry.mode)


def seen(work: Path) -> dict[str, tuple[int, int]]:
    """Every plain file, with what tells that it was changed."""
    found = {}
    for top, _, names in os.walk(work):
        for place in (Path(top, name) for name in names):
            if place.is_file() and not place.is_symlink():
                status = place.lstat()
                found[str(place.relative_to(work))] = (status.st_mtime_ns, status.st_size)
    return found


def deliver(work: Path, before: dict[str, tuple[int, int]], answers: int, order: dict[str, Any]) -> None:
    """Pack what was made or changed, as much of it as may come out."""
    made = [
        name for name, state in sorted(seen(work).items()) if before.get(name) != state and "__pycache__" not in name
    ]
    room = order["most"]
    with os.fdopen(answers, "wb") as output, tarfile.open(fileobj=output, mode="w|") as archive:
        for name in made[: order["files"]]:
            room -= (work / name).stat().st_size
            if room < 0:
                sys.stderr.write(f"{name} and what follows is too large to come out\n")
                break
            archive.add(work / name, arcname=name, recursive=False)
    if len(made) > order["files"]:
        sys.stderr.write(f"{len(made)} files were made, of which the first {order['files']} come out\n")


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
