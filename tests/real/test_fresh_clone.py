"""What a newcomer does first: clone, `make run`, and one task, on a machine that knows nothing of Timmy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP_SECONDS = 600

pytestmark = pytest.mark.timeout(SETUP_SECONDS + 60)


def stranger(home: Path) -> dict[str, str]:
    """The environment without this checkout's settings, its virtual environment, its owner's home, and the port of a hub here."""
    theirs = ("TIMMY_", "OLLAMA_", "MAKE", "MFLAGS", "PYTEST", "COV", "PYTHON", "VIRTUAL_ENV", "GIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return {**kept, "HOME": str(home), "TIMMY_HTTP_PORT": "0"}


def run(*argv: str, cwd: Path, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        argv, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, timeout=SETUP_SECONDS, check=False
    )
    sys.stdout.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done


def test_a_fresh_clone_settles_its_first_task_and_its_books_balance(tmp_path: Path) -> None:
    home, clone = tmp_path / "home", tmp_path / "timmy"
    home.mkdir()
    env = stranger(home)
    cloned = run("git", "clone", "--quiet", f"file://{ROOT}", str(clone), cwd=tmp_path, env=env)
    assert cloned.returncode == 0, cloned.stderr

    hub = run("make", "-s", "run", cwd=clone, env=env, stdin="/task summarise welcome.md\n")

    assert hub.returncode == 0, hub.stderr
    assert "T-1" in hub.stdout
    assert re.search(r"\bsettled\b", hub.stdout, re.IGNORECASE), hub.stdout

    books = run(str(clone / ".venv" / "bin" / "timmy"), "ledger", "verify", cwd=clone, env=env)
    assert books.returncode == 0, books.stderr
