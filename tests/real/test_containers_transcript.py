"""An agent of the hub's own image in a container: it bids, works, is paid, is killed, comes back, and is reaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tests.real.docker import ROOT, RUNS
from tests.real.test_agents_in_containers import enrolled, everything, on, running, see
from tests.real.transcript import WRITTEN, Transcript

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.kill.hub_process import HubProcess
    from tests.real.docker import Docker

pytestmark = RUNS

HEAD = f"""{WRITTEN}\
# An agent in a container

A real hub process and the image `timmy-agent`, as `make docker-build` makes it, on Docker's engine from Debian; `make test-real`
holds this page true. What was typed on the hub's machine stands behind a `$`. No model was running: nothing here needs one.
"""
SEEN = """\
user     {{.Config.User}}
network  {{.HostConfig.NetworkMode}}
root     read-only: {{.HostConfig.ReadonlyRootfs}}
memory   {{.HostConfig.Memory}} bytes, with swap {{.HostConfig.MemorySwap}}
cpu      {{.HostConfig.NanoCpus}} billionths
pids     {{.HostConfig.PidsLimit}}
drops    {{.HostConfig.CapDrop}}, {{.HostConfig.SecurityOpt}}
env      {{range .Config.Env}}{{println .}}         {{end}}"""
SHORT = {
    r"\b\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?\b": "11-26 12:00",
    r"\b\d{4}-11-26 12:00(?:,\d{3})?": "2026-11-26 12:00",
    r"\b[0-9a-f]{64}\b": "1f2e3d…",
    r"(each  )\d+( s  )": r"\g<1>1\g<2>",
}
"""What is different each time, and what stands on the page for it: when, what the books' last entry hashes to, how fast."""


class Terminal:
    """What is typed beside the hub, and what it prints, on the page."""

    def __init__(self, hub: HubProcess, docker: Docker, page: Transcript) -> None:
        self._hub = hub
        self._docker = docker
        self._page = page

    async def timmy(self, *words: str) -> str:
        printed = shown = await self._hub.timmy(*words)
        for pattern, short in SHORT.items():
            shown = re.sub(pattern, short, shown)
        self._page.ran(f"timmy {_typed(words)}", shown)
        return printed

    def docker(self, *words: str, shown: str = "") -> str:
        printed = self._docker(*words)
        self._page.ran(f"docker {shown or _typed(words)}", printed)
        return printed


def _typed(words: tuple[str, ...]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


async def test_the_page_of_the_docs(tmp_path: Path, docker: Docker, pytestconfig: pytest.Config) -> None:
    page = Transcript("containers-transcript.md", HEAD)
    async with on(tmp_path, docker, TIMMY_DOCKER_MEMORY="512") as hub:
        here = Terminal(hub, docker, page)
        page.scene("It is begun")
        await here.timmy("agents", "spawn", "--image", "timmy-agent", "--capabilities", "writing,research", "box")
        await enrolled(hub)
        first = running(docker)["box"]
        shown = here.docker(
            "inspect", f"--format={SEEN}", first, shown="inspect … (of what it may do, and what it was told)"
        )
        assert "timmy_worker_" not in shown
        assert "timmy_worker_" in docker("exec", first, "cat", "/run/timmy/token")
        page.told(
            "Its token is in a file within, which nobody but its user reads; it reaches the hub's socket and nothing else:"
        )
        here.docker(
            "exec", first, "ls", "-l", "--time-style=+", "/run/timmy", "/run/hub",
            shown="exec … ls -l /run/timmy /run/hub",
        )  # fmt: skip

        page.scene("It bids, works, and is paid")
        await here.timmy("say", "/task summarise welcome.md to=box")
        await hub.reaches("T-1", "delivered")
        await here.timmy("say", "/bids T-1")
        await here.timmy("say", "/show T-1")
        await here.timmy("say", "/accept T-1")
        await here.timmy("ledger", "history", "agent:box")

        page.scene("It is killed, and comes back by itself")
        docker("kill", first)
        page.ran("docker kill …", "")
        await see(lambda: docker.run("docker", "logs", first).stderr.count(" asks ") == 2, "it asking for work again")
        await enrolled(hub)
        said = await here.timmy("say", "/agent box")
        assert "it was killed by SIGKILL" in said

        page.scene("The hub is killed, and finds it at work")
        await hub.kill()
        page.ran("kill -9 …", "")
        assert running(docker)["box"] == first
        await hub.start()
        page.ran("timmy run &", "timmy: ready …")
        await enrolled(hub)
        await here.timmy("say", "/task summarise welcome.md to=box")
        await hub.reaches("T-2", "delivered")
        await here.timmy("say", "/accept T-2")
        assert running(docker)["box"] == first

        page.scene("It is reaped")
        await here.timmy("agents", "stop", "box")
        await see(lambda: everything(docker) == "", "that nothing is left")
        here.docker("ps", "--all", "--quiet")
        here.docker("volume", "ls", "--quiet")
        await here.timmy("token", "list")
        await here.timmy("ledger", "verify")
    page.keep(write=pytestconfig.getoption("--write-transcript"))


async def test_the_agent_beside_the_hub_of_compose_reads_its_token_from_its_volume(docker: Docker) -> None:
    """As `make docker-agent` does it: what Compose itself adds is its network, where the hub is."""
    agent = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["agent"]
    shut = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
    shut += [f"--volume={volume}" for volume in agent["volumes"]] + [f"--tmpfs={mount}" for mount in agent["tmpfs"]]
    shut += [f"--env={key}={value}" for key, value in agent["environment"].items() if "$" not in value]
    put = "umask 077; printf %s timmy_worker_x >/run/agent/token"
    try:
        docker("run", "--rm", *shut, "timmy-agent", "sh", "-c", put)
        docker("run", "--detach", "--name=beside", *shut, "timmy-agent")
        said = await see(lambda: docker.run("docker", "logs", "beside").stderr, "what it says")
        assert "asks http://hub:8080 for work" in said
    finally:
        docker("rm", "--force", "beside")
        docker("volume", "rm", "agent")
