"""Agents in containers, on a Docker that is scripted: what is asked of it, what becomes of what it says, and what is left."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from adapters.containers import engine
from adapters.containers.engine import SOCKETS
from bot import contained
from bot.doctor_docker import ask_docker
from bot.doctor_docker import docker as examined
from bot.parts.boxes import SOCKET
from config.settings import DockerGroup, Http
from core.chat import Caller, Role
from core.swarm.container import CALM, MOST_CONTAINERS, DockerAway, refused
from tests.depth import first
from tests.docker_server import DockerServer
from tests.fakes import FakeClock
from tests.scenario.bot import OWNER, balances, hub, let_in, prove, settings
from tests.scenario.crew import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

OPERATOR = "telegram:5"
MORE_STEPS = ("PUT archive", "POST start", "DELETE")
OWN = Caller(OWNER, Role.OWNER)


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[DockerServer]:
    server = DockerServer()
    async with server.serving(tmp_path / "d"):
        yield server


@asynccontextmanager
async def on(
    tmp_path: Path, *, clock: FakeClock | None = None, http: Http | None = None, **docker: Any
) -> AsyncIterator[Bot]:
    """A hub on the scripted Docker."""
    group = DockerGroup(url=f"unix://{tmp_path / 'd'}", **docker)
    found = settings(tmp_path).model_copy(update={"docker": group, "http": http or Http(port=0)})
    async with hub(tmp_path, found=found, clock=clock) as bot:
        yield bot


@asynccontextmanager
async def agent(bot: Bot, docker: DockerServer, name: str) -> AsyncIterator[Worker]:
    """What runs in a container, with what it finds there: the token in its file, and the hub's socket."""
    box = docker.of(name)
    (sockets,) = (one["Source"] for one in box.body["HostConfig"]["Mounts"] if one["Type"] == "bind")
    connector = aiohttp.UnixConnector(f"{sockets}/{SOCKET}")
    async with aiohttp.ClientSession(connector=connector) as session:
        worker = Worker(session, name, box.token, "http://localhost")
        yield worker


async def spawned(bot: Bot, name: str = "box", image: str = "agents") -> None:
    said = await bot.say(f"/spawn {name} image={image}")
    assert said["data"] == {"ok": True, "agent": name}, said


async def stands(bot: Bot, name: str = "box") -> str:
    """Why an agent does not work; empty: it does."""
    return str((await bot.data(f"/agent {name}"))["agent"].get("why", ""))


async def ticks(bot: Bot, docker: DockerServer, seconds: float = 5) -> None:
    """Let time pass, and see that the hub has looked at what runs; one that was at it just then looks a little later."""
    before = docker.asked.count("GET json")
    bot.pass_time(seconds)
    await bot.see(lambda: docker.asked.count("GET json") > before, "a look", pace=0.1)
    await bot.barrier()


async def begun(bot: Bot, docker: DockerServer, times: int, name: str = "box") -> None:
    await bot.see(lambda: docker.of(name).begun == times, f"start {times} of {name}", pace=1)


async def test_an_agent_in_a_container_bids_works_is_paid_and_is_removed(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path) as bot:
        said = await bot.say("/spawn box image=agents")
        assert said["text"] == "box joined the roster, in a container of agents"
        box = docker.of("box")
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("anything")
            task = (await bot.data("/task repeat after me to=box"))["task"]
            lease = await worker.won(task, 25)
            await worker.deliver(task, lease, "after me")
            await bot.say(f"/accept {task}")
            assert balances(bot.app.settings)["agent:box"] == (25, 0)
            left = await bot.say("/dismiss box")
            assert left["text"] == "box left the roster"
            assert (await worker.code("GET", "tasks"))[0] == 401, "its token went with it"
        assert box.id not in docker.boxes
        assert bot.rows("SELECT kind FROM token WHERE revoked_at IS NULL") == []
        prove(bot.app.settings)


async def test_it_is_shut_in_and_its_token_is_in_one_file_alone(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path, memory=64, cpus=0.5) as bot:
        await spawned(bot)
        box = docker.of("box")
        content, mode, owner, group = box.files["/run/timmy/token"]
        assert (mode, owner, group, len(box.files)) == (0o440, 0, 10001, 1), "it reads it, and cannot write to it"
        assert content.decode() not in json.dumps(box.body)
        assert b"timmy_worker_" in content
        place = tmp_path / "data.agents"
        (mark,) = bot.rows("SELECT mark FROM container_mark")[0]
        assert box.name == f"timmy-{mark}-box"
        assert {key: value for key, value in box.body.items() if key != "Labels"} == {
            "Image": "agents", "Hostname": "box", "User": "10001:10001",
            "Env": [
                f"TIMMY_HUB_URL=unix://{SOCKETS}/{SOCKET}", "TIMMY_WORKER_NAME=box",
                "TIMMY_WORKER_TOKEN_FILE=/run/timmy/token",
            ],
            "HostConfig": {
                "NetworkMode": "none", "ReadonlyRootfs": True, "Init": True, "Privileged": False, "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"], "Memory": 64 << 20, "MemorySwap": 64 << 20, "PidsLimit": 256,
                "NanoCpus": 500_000_000, "RestartPolicy": {"Name": "no"},
                "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=128m"},  # noqa: S108 - within
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
                "Mounts": [
                    {"Type": "volume", "Target": "/run/timmy", "VolumeOptions": {"NoCopy": True}},
                    {"Type": "bind", "Source": str(place), "Target": SOCKETS, "ReadOnly": True},
                ],
            },
        }  # fmt: skip
        assert [file.name for file in place.iterdir()] == [SOCKET], "nothing of the data folder is seen within"


@pytest.mark.parametrize(
    ("network", "public", "url"),
    [
        ("host", None, "http://127.0.0.1:"),
        ("bridge", "http://host.docker.internal:8080/", "http://host.docker.internal:8080"),
        ("bridge", None, ""),
    ],
)
async def test_the_network_is_the_one_that_was_chosen(
    tmp_path: Path, docker: DockerServer, network: str, public: str | None, url: str
) -> None:
    async with on(tmp_path, network=network, http=Http(port=0, public_url=public)) as bot:
        said = await bot.say("/spawn box image=agents")
        if not url:
            assert "Set it, or TIMMY_DOCKER_NETWORK=none" in said["text"]
            assert docker.boxes == {}
            return
        body = docker.of("box").body
        assert body["HostConfig"]["NetworkMode"] == network
        assert body["Env"][0].startswith(f"TIMMY_HUB_URL={url}")
        assert [one["Type"] for one in body["HostConfig"]["Mounts"]] == ["volume"]


@pytest.mark.parametrize(
    ("image", "words"),
    first(
        2,
        [
            ("nothing", "Docker has no image nothing, and none is fetched"),
            ("hubs", "hubs cannot be an agent's: it asks for volumes (/data, /workspace)"),
            ("broken", "The container of box cannot be started: exec: no such file"),
            ("--privileged", "is no name of an image"),
            ("UPPER:x:y", "'UPPER:x:y' is no name of an image, such as"),
            ("a:b:c", "'a:b:c' is no name of an image, such as"),
        ],
    ),
)
async def test_an_image_that_cannot_run_is_refused_in_a_line_and_leaves_nothing(
    tmp_path: Path, docker: DockerServer, image: str, words: str
) -> None:
    docker.images |= {"hubs": {"Volumes": {"/workspace": {}, "/data": {}}}, "broken": {}}
    docker.broken["broken"] = "exec: no such file"
    async with on(tmp_path) as bot:
        said = await bot.say(f"/spawn box image={image}")
        assert said["data"]["ok"] is False
        assert words in said["text"]
        assert "\n" not in said["text"]
        await bot.see(lambda: docker.boxes == {}, "that nothing is left")
        assert bot.rows("SELECT 1 FROM container WHERE live") == []
        assert bot.rows("SELECT 1 FROM token WHERE revoked_at IS NULL") == []
        assert "box" not in {one["name"] for one in (await bot.data("/agents"))["agents"]}
        await spawned(bot)


async def test_one_that_keeps_ending_is_begun_later_and_later_and_told_once(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        token = docker.of("box").token
        waits = []
        for times in range(1, 7):
            docker.end("box", 3)
            await bot.see(lambda times=times: bot.rows("SELECT ends FROM container")[0][0] == times, "its end", pace=1)  # type: ignore[misc]
            since = bot.clock.now()
            await begun(bot, docker, times + 1)
            waits.append((bot.clock.now() - since) / 1000)
        longest = [2 ** (times - 1) for times in range(1, 7)]
        assert all(most / 2 - 1 <= wait <= most + 6 for wait, most in zip(waits, longest, strict=True)), waits
        assert docker.of("box").token == token, "a container that ended keeps its token"
        told = await bot.until(kind="more", agent="box", ok=False)
        assert told["text"].startswith(
            "box keeps ending: it ended with exit code 3. It is started again, later and later."
        )
        await ticks(bot, docker, 20)
        assert bot.rows("SELECT ends FROM container") == [(6,)], "it is not calm yet"
        bot.pass_time(CALM / 1000)
        await bot.see(lambda: bot.rows("SELECT 1 FROM container WHERE ends = 0"), "calm", pace=1)
        await bot.until(kind="more", agent="box", ok=True, text="box works again")
        assert "more" not in bot.kinds()
        docker.end("box", 3)
        await bot.see(
            lambda: bot.rows("SELECT ends, trouble FROM container") == [(1, "")], "that this is one end", pace=1
        )


async def test_what_ended_and_why_is_shown_with_its_last_words_to_those_who_may_act(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path, memory=64) as bot:
        await let_in(bot, OPERATOR, "operator")
        await let_in(bot, "telegram:6", "member")
        await spawned(bot)
        secret = docker.of("box").token
        docker.end("box", 137, starved=True, said=f"begin\x1b[31m\u202e\n{secret}\n{'x' * 400}\n")
        await bot.see(lambda: bot.rows("SELECT 1 FROM container WHERE ends = 1"), "its end", pace=1)
        shown = await bot.say("/agent box", acting_for=OPERATOR)
        assert "it ran out of memory: it may use 64 MB" in shown["text"]
        assert shown["data"]["log"] == ["begin\\x1b[31m\\u202e", "[secret]", f"{'x' * 300}…"]
        assert secret not in shown["text"]
        assert "log" not in await bot.data("/agent box", acting_for="telegram:6")
        found = await bot.app.console.admin["agents.logs"]({"name": "BOX", "lines": 2})
        assert found["data"]["log"][0] == "[secret]"
        docker.boxes.clear()
        assert (await bot.app.console.admin["agents.logs"]({"name": "box"}))["text"] == "It said nothing."
        with pytest.raises(Exception, match="There is no agent 'nobody' in a container"):
            await bot.app.console.admin["agents.logs"]({"name": "nobody"})


@pytest.mark.parametrize(
    ("code", "why"),
    first(
        3,
        [
            (127, "does not run: its image has no program of the name that it begins (exit code 127)"),
            (0, "does not run: it ended by itself, with exit code 0"),
            (137, "does not run: it was killed by SIGKILL"),
            (None, "was made anew"),
        ],
    ),
)
async def test_what_it_was_doing_goes_to_somebody_else_as_it_ends(
    tmp_path: Path, docker: DockerServer, code: int | None, why: str
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            task = (await bot.data("/task write it to=box"))["task"]
            await worker.won(task, 25)
        if code is None:
            docker.boxes.clear()
        else:
            docker.end("box", code)
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'failed'"), "its end", pace=1)
        ended = await bot.until(kind="more", task=task, status="failed")
        assert f"the container of box {why}" in ended["text"]
        prove(bot.app.settings)


async def test_one_that_is_made_anew_has_another_token_and_the_old_one_opens_nothing(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            docker.boxes.clear()
            await bot.see(lambda: docker.names == {"box": "running"}, "another", pace=1)
            assert docker.of("box").token != worker.token
            assert await worker.code("GET", "tasks") == (401, "bad_token")


async def test_a_hub_that_stops_leaves_them_running_and_the_next_start_takes_them_up(
    tmp_path: Path, docker: DockerServer
) -> None:
    clock = FakeClock()
    async with on(tmp_path, clock=clock) as bot:
        await spawned(bot)
        box = docker.of("box")
    assert box.state == "running"
    async with on(tmp_path, clock=clock) as bot:
        await bot.see(lambda: "GET json" in docker.asked, "a look")
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            await bot.see(lambda: bot.rows("SELECT 1 FROM crew WHERE here"), "its return")
        assert docker.of("box") is box
        assert box.begun == 1
    docker.end("box", 1)
    async with on(tmp_path, clock=clock, memory=128) as bot:
        await bot.see(
            lambda: docker.names == {"box": "running"} and box.id not in docker.boxes, "one of the new size", pace=1
        )
        assert docker.of("box").token != box.token
        assert bot.rows("SELECT count(*) FROM token WHERE revoked_at IS NULL") == [(1,)]


async def test_a_hub_whose_containers_cannot_reach_it_starts_and_says_so(tmp_path: Path, docker: DockerServer) -> None:
    clock = FakeClock()
    async with on(tmp_path, clock=clock) as bot:
        await spawned(bot)
    async with on(tmp_path, clock=clock, network="bridge") as bot:
        await bot.see(lambda: not bot.app.health.parts["containers"].up, "that it cannot", pace=1)
        assert "containers  down: Agents on the network bridge do not reach" in (await bot.say("/status"))["text"]
        assert (await bot.data("/dismiss box"))["error"] == "no_public_url", "it does not lose sight of what it keeps"
        assert (await bot.say("/balance"))["data"]["ok"]
    async with on(tmp_path, clock=clock) as bot:
        assert (await bot.say("/dismiss box"))["text"] == "box left the roster"
        await bot.see(lambda: docker.boxes == {}, "its removal", pace=1)


async def test_whatever_a_crash_left_half_done_the_next_start_mends(tmp_path: Path, docker: DockerServer) -> None:
    """A crash falls between any two steps of a spawn or a dismissal; each of these is what one of them leaves."""
    clock = FakeClock()
    async with on(tmp_path, clock=clock) as bot:
        for name in ("made", "lost", "gone", "fine"):
            await spawned(bot, name)
        (mark,) = bot.rows("SELECT mark FROM container_mark")[0]
        await bot.say("/dismiss gone")
        fine = docker.of("fine")
    half, lost = docker.of("made"), docker.of("lost")
    half.state, half.files = "created", {}  # made, and killed before its token was there
    del docker.boxes[lost.id]  # the row was written, and the container is not there
    docker.put(
        f"timmy-{mark}-gone", hub=mark, agent="gone", state="running"
    )  # dismissed, and killed before it was removed
    docker.put(f"timmy-{mark}-new", hub=mark, agent="new")  # made, and killed before its row was written
    docker.put(f"timmy-{mark}-old", hub=mark, agent="old", state="dead")
    docker.put(f"timmy-{mark}-going", hub=mark, agent="going", state="removing")
    other = docker.put("timmy-else-box", hub="else", agent="box", state="running")
    stranger = docker.put("web", hub="", agent="web", state="running")
    async with on(tmp_path, clock=clock) as bot:
        await bot.see(
            lambda: docker.names
            == dict.fromkeys(("made", "lost", "fine", "box", "web"), "running") | {"going": "removing"},
            "that all is as it should be", pace=1,
        )  # fmt: skip
        assert docker.of("made").id != half.id
        assert docker.of("made").token.startswith("timmy_worker_")
        assert docker.of("fine") is fine
        assert {other.id, stranger.id} <= docker.boxes.keys(), "what is not this hub's is left alone"
        assert f"DELETE timmy-{mark}-going" not in docker.asked, "what is just being removed is left alone"


async def test_two_hubs_on_copies_of_a_data_folder_do_not_take_each_others_away_for_ever(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copytree(tmp_path / "data", copy / "data")
    (copy / "d").symlink_to(tmp_path / "d")
    async with on(tmp_path) as bot:
        await ticks(bot, docker)
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            task = (await bot.data("/task write it to=box"))["task"]
            await worker.won(task, 25)
        first = docker.of("box").id
        async with on(copy) as other:
            await other.see(lambda: docker.names == {"box": "running"} and first not in docker.boxes, "its own", pace=1)
            theirs = docker.of("box").id
            await bot.see(lambda: not bot.app.health.parts["containers"].up, "that it is noticed", pace=1)
            assert "containers  down: Another hub, on a copy of this" in (await bot.say("/status"))["text"]
            told = await bot.until(kind="more", agent="box", ok=False)
            assert told["text"].startswith(
                "Another hub, on a copy of this data folder, has begun box on the same Docker"
            )
            assert "TIMMY_DOCKER_URL" in told["text"]
            ended = await bot.until(kind="more", task=task, status="failed")
            assert "was taken away by another hub" in ended["text"]
            assert "Another hub" in await stands(bot)
            assert (await bot.data("/spawn new image=agents"))["error"] == "other_hub"
            assert (await bot.say("/dismiss box"))["text"].startswith("box left the roster")
            for one in (bot, other, bot, other):
                one.pass_time(60)
                await one.barrier()
            await ticks(other, docker)
            assert docker.of("box").id == theirs, "it is left alone"
            assert other.app.health.parts["containers"].up
            assert bot.rows("SELECT count(*) FROM event WHERE kind = 'AgentDown'") == [(1,)], "that is told once"


async def test_what_another_hub_has_not_taken_away_works_on(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        await ticks(bot, docker)
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            task = (await bot.data("/task write it to=box"))["task"]
            lease = await worker.won(task, 25)
            (mark,) = bot.rows("SELECT mark FROM container_mark")[0]
            docker.put(f"timmy-{mark}-new", hub=mark, agent="new", state="running")
            await bot.see(lambda: "has begun new" in bot.app.health.parts["containers"].why, "that", pace=0.2)
            await worker.deliver(task, lease, "done")
            assert docker.names == {"box": "running", "new": "running"}


async def test_a_docker_that_is_away_is_told_in_status_and_asked_again(tmp_path: Path) -> None:
    docker = DockerServer()
    async with on(tmp_path) as bot:
        said = await bot.say("/spawn box image=agents")
        assert said["data"]["error"] == "docker_away"
        assert "Start it, or see to TIMMY_DOCKER_URL" in said["text"]
        async with docker.serving(tmp_path / "d"):
            await spawned(bot)
        await bot.see(lambda: not bot.app.health.parts["containers"].up, "that it is away", pace=1)
        status = await bot.say("/status")
        assert "containers  down: Docker does not answer at unix://" in status["text"]
        assert not any("containers" in fault for fault in bot.app.health.faults()), "the hub itself is healthy"
        left = await bot.say("/dismiss box")
        assert left["text"] == "box left the roster"
        assert docker.names == {"box": "running"}
        async with docker.serving(tmp_path / "d"):
            await bot.see(lambda: docker.boxes == {}, "its removal", pace=1)


@pytest.mark.long
async def test_a_hub_without_containers_does_not_care_whether_docker_is_away(tmp_path: Path) -> None:
    docker = DockerServer()
    clock = FakeClock()
    async with on(tmp_path, clock=clock) as bot, docker.serving(tmp_path / "d"):
        await spawned(bot)
        await bot.say("/dismiss box")
    async with on(tmp_path, clock=clock) as bot:
        await bot.see(lambda: "containers" in bot.app.health.parts, "the part")
        bot.pass_time(60)
        await bot.barrier()
        assert bot.app.health.parts["containers"].up


@pytest.mark.parametrize(
    "wrong",
    first(
        2,
        [
            web.Response(text="<html>hello</html>", content_type="text/html"),
            web.Response(text="hello"),
            web.json_response({"hello": "you"}),
            web.json_response([]),
            web.Response(text="{", content_type="application/json"),
            web.Response(status=404, text="nothing here"),
            web.json_response({"message": "go away"}, status=500),
        ],
    ),
    ids=["page", "text", "json", "list", "half", "404", "500"],
)
async def test_whatever_answers_instead_of_docker_is_one_clear_line(
    tmp_path: Path, docker: DockerServer, wrong: web.Response
) -> None:
    docker.wrong = wrong
    async with on(tmp_path) as bot:
        said = await bot.say("/spawn box image=agents")
        assert said["data"]["error"] == "docker_away", said
        assert "\n" not in said["text"]


async def test_a_persona_can_be_put_into_a_container_and_whose_image_is_whose_to_choose(
    tmp_path: Path, docker: DockerServer
) -> None:
    docker.images["mine"] = {}
    async with on(tmp_path, image="agents") as bot:
        await let_in(bot, OPERATOR, "operator")
        assert (await bot.data("/spawn quill", acting_for=OPERATOR))["agent"] == "quill-box"
        assert (await bot.data("/spawn QUILL"))["agent"] == "quill-box-2"
        assert docker.of("quill-box").body["Env"][-1] == "TIMMY_WORKER_CAPABILITIES=writing"
        assert (await bot.data("/spawn quill image=none"))["agent"] == "quill-2"
        assert (await bot.data("/spawn box does=data,maps"))["agent"] == "box"
        assert docker.of("box").body["Env"][-1] == "TIMMY_WORKER_CAPABILITIES=data,maps"
        assert (await bot.data("/spawn other image=mine", acting_for=OPERATOR))["error"] == "not_allowed"
        assert (await bot.data("/spawn quil"))["error"] == "unknown_persona"
        assert (await bot.data("/spawn quill-7"))["error"] in {"name_reserved", "unknown_persona"}
        for name in ("quill-7", "treasury", "hub"):
            assert (await bot.data(f"/spawn {name} image=agents", acting_for=OPERATOR))["error"] == "name_reserved"
        assert (await bot.data("/spawn fox does=data,!!!"))["error"] == "bad_capability"
        assert (await bot.data("/spawn box"))["error"] == "runs_already"
        assert (await bot.data("/spawn under_score"))["error"] == "bad_container_name"
        await bot.app.console.admin["token.mint"]({"token_kind": "worker", "name": "far"})
        assert (await bot.data("/spawn far"))["error"] == "name_taken"
        await bot.say("/spawn other image=mine")
        await bot.say("/dismiss other")
        await bot.say("/dismiss box")
        assert (await bot.data("/spawn other", acting_for=OPERATOR))["agent"] == "other"
        assert docker.of("other").body["Image"] == "mine", "it comes back as it was"
        assert (await bot.data("/spawn box"))["agent"] == "box"
        assert docker.of("box").body["Env"][-1] == "TIMMY_WORKER_CAPABILITIES=data,maps"


async def test_a_name_that_has_become_a_worker_of_another_machine_is_its_own(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path, image="agents") as bot:
        await let_in(bot, OPERATOR, "operator")
        await spawned(bot)
        await bot.say("/dismiss box")
        token = (await bot.app.console.admin["token.mint"]({"token_kind": "worker", "name": "box"}))["text"]
        assert (await bot.data("/spawn box", acting_for=OPERATOR))["error"] == "name_taken"
        assert docker.boxes == {}
        assert (await bot.data("/spawn box image=none"))["agent"] == "box"
        async with aiohttp.ClientSession() as session:
            far = Worker(session, "box", token, bot.app.address)
            await far.enrol("any")
            assert await far.tasks() == [], "its token is as good as it was"
            await bot.say("/dismiss box")
            assert await far.code("GET", "tasks") == (409, "not_enrolled"), "its token is not the hub's to revoke"
            await bot.say("/spawn box image=none")
            assert await far.tasks() == []


async def test_there_are_only_so_many(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path, image="agents") as bot:
        for _ in range(MOST_CONTAINERS):
            assert (await bot.data("/spawn quill"))["ok"]
        assert (await bot.data("/spawn quill"))["error"] == "too_many_containers"
        await bot.say("/dismiss quill-box-7")
        assert (await bot.data("/spawn quill"))["agent"] == "quill-box-7"


async def test_one_whose_token_was_revoked_is_not_begun_again_until_it_is_given_another(
    tmp_path: Path, docker: DockerServer
) -> None:
    clock = FakeClock()
    async with on(tmp_path, clock=clock) as bot:
        await spawned(bot)
        await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
        docker.end("box")
        await ticks(bot, docker)
        await bot.until(kind="more", agent="box", text="its token was revoked. /spawn box gives it another")
        await ticks(bot, docker, 400)
        assert docker.of("box").begun == 1
    async with on(tmp_path, clock=clock) as bot:
        await ticks(bot, docker, 400)
        assert docker.of("box").begun == 1
        assert "its token was revoked; /spawn box" in await stands(bot)
        await spawned(bot)
        assert docker.of("box").begun == 1
        assert await stands(bot) == "away since the hub's start"


async def test_one_that_docker_will_not_begin_again_is_told_and_tried_again(
    tmp_path: Path, docker: DockerServer
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        docker.broken["agents"] = "network x not found\nat all"
        docker.end("box")
        await bot.see(lambda: bot.rows("SELECT 1 FROM container WHERE trouble = 'refused'"), "that", pace=1)
        told = await bot.until(kind="more", agent="box", ok=False)
        assert "box does not run: The container of box cannot be started: network x not found at all." in told["text"]
        docker.boxes.clear()
        del docker.images["agents"]
        await bot.see(
            lambda: "no image agents" in bot.rows("SELECT why FROM container")[0][0], "another reason", pace=5
        )
        docker.images["agents"], docker.broken = {}, {}
        await bot.see(lambda: docker.names == {"box": "running"}, "that it runs", pace=5)
        bot.pass_time(CALM / 1000)
        await bot.see(lambda: bot.rows("SELECT 1 FROM container WHERE ends = 0"), "calm", pace=1)
        await bot.until(kind="more", agent="box", ok=True, text="box works again")


async def test_the_same_wish_twice_is_one_container(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path, image="agents") as bot:
        for _ in range(2):
            await bot.post("/spawn quill", id="m1")
        await bot.until(kind="reply")
        await bot.barrier()
        assert list(docker.names) == ["quill-box"]
        owner = Caller(OWNER, Role.OWNER)
        for _ in range(2):  # as after a crash before the answer was written
            assert (await bot.app.hub.contained.spawn(owner, "quill", None, None, key="k"))[0] == "quill-box-2"
        assert sorted(docker.names) == ["quill-box", "quill-box-2"]


async def test_whoever_asked_and_is_somebody_else_by_then_leaves_nothing(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path, image="agents") as bot:
        await let_in(bot, OPERATOR, "operator")

        async def unpair(what: str) -> None:
            if what == "POST create":
                docker.before = None
                await bot.app.store.write(lambda tx: tx.tokens.take_away(OPERATOR, tx.now))

        docker.before = unpair
        said = await bot.data("/spawn box", acting_for=OPERATOR)
        assert said["error"] == "not_as_you_were", said
        await bot.see(lambda: docker.boxes == {}, "that nothing is left")
        assert bot.rows("SELECT 1 FROM token") == []
        assert OWNER in bot.app.hub.identities.owners


@pytest.mark.parametrize(
    "step",
    [
        "POST start",
        *(pytest.param(step, marks=pytest.mark.long) for step in ("GET version", "GET json", "PUT archive")),
    ],
)
async def test_a_docker_that_hangs_is_given_up_and_what_it_did_later_is_removed(
    tmp_path: Path, docker: DockerServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.2)
    answers = asyncio.Event()

    async def hang(what: str) -> None:
        if what == step:
            await answers.wait()

    docker.before = hang
    async with on(tmp_path) as bot:
        said = await bot.say("/spawn box image=agents")
        assert said["data"]["error"] == "docker_away", said
        assert "it took longer than 0.2 s" in said["text"]
        assert "\n" not in said["text"]
        answers.set()
        bot.pass_time(5)
        await bot.see(lambda: docker.boxes == {}, "that nothing is left", pace=1)
        assert bot.rows("SELECT 1 FROM container WHERE live") == []
        assert bot.rows("SELECT 1 FROM token WHERE revoked_at IS NULL") == []
        await spawned(bot)


@pytest.mark.long
async def test_while_docker_hangs_the_hub_answers_dismisses_and_stops(tmp_path: Path, docker: DockerServer) -> None:
    clock, answers = FakeClock(), asyncio.Event()

    async def hang(_: str) -> None:
        await answers.wait()

    async with on(tmp_path, clock=clock) as bot:
        await spawned(bot)
        docker.before = hang
        bot.pass_time(5)
        await bot.see(lambda: docker.asked[-1] != "POST start", "a look that hangs")
        async with asyncio.timeout(5):
            assert (await bot.data("/status"))["ok"]
            left = await bot.say("/dismiss box")
        assert left["text"] == "box left the roster"
        assert bot.rows("SELECT 1 FROM token WHERE revoked_at IS NULL") == []
    answers.set()
    docker.before = None
    async with on(tmp_path, clock=clock) as bot:
        await bot.see(lambda: docker.boxes == {}, "its removal", pace=1)


@pytest.mark.long
async def test_a_docker_that_hangs_is_down_while_it_is_asked_again_and_whoever_waited_is_answered_with_it(
    tmp_path: Path, docker: DockerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.4)
    answers = asyncio.Event()

    async def hang(_: str) -> None:
        await answers.wait()

    async with on(tmp_path) as bot:
        part = bot.app.health.parts

        def why() -> str:
            return "" if part["containers"].up else part["containers"].why

        await spawned(bot)
        await bot.see(lambda: not why(), "that it is up")
        docker.before = hang
        await bot.see(lambda: "it took longer than 0.4 s" in why(), "that it is noticed", pace=1)
        tries = len(docker.asked)

        def again() -> bool:
            assert "it took longer than 0.4 s" in why(), "to ask again is no answer"
            return len(docker.asked) > tries + 1

        await bot.see(again, "more tries", pace=1)
        assert "containers  down: Docker does not answer at" in (await bot.say("/status"))["text"]
        keeper, tries = await bot.app.hub.contained._opened(), len(docker.asked)
        spawn = bot.data("/spawn other image=agents")
        looked, said = await asyncio.gather(keeper.look(), spawn, return_exceptions=True)
        assert isinstance(looked, DockerAway)
        assert isinstance(said, dict)
        assert said["error"] == "docker_away"
        assert "DELETE" not in "".join(docker.asked[tries:]), "what it waited for is its answer"
        docker.before = None
        answers.set()
        await bot.see(lambda: not why(), "Docker", pace=1)
        await spawned(bot, "other")


@pytest.mark.parametrize(
    "step", ["GET json", "POST create", *(pytest.param(step, marks=pytest.mark.long) for step in MORE_STEPS)]
)
@pytest.mark.parametrize("state", ["gone", pytest.param("ended", marks=pytest.mark.long)])
async def test_a_dismissal_between_any_two_steps_of_a_look_holds(
    tmp_path: Path, docker: DockerServer, state: str, step: str
) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        if state == "gone":
            docker.boxes.clear()
        else:
            docker.end("box", 3)
        left: list[str] = []

        async def dismiss(what: str) -> None:
            if what.startswith(step) and not left:
                left.append(what)
                await bot.app.hub.contained.dismiss(OWN, "box", key="now")

        docker.before = dismiss
        await bot.see(lambda: left or (state == "ended" and docker.of("box").begun == 2), "the step", pace=1)
        if not left:
            assert step in {"DELETE", "POST create", "PUT archive"}, "what ended is begun as it is"
            return
        await (await bot.app.hub.contained._opened()).look()  # once the one that was under way has ended
        assert docker.boxes == {}
        assert bot.rows("SELECT live, trouble FROM container") == [(0, "")]
        assert bot.rows("SELECT 1 FROM token WHERE revoked_at IS NULL") == []
        assert "box" not in {one["name"] for one in (await bot.data("/agents"))["agents"]}
        assert "more" not in bot.kinds()


async def test_whoever_is_dismissed_while_it_begins_is_gone(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path) as bot:

        async def dismiss(what: str) -> None:
            if what == "POST start":
                docker.before, docker.broken["agents"] = None, "too late"
                await bot.app.hub.contained.dismiss(OWN, "box", key="now")

        docker.before = dismiss
        said = await bot.data("/spawn box image=agents")
        assert said["ok"] is False
        await bot.see(lambda: docker.boxes == {}, "that nothing is left", pace=1)
        assert bot.rows("SELECT live FROM container") == [(0,)]
        docker.broken = {}
        await spawned(bot)


async def test_what_a_look_saw_of_whom_is_dismissed_meanwhile_changes_nothing(
    tmp_path: Path, docker: DockerServer
) -> None:
    """A dismissal that is written just before a look would write is no step of Docker's, so that is done by hand."""
    async with on(tmp_path) as bot:
        await spawned(bot)
        keeper = await bot.app.hub.contained._opened()
        one = keeper.kept("BOX")
        assert one is not None
        await bot.app.console.admin["token.revoke"]({"token_kind": "worker", "name": "box"})
        await bot.say("/dismiss box")
        await bot.see(lambda: docker.boxes == {}, "its removal")
        await keeper._begin(one, None)
        await keeper._note(one, refused(one, "it was seen to be away"), None)
        assert docker.boxes == {}
        assert bot.rows("SELECT live, trouble FROM container") == [(0, "")]
        assert bot.rows("SELECT 1 FROM token WHERE revoked_at IS NULL") == []
        assert keeper.kept("box") == replace(one, live=False)
        assert bot.app.hub.coordinator.crew.troubles == {}


async def test_a_wish_that_was_done_and_not_answered_is_done_once(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path) as bot:
        contained = bot.app.hub.contained
        first, again = [await contained.spawn(OWN, "quill", "agents", None, key="k") for _ in range(2)]
        assert first == again == ("quill-box", ", in a container of agents")
        assert list(docker.names) == ["quill-box"]
        assert (await bot.data("/spawn quill-2 image=agents"))["error"] == "name_reserved"


@pytest.mark.parametrize(
    "hangs",
    [
        "DELETE timmy",
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in ("GET json", "POST create", "PUT archive", "POST start", "GET logs")
        ),
    ],
)
async def test_a_docker_that_says_nothing_any_more_holds_nothing_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: DockerServer, hangs: str
) -> None:
    async with on(tmp_path, image="agents") as bot:
        await spawned(bot)
        docker.end("box", 3)
        await bot.see(lambda: bot.rows("SELECT 1 FROM container WHERE ends = 1"), "its end", pace=1)
        thaws = asyncio.Event()

        async def hang(what: str) -> None:
            if what.startswith(hangs):
                await thaws.wait()

        docker.before = hang
        monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.1)
        monkeypatch.setattr(contained, "LOOK_SECONDS", 0.1)
        assert "it ended with exit code 3" in (await bot.say("/agent box"))["text"]
        await bot.say("/spawn other")
        assert (await bot.say("/dismiss box"))["text"] == "box left the roster"
        thaws.set()
        docker.before = None
        monkeypatch.undo()
        await bot.say("/spawn last")
        await bot.see(lambda: docker.names.get("last") == "running" and "box" not in docker.names, "order", pace=1)


async def test_the_doctor_says_whether_agents_can_be_begun(tmp_path: Path, docker: DockerServer) -> None:
    docker.images["hubs"] = {"Volumes": {"/data": {}}}

    async def found(url: str = f"unix://{tmp_path / 'd'}", **group: Any) -> list[tuple[str, bool, str]]:
        one = settings(tmp_path).model_copy(update={"docker": DockerGroup(url=url, **group)})
        return [(finding.id, finding.ok, finding.says) for finding in examined(one, await ask_docker(one))]

    assert await found() == []
    assert [found[:2] for found in await found(image="agents")] == [
        (f"docker.{name}", True) for name in ("answers", "image", "network")
    ]
    assert await found(image="other") == [("docker.image", False, "Docker has no image other, and none is fetched")]
    ((name, ok, says),) = await found(image="hubs")
    assert (name, ok) == ("docker.image", False)
    assert "it asks for volumes (/data)" in says
    ((name, ok, says),) = await found(image="agents", network="bridge")
    assert (name, ok) == ("docker.network", False)
    ((name, ok, says),) = await found(network="bridge")
    assert (name, ok) == ("docker.network", False), "where /spawn takes an image only if one is said, too"
    assert "without TIMMY_HTTP_PUBLIC_URL" in says
    assert [found[:2] for found in await found(network="host")] == [("docker.network", True)]
    ((name, ok, says),) = await found(url="unix:///nowhere/d", image="agents")
    assert (name, ok) == ("docker.answers", False)
    assert "does not answer at unix:///nowhere/d" in says
    assert docker.boxes == {}


async def test_whoever_is_dismissed_at_work_hands_nothing_in(tmp_path: Path, docker: DockerServer) -> None:
    async with on(tmp_path) as bot:
        await spawned(bot)
        async with agent(bot, docker, "box") as worker:
            await worker.enrol("any")
            task = (await bot.data("/task write it to=box"))["task"]
            lease = await worker.won(task, 25)
            left = await bot.say("/dismiss box")
            assert left["text"] == "box left the roster; what it was doing goes to somebody else"
            body = {"lease_token": lease, "result": "after all"}
            assert (await worker.code("POST", f"tasks/{task}/result", body))[0] == 401
        ended = await bot.until(kind="more", task=task, status="failed")
        assert "box was dismissed" in ended["text"]
        await bot.see(lambda: docker.boxes == {}, "its removal", pace=1)
        assert balances(bot.app.settings).get("agent:box", (0, 0)) == (0, 0)
        prove(bot.app.settings)
