"""The image as Docker builds and runs it: a Docker server of our own, on a Unix socket, for this test alone.

No registry is asked for an image: the base is a Debian with Python, made once by mmdebstrap and kept in the cache folder.
Containers have no network but their own loopback; only the build reaches the package index, the way this machine does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "timmy-tests"
SUITE = "trixie"
PACKAGES = "python3-venv,libstdc++6,ca-certificates,tzdata"
"""What the default base image (python:3.13-slim) has and the image relies on."""

UP_SECONDS, BASE_SECONDS, BUILD_SECONDS, COMMAND_SECONDS = 20, 300, 600, 60
STOP_SECONDS = 5
SLIM = ["force-unsafe-io", *(f"path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale"))]
NEEDED = {"dockerd": "docker.io", "docker": "docker.io", "mmdebstrap": "mmdebstrap"}
LACKING = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})

pytestmark = [
    pytest.mark.timeout(BASE_SECONDS + BUILD_SECONDS),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed (on Debian: apt install {' '.join(LACKING)})"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Docker server of its own needs root"),
]


@dataclass(frozen=True)
class Docker:
    """A Docker server, and its client."""

    env: dict[str, str]

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
    sock, log, told = folder / "d.sock", folder / "log", folder / "told"
    (folder / "client").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told_here, log.open("wb") as output:
        told_here.bind(str(told))  # it says READY=1 here, as it would to systemd (sd_notify)
        told_here.settimeout(UP_SECONDS)
        server = subprocess.Popen(
            [
                "dockerd", "--host", f"unix://{sock}", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
                "--pidfile", str(folder / "pid"), "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "NOTIFY_SOCKET": str(told)},
        )  # fmt: skip
        try:
            try:
                told_here.recv(4096)
            except TimeoutError:
                pytest.skip(f"no Docker server runs here: {log.read_text(errors='replace').strip()[-600:]}")
            ours = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
            docker = Docker(
                {
                    **ours,
                    "DOCKER_HOST": f"unix://{sock}",
                    "DOCKER_CONFIG": str(folder / "client"),
                    "DOCKER_BUILDKIT": "0",
                }
            )
            try:
                yield docker
            finally:
                if left := docker("ps", "--all", "--quiet"):
                    docker("rm", "--force", "--volumes", *left.split())
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            subprocess.run(["umount", str(folder / "exec/netns/default")], capture_output=True, check=False)


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
    docker("import", str(debian()), "debian:plain")
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


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    """A Docker server that holds the image `timmy`, built by `make docker-build`."""
    # not tmp_path: pytest keeps those, and a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="timmy-docker-") as name:
        folder = Path(name)
        with served(folder) as found:
            image = base(found, folder / "base")
            proxies = " ".join(f"--build-arg {name}" for name in ("HTTP_PROXY", "HTTPS_PROXY") if name in os.environ)
            built = found.run(
                "make", "-s", "docker-build", f"ARGS=--network host --build-arg BASE={image} {proxies}",
                seconds=BUILD_SECONDS,
            )  # fmt: skip
            assert built.returncode == 0, built.stdout[-4000:] + built.stderr
            yield found


def shut_in() -> list[str]:
    """The options of `docker run` that say what docker-compose.yml says of the hub. Its network is not reached from here."""
    hub: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["hub"]
    words = ["--network=none", f"--pids-limit={hub['pids_limit']}"]
    words += [f"--{name.replace('_', '-')}" for name in ("init", "read_only") if hub[name]]
    words += [f"--tmpfs={mount}" for mount in hub["tmpfs"]]
    words += [f"--cap-drop={name}" for name in hub["cap_drop"]]
    words += [f"--security-opt={name}" for name in hub["security_opt"]]
    words += [f"--volume={volume}" for volume in hub["volumes"]]
    for key, value in hub["environment"].items():
        plain = value
        while "${" in plain:
            plain = re.sub(r"\$\{[A-Z_]+:-([^${}]*)\}", r"\1", plain)
        words.append(f"--env={key}={plain}")
    return words


@contextmanager
def hub(docker: Docker, name: str) -> Iterator[None]:
    """A container of the hub that became healthy by the image's own check (only asked more often)."""
    docker("run", "--detach", f"--name={name}", "--health-interval=1s", *shut_in(), "timmy")
    try:
        with subprocess.Popen(
            ["docker", "events", "--since=0", f"--filter=container={name}", "--filter=event=health_status", "--format={{.Status}}"],
            env=docker.env, stdout=subprocess.PIPE, text=True,
        ) as events:  # fmt: skip
            try:
                assert events.stdout is not None
                assert events.stdout.readline().strip() == "health_status: healthy"
            finally:
                events.terminate()
        yield
    finally:
        docker("logs", name)
        docker("rm", "--force", name)


def inside(docker: Docker, name: str, *argv: str) -> str:
    return docker("exec", name, *argv)


def test_the_image_holds_the_hub_and_nothing_of_a_developer(docker: Docker) -> None:
    listing = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    there = set(docker("run", "--rm", "--network=none", "timmy", "python3", "-c", listing).split())
    assert {"timmy", "aiohttp", "pandas"} <= there
    assert there & {"pip", "setuptools", "pytest", "mypy", "ruff", "uv", "hypothesis"} == set()
    size = int(docker("image", "inspect", "--format={{.Size}}", "timmy"))
    below = int(docker("image", "inspect", "--format={{.Size}}", "debian:python"))
    print(f"image: {size / 1e6:.0f} MB, {below / 1e6:.0f} MB of them the base")
    assert size - below < 480e6  # 110 of them hear: PyAV with its codecs, and an English model


def test_a_hub_shut_in_works_stops_and_its_books_outlive_it(docker: Docker) -> None:
    with hub(docker, "first"):
        status = dict(
            line.split(":\t", 1)
            for line in inside(docker, "first", "sh", "-c", "cat /proc/$(cat /data/hub.lock)/status").splitlines()
        )
        assert status["Name"] == "timmy"
        assert status["Uid"].split() == ["10001"] * 4
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        for place in ("/", "/opt/timmy", "/etc"):
            refused = docker.run("docker", "exec", "first", "touch", f"{place}/x")
            assert "Read-only file system" in refused.stderr, refused

        said = inside(docker, "first", "timmy", "say", "/task summarise welcome.md", "--wait", "30", "--json")
        assert json.loads(said.splitlines()[-1])["data"]["status"] == "settled", said
        drawn = inside(
            docker, "first", "timmy", "say", "/task chart sample.csv revenue by region", "--wait", "30", "--json"
        )
        assert json.loads(drawn.splitlines()[-1])["data"]["status"] == "settled", drawn
        assert "The books balance" in inside(docker, "first", "timmy", "ledger", "verify")
        link = inside(docker, "first", "timmy", "status", "--page")
        assert link.startswith("http://127.0.0.1:8080/login?code=")

        docker("stop", f"--time={STOP_SECONDS}", "first")
        # 137 would say that it was killed when the time was over
        assert docker("inspect", "--format={{.State.ExitCode}}", "first") == "0"

    with hub(docker, "second"):
        told = json.loads(inside(docker, "second", "timmy", "say", "/tasks", "--json").splitlines()[0])
        assert {one["task"]: one["status"] for one in told["data"]["tasks"]} == {"T-1": "settled", "T-2": "settled"}
        assert "The books balance" in inside(docker, "second", "timmy", "ledger", "verify")
