"""A Docker server of our own, on a Unix socket, and the images that are tried on it.

No registry is asked for an image: the base is a Debian with Python, made once by mmdebstrap and kept in the cache folder. Only the
build of the hub's image reaches the package index, the way this machine does.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "timmy-tests"
SUITE = "trixie"
PACKAGES = "python3-venv,libstdc++6,ca-certificates,tzdata"
"""What the default base image (python:3.13-slim) has and the image relies on."""

UP_SECONDS, BASE_SECONDS, BUILD_SECONDS, COMMAND_SECONDS = 20, 300, 600, 60
SLIM = ["force-unsafe-io", *(f"path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale"))]
NEEDED = {"dockerd": "docker.io", "docker": "docker.io", "mmdebstrap": "mmdebstrap"}
LACKING = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})

RUNS = [
    pytest.mark.timeout(BASE_SECONDS + BUILD_SECONDS),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed (on Debian: apt install {' '.join(LACKING)})"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Docker server of its own needs root"),
]
"""The marks of what runs on it."""


class Daemon:
    """A `dockerd` of our own, with all that it keeps in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it answers. Skips where none can run."""
        folder, log, told = self.folder, self.folder / "log", self.folder / "told"
        told.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told_here, log.open("wb") as output:
            told_here.bind(str(told))  # it says READY=1 here, as it would to systemd (sd_notify)
            told_here.settimeout(UP_SECONDS)
            self._process = subprocess.Popen(
                [
                    "dockerd", "--host", f"unix://{folder / 'd.sock'}", "--data-root", str(folder / "data"),
                    "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "--bridge=none", "--iptables=false",
                    "--ip6tables=false", "--ip-forward=false",
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "NOTIFY_SOCKET": str(told)},
            )  # fmt: skip
            try:
                told_here.recv(4096)
            except TimeoutError:
                pytest.skip(f"no Docker server runs here: {log.read_text(errors='replace').strip()[-600:]}")

    def kill(self) -> None:
        """`kill -9`; what runs in its containers runs on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            # Its containerd dies with it. Where nobody reaps that, the next one would take it for alive by its number.
            (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it, and what it left mounted."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
        for place in reversed([one for one in mounts if Path(one).is_relative_to(self.folder)]):
            subprocess.run(["umount", place], capture_output=True, check=False)


@dataclass(frozen=True)
class Docker:
    """A Docker server, and its client."""

    env: dict[str, str]
    daemon: Daemon

    def run(self, *argv: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Any program, talking to this server."""
        done = subprocess.run(
            argv, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=seconds, check=False
        )
        sys.stdout.write(f"$ {' '.join(argv)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def __call__(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """What `docker WORDS` prints; it must succeed."""
        done = self.run("docker", *words, seconds=seconds)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def served(folder: Path) -> Iterator[Docker]:
    """A Docker server with nothing in it, gone with all it holds when the block ends. Skips where none can run."""
    (folder / "client").mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
    ours |= {
        "DOCKER_HOST": f"unix://{folder / 'd.sock'}",
        "DOCKER_CONFIG": str(folder / "client"),
        "DOCKER_BUILDKIT": "0",
    }
    daemon = Daemon(folder)
    try:
        daemon.start()
        docker = Docker(ours, daemon)
        try:
            yield docker
        finally:
            if left := docker("ps", "--all", "--quiet"):
                docker("rm", "--force", "--volumes", *left.split())
    finally:
        daemon.stop()


def debian() -> Path:
    """A Debian with Python as a tar, from the cache or made now. Skips where it cannot be made."""
    kept = CACHE / f"{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}.tar")
        made = subprocess.run(
            [
                "mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}",
                *(f"--dpkgopt={option}" for option in SLIM), SUITE, str(fresh),
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BASE_SECONDS, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            fresh.unlink(missing_ok=True)
            pytest.skip(f"no base image could be made: {made.stderr.strip()[-600:]}")
        fresh.rename(kept)
    return kept


def base(docker: Docker, folder: Path) -> str:
    """An image with Python that trusts and asks the package index as this machine does."""
    folder.mkdir()
    certificates = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    lines = ["[global]", "timeout = 180"]
    recipe = ["FROM debian:plain", "COPY pip.conf /etc/pip.conf"]
    if certificates:
        shutil.copyfile(certificates, folder / "ca.crt")
        lines.append("cert = /etc/ssl/certs/ca-certificates.crt")
        recipe.append("COPY ca.crt /etc/ssl/certs/ca-certificates.crt")
    if index := os.environ.get("PIP_INDEX_URL"):
        lines.append(f"index-url = {index}")
    (folder / "pip.conf").write_text("\n".join(lines), encoding="utf-8")
    (folder / "Dockerfile").write_text("\n".join(recipe), encoding="utf-8")
    docker("build", "--tag", "debian:python", str(folder))
    return "debian:python"


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """A Docker server that holds the image `debian:plain`."""
    # not tmp_path: pytest keeps those, and a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="timmy-docker-") as name, served(Path(name)) as found:
        found("import", str(debian()), "debian:plain")
        yield found


@pytest.fixture(scope="session")
def docker(dockerd: Docker, tmp_path_factory: pytest.TempPathFactory) -> Docker:
    """A Docker server that holds the images `timmy` and `timmy-agent` too, built by `make docker-build`."""
    image = base(dockerd, tmp_path_factory.mktemp("base") / "base")
    proxies = " ".join(f"--build-arg {name}" for name in ("HTTP_PROXY", "HTTPS_PROXY") if name in os.environ)
    built = dockerd.run(
        "make", "-s", "docker-build", f"ARGS=--network host --build-arg BASE={image} {proxies}",
        seconds=BUILD_SECONDS,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr
    return dockerd
