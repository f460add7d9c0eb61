"""A project in a folder: all that lies in it, and Git there as it is run by a person who has no settings."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SELF = {
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_COMMITTER_NAME": "Ann", "HOME": "/nowhere",
    "GIT_COMMITTER_EMAIL": "ann@example.org", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"],
}  # fmt: skip


def git(folder: Path, *words: str, given: bytes | None = None) -> str:
    """What Git says to `words` in `folder`; `given` is what it reads."""
    done = subprocess.run(["git", *words], cwd=folder, env=SELF, input=given, capture_output=True, check=True)
    return done.stdout.decode().strip()


def everything(folder: Path) -> dict[str, bytes]:
    """Each file's name and what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
