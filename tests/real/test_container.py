"""The image as Docker builds and runs it, on a server of our own. Containers have no network but their own loopback."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from tests.real.docker import ROOT, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.docker import Docker

STOP_SECONDS = 5

pytestmark = RUNS


@pytest.fixture
def volumes(docker: Docker) -> Iterator[None]:
    """What docker-compose.yml has the hub keep is gone after the test."""
    yield
    for volume in of_compose()["volumes"]:
        docker("volume", "rm", volume.partition(":")[0])


def of_compose() -> dict[str, Any]:
    """What docker-compose.yml says of the hub."""
    return cast(
        "dict[str, Any]", yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["hub"]
    )


def shut_in() -> list[str]:
    """The options of `docker run` that say what docker-compose.yml says of the hub. Its network is not reached from here."""
    hub = of_compose()
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


@pytest.mark.usefixtures("volumes")
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
