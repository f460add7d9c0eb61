"""What the container's files promise that can be read off them; `tests/real/test_container.py` runs them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config import settings

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PINS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
COMPOSE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
    "services"
]
DEFAULTED = re.compile(r"\$\{[A-Z_]+:-([^${}]*)\}")


def pins_program() -> Any:
    spec = importlib.util.spec_from_file_location("pins", ROOT / "docker" / "pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def given(value: str) -> str:
    """What a value of Compose's is where nothing else is set."""
    while DEFAULTED.search(value):
        value = DEFAULTED.sub(r"\1", value)
    return value


def installed(purpose: str) -> set[str]:
    """What the packages themselves say that they need here: the same walk, over another source than pins.py has."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in metadata.requires("timmy") or () if "extra ==" not in line]
    if purpose != "run":
        waiting = [Requirement({"build": "setuptools", "test": "pytest"}[purpose])]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        if str(one) in seen:
            continue
        seen.add(str(one))
        found.add(canonicalize_name(one.name))
        extras = one.extras or {""}
        for line in metadata.requires(one.name) or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(inner)
    return found


def names(lines: list[str]) -> set[str]:
    return {line.partition("==")[0] for line in lines}


@pytest.mark.parametrize("purpose", ["run", "build", "test"])
def test_the_image_takes_what_the_hub_needs(purpose: str) -> None:
    pins = pins_program()
    taken = names(pins.reached(pins.roots(PROJECT, purpose), PINS))
    needed = installed(purpose)
    assert len(needed) > (40 if purpose == "run" else 0)
    assert needed - taken == set()
    only_elsewhere = {
        "colorama",
        "httpx2-jsfetch",
        "pywin32",
        "tzdata",
        "typing-extensions",
        "importlib-metadata",
        "exceptiongroup",
        "async-timeout",
    }
    assert taken - needed - only_elsewhere == set()


def test_the_image_takes_no_tool_of_a_developer() -> None:
    pins = pins_program()
    taken = names(pins.reached(pins.roots(PROJECT, "run"), PINS))
    listed = re.search(r"^dev = \[(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)
    assert listed is not None
    tools = set(re.findall(r'^    "([a-z-]+)', listed[1], re.MULTILINE))
    assert len(tools) > 10
    assert tools & taken == set()


def test_every_pin_keeps_its_hashes() -> None:
    pins = pins_program()
    lines = pins.reached(["aiohttp"], PINS)
    assert "aiosignal" in names(lines), "an asked-for package is taken too"
    assert all(re.search(r"\\\n +--hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_a_root_without_a_pin_is_named() -> None:
    with pytest.raises(SystemExit, match="no pin for nothing-of-ours; run make lock"):
        pins_program().reached(["nothing_of.Ours"], PINS)


def test_the_hub_is_shut_in_and_open_to_this_machine_alone() -> None:
    hub = COMPOSE["hub"]
    assert hub["pull_policy"] == "never", "a registry's image of that name is somebody else's"
    assert hub["read_only"] is True
    assert hub["cap_drop"] == ["ALL"]
    assert hub["security_opt"] == ["no-new-privileges:true"]
    for name, service in COMPOSE.items():
        assert not {"privileged", "network_mode", "pid", "devices", "cap_add"} & service.keys(), name
        assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []
        assert [volume for volume in service.get("volumes", ()) if volume.startswith(("/", ".", "~"))] == [], name


def test_an_agent_beside_the_hub_is_shut_in_and_keeps_nothing_but_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = COMPOSE["agent"]
    assert agent["pull_policy"] == "never"
    assert agent["read_only"] is True
    assert agent["cap_drop"] == ["ALL"]
    assert agent["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= agent.keys()
    assert "ports" not in agent
    assert agent["volumes"] == ["agent:/run/agent"]
    (tmp_path / "token").write_text("a token")
    monkeypatch.chdir(tmp_path)
    for key, value in agent["environment"].items():
        monkeypatch.setenv(key, given(value).replace("/run/agent", str(tmp_path)))
    found = settings.load()
    assert found.hub.url == "http://hub:8080"
    assert found.worker.name == "box"
    hosts = settings.split(given(COMPOSE["hub"]["environment"]["TIMMY_HTTP_ALLOWED_HOSTS"]))
    assert hosts == ("hub",), "it answers to the name by which its agents call it"


def test_only_the_hub_starts_by_itself() -> None:
    assert {name for name, service in COMPOSE.items() if "profiles" not in service} == {"hub"}


def test_the_settings_that_compose_gives_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in COMPOSE["hub"]["environment"].items():
        monkeypatch.setenv(key, given(value))
    found = settings.load()
    assert (found.http.host, found.http.port) == ("0.0.0.0", 8080)
    assert found.http.public_url == "http://127.0.0.1:8080"
    assert found.ollama.url == "http://ollama:11434"


def test_the_image_runs_as_nobody_special_and_names_no_index() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"--(?:extra-)?index-url|--trusted-host|--find-links", dockerfile) == []


@pytest.mark.parametrize("target", ["docker-build", "docker-up", "docker-agent", "docker-down", "docker-logs"])
def test_without_docker_one_line_says_so(target: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "-s", target], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said == ["timmy: docker is not installed; docs/container.md says what is needed"]


def test_pins_runs_before_anything_is_installed() -> None:
    """`-I -S`: no package of this environment may be seen."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "docker/pins.py", "build"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("setuptools==")
