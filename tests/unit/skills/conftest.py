"""A small real workspace with canaries in every closed place, and jobs over it in this process."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

import pytest

from adapters.skills.job import Job
from adapters.skills.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-7Q3xV9pLm2"

CLOSED = (
    ".env",
    ".git/config",
    "id_rsa",
    "Server.KEY",
    "tls.pem.bak",
    "admin.macaroon",
    "wallet.dat",
    "credentials.json",
    "aws_client_secret.json",
    "deep/.hidden/notes.md",
    "venv/readme.md",
    "data/ledger.md",
    "outside.md",
    "folder-outside/secret-plan.md",
)
"""Names in the test workspace behind each of which the canary lies."""


class Jobs(Protocol):
    """Makes a job for one subject."""

    def __call__(self, subject: str, **options: str) -> Job:
        """A job over the test workspace."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with two open files and a canary behind every name of `CLOSED`."""
    root = tmp_path / "workspace"
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (outside / "secret-plan.md").write_text(CANARY)
    (root / "outside.md").symlink_to(outside / "secret-plan.md")
    (root / "folder-outside").symlink_to(outside)
    for name in CLOSED[:-2]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(CANARY)
    (root / "venv/pyvenv.cfg").touch()
    (root / "welcome.md").write_text("# Welcome\n\nThe hub holds an auction for every task that people post here.\n")
    (root / "deep/notes.txt").write_text("Escrow is money that a hub holds for two parties.\n")
    return root


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace(root, [root / "data"])


@pytest.fixture
def job(workspace: Workspace, tmp_path: Path) -> Jobs:
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    scratch.mkdir()
    return lambda subject, **options: Job(workspace, subject, out, scratch, options)


@pytest.fixture
def unix_socket(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A listening socket in the workspace; bound by a short relative name, since such paths are limited."""
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("door")
        yield "door"
