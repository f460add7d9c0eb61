"""Agents in containers on Docker's own engine: they are shut in, work, are killed, starve, come back, and leave nothing.

Their image has Python alone; what they run is `worker.py`. The hub is a process of its own, to be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kill.hub_process import PATIENCE, hub_process
from tests.real.docker import RUNS
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kill.hub_process import HubProcess
    from tests.real.docker import Docker

pytestmark = RUNS

WORKER = Path(__file__).with_name("worker.py")
KILLS = 12


@pytest.fixture(scope="module")
def images(dockerd: Docker, tmp_path_factory: pytest.TempPathFactory) -> Docker:
    """`agents` work (and claim the volume with their token), `brief` ends at once, `nothing` has no program, `keeps` wants more."""
    place = tmp_path_factory.mktemp("images")
    shutil.copyfile(WORKER, place / "worker.py")
    recipes = {
        "agents": 'RUN mkdir /run/timmy && chown 10001 /run/timmy\nCMD ["python3", "/worker.py"]',
        "brief": 'CMD ["python3", "-c", "print(\'no way\'); raise SystemExit(7)"]',
        "nothing": 'CMD ["/nothing"]',
        "keeps": "VOLUME /data",
    }
    for name, last in recipes.items():
        (place / "Dockerfile").write_text(f"FROM debian:plain\nCOPY worker.py /worker.py\n{last}\n")
        dockerd("build", "--tag", name, str(place))
    return dockerd


@asynccontextmanager
async def on(folder: Path, docker: Docker, **more: str) -> AsyncIterator[HubProcess]:
    """A hub process that keeps its agents there; none of them is left behind."""
    try:
        settings = {"TIMMY_DOCKER_URL": docker.env["DOCKER_HOST"], "TIMMY_DOCKER_MEMORY": "128", **more}
        async with hub_process(folder, NOBODY, executed=True, **settings) as hub:
            yield hub
    finally:
        if left := docker("ps", "--all", "--quiet", "--filter", "label=timmy.hub"):
            docker("rm", "--force", "--volumes", *left.split())


async def see(true: Callable[[], Any], what: str) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := await asyncio.to_thread(true)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # noqa: TID251 - another process's time
    except TimeoutError:
        raise AssertionError(f"never saw {what}") from None
    return found


def running(docker: Docker) -> dict[str, str]:
    """The agents whose containers run, and their ids."""
    listed = docker("ps", "--no-trunc", "--filter", "label=timmy.hub", "--format", '{{.Label "timmy.agent"}} {{.ID}}')
    return dict(line.split() for line in listed.splitlines())


def everything(docker: Docker) -> str:
    """Containers of hubs, and all volumes."""
    return docker("ps", "--all", "--quiet", "--filter", "label=timmy.hub") + docker("volume", "ls", "--quiet")


async def enrolled(hub: HubProcess, name: str = "box") -> None:
    """Wait until an agent is here."""
    async with asyncio.timeout(PATIENCE):
        while (await hub.data_of(f"/agent {name}"))["agent"].get("why") is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # noqa: TID251


def unheard(hub: HubProcess) -> int:
    """What was said, and not done yet."""
    with closing(sqlite3.connect(f"file:{hub.data / 'hub.db'}?mode=ro", uri=True)) as books:
        return int(books.execute("SELECT count(*) FROM inbound WHERE NOT done").fetchone()[0])


async def agreed(hub: HubProcess, docker: Docker) -> set[str]:
    """Wait until all that was said is done, and what runs is what the hub wants."""
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = (await hub.data_of("/agents"))["agents"]
            wanted = {str(one["name"]) for one in rows if one["kind"] == "worker"}
            if not unheard(hub) and wanted == set(running(docker)):
                return wanted
            await asyncio.sleep(0.1)  # noqa: TID251


async def test_it_is_shut_in_works_is_killed_starves_comes_back_and_leaves_nothing(
    tmp_path: Path, images: Docker
) -> None:
    async with on(tmp_path, images) as hub:
        assert "box joined the roster" in await hub.timmy("agents", "spawn", "--image", "agents", "box")
        await enrolled(hub)
        first = running(images)["box"]
        told = json.loads(images("inspect", first))[0]
        assert images("exec", first, "cat", "/run/timmy/token").startswith("timmy_worker_")
        seen = [json.dumps(told), images("logs", first), images("top", first), await hub.timmy("agents", "logs", "box")]
        seen += [images("exec", first, "cat", f"/proc/1/{one}") for one in ("environ", "cmdline")]
        assert [text for text in seen if not text or "timmy_worker_" in text] == []
        status = images("exec", first, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines())
        assert facts["Uid"].split() == ["10001"] * 4
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
        assert facts["NoNewPrivs"] == "1"
        assert images("exec", first, "cat", "/proc/net/dev").count(":") == 1, "its own loopback alone"
        for place in ("/", "/usr", "/run/timmy", "/run/hub"):
            refused = images.run("docker", "exec", first, "touch", f"{place}/x")
            assert refused.returncode != 0, place
        assert images("exec", first, "stat", "--format=%a %u %g", "/run/timmy/token") == "440 0 10001"
        for whose in (".", "token"):  # a volume has no limit, so nothing in it may be the agent's own
            refused = images.run("docker", "exec", first, "chmod", "777", f"/run/timmy/{whose}")
            assert refused.returncode != 0, whose
        data = str(hub.data.resolve())
        assert not [one for one in told["Mounts"] if Path(one["Source"]).is_relative_to(data)]

        task = (await hub.data_of("/task repeat after me to=box"))["task"]
        await hub.reaches(task, "delivered")
        await hub.say(f"/accept {task}")
        assert "25 simulated sats" in await hub.timmy("ledger", "history", "agent:box")

        images("kill", first)
        await see(lambda: running(images).get("box") == first, "it running again")
        await enrolled(hub)
        starved = (await hub.data_of("/task grow until none is left to=box max=50"))["task"]
        await hub.reaches(starved, "failed")
        shown = (await hub.say(f"/show {starved}"))[0]["text"]
        assert "the container of box does not run: it ran out of memory: it may use 128 MB" in shown
        assert f"box does {starved}" in await hub.timmy("agents", "logs", "box")
        await enrolled(hub)
        quits = (await hub.data_of("/task quit now to=box max=50"))["task"]
        await hub.reaches(quits, "failed")
        assert "it ended with exit code 3" in (await hub.say(f"/show {quits}"))[0]["text"]

        images("rm", "--force", "--volumes", running(images).get("box") or first)
        again = await see(lambda: running(images).get("box"), "another in its place")
        assert again != first
        await hub.timmy("agents", "stop", "box")
        await see(lambda: everything(images) == "", "that nothing is left")
        assert "The books balance" in await hub.timmy("ledger", "verify")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("missing", "Docker has no image missing"),
        ("keeps", "it asks for volumes (/data)"),
    ],
)
async def test_an_image_that_cannot_be_an_agents_is_one_line(
    tmp_path: Path, images: Docker, image: str, words: str
) -> None:
    async with on(tmp_path, images) as hub:
        (said, *_) = await hub.say(f"/spawn box image={image}")
        assert words in said["text"]
        assert said["data"]["ok"] is False
        assert "\n" not in said["text"]
        await see(lambda: everything(images) == "", "that nothing is left")


@pytest.mark.parametrize(
    ("image", "why", "last"),
    [
        ("brief", "it ended with exit code 7", "no way"),
        ("nothing", "its image has no program of the name that it begins (exit code 127)", "/nothing"),
    ],
)
async def test_an_image_that_ends_at_once_is_told_with_what_it_said(
    tmp_path: Path, images: Docker, image: str, why: str, last: str
) -> None:
    async with on(tmp_path, images) as hub:
        await hub.say(f"/spawn box image={image}")
        async with asyncio.timeout(PATIENCE):
            while (found := await hub.data_of("/agent box")).get("ended") is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # noqa: TID251
        assert found["ended"] == why
        assert last in found["log"][-1]


async def test_a_hub_that_is_killed_leaves_them_at_work_and_one_that_stops_too(tmp_path: Path, images: Docker) -> None:
    async with on(tmp_path, images) as hub:
        await hub.say("/spawn box image=agents")
        await enrolled(hub)
        first = running(images)
        await hub.again()
        await enrolled(hub)
        task = (await hub.data_of("/task repeat after me to=box"))["task"]
        await hub.reaches(task, "delivered")
        assert await hub.stop() == 0
        assert running(images) == first
        await hub.start()
        await enrolled(hub)
        assert running(images) == first


async def test_a_docker_that_is_killed_is_told_and_once_it_is_back_its_agents_work_again(
    tmp_path: Path, images: Docker
) -> None:
    async with on(tmp_path, images) as hub:
        await hub.say("/spawn box image=agents")
        await enrolled(hub)
        images.daemon.kill()
        try:
            (said, *_) = await hub.say("/spawn other image=agents")
            assert said["data"]["error"] == "docker_away"
            assert "\n" not in said["text"]
            async with asyncio.timeout(PATIENCE):
                while "containers  down" not in (status := (await hub.say("/status"))[0]["text"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # noqa: TID251
            assert "Docker does not answer at unix://" in status
            task = (await hub.data_of("/task repeat after me to=box"))["task"]
            await hub.reaches(task, "delivered")  # what runs in a container runs on
        finally:
            images.daemon.start()
        await see(lambda: "box" in running(images), "it running again")
        async with asyncio.timeout(PATIENCE):
            while "containers  down" in (await hub.say("/status"))[0]["text"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # noqa: TID251
        await enrolled(hub)
        task = (await hub.data_of("/task repeat after me to=box"))["task"]
        await hub.reaches(task, "delivered")
        await hub.say(f"/accept {task}")
        await hub.say("/dismiss box")
        await see(lambda: everything(images) == "", "that nothing is left")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TIMMY_DOCKER_CPUS": "1000"}, "ange of CPUs is from 0.01 to"),
        (
            {"TIMMY_DOCKER_NETWORK": "nowhere", "TIMMY_HTTP_PUBLIC_URL": "http://10.0.0.1:8080"},
            "network nowhere not found",
        ),
    ],
)
async def test_settings_that_this_docker_cannot_do_are_one_line(
    tmp_path: Path, images: Docker, settings: dict[str, str], words: str
) -> None:
    async with on(tmp_path, images, **settings) as hub:
        (said, *_) = await hub.say("/spawn box image=agents")
        assert words in said["text"]
        assert said["data"]["ok"] is False
        assert "\n" not in said["text"]
        await see(lambda: everything(images) == "", "that nothing is left")


async def test_wherever_a_spawn_or_a_dismissal_is_killed_nothing_is_left_over_and_nothing_lacks(
    tmp_path: Path, images: Docker
) -> None:
    """The hub is killed a little later each time; what its next start says is wanted is then what runs."""
    async with on(tmp_path, images) as hub:
        for number in range(KILLS):
            name = f"a{number}"
            spawning = asyncio.timeout(0.03 + number * 0.05)
            try:
                async with spawning:
                    await hub.say(f"/spawn {name} image=agents")
                    await hub.say(f"/dismiss {name}")
            except TimeoutError:
                pass
            await hub.again()  # which takes up what was said, if it was heard
            for one in await agreed(hub, images):
                await enrolled(hub, one)
                await hub.say(f"/dismiss {one}")
        await see(lambda: everything(images) == "", "that nothing is left")
        assert hub.kills == KILLS
        assert os.listdir(hub.data.with_name("data.agents")) == ["hub.sock"]  # noqa: PTH208
