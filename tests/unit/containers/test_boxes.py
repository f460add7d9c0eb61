"""Boxes as Docker is asked for them, and what begins within; `tests/real` has the same on Docker itself."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters.containers import inside
from adapters.containers.box import BOX, Boxes, TooMuchIn
from adapters.containers.door import BELIEVED, Door
from adapters.skills.closed import why_closed
from core.agent import box as port
from core.agent.tool import Effect
from core.swarm.container import DockerAway, Limits
from tests.docker_server import Box, DockerServer
from tests.fakes import FakeClock, FakeIds
from tests.unit.tools.bench import ANN, Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

LIMITS = Limits(512 << 20, 1000, 128)


def tar(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DockerServer]:
    found = DockerServer()
    async with found.serving(tmp_path / "d.sock"):
        yield found


@pytest.fixture
def boxes(server: DockerServer, tmp_path: Path) -> Boxes:
    return Boxes(f"unix://{tmp_path / 'd.sock'}", "agents", "hub-1", LIMITS, ids=FakeIds(), closed=why_closed)


async def test_a_box_is_asked_for_shut_in_fed_read_and_removed(server: DockerServer, boxes: Boxes) -> None:
    seen: list[tuple[Box, list[str]]] = []

    def does(box: Box, sent: bytes) -> tuple[int, bytes, bytes]:
        with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
            seen.append((box, archive.getnames()))
        made = tar(**{"out.txt": b"made", "../../etc/cron.d/x": b"taken by its last name", ".hidden": b"left out"})
        return 3, made, b"said\x1b[2J \xff"

    server.does = does
    ran = await boxes.run(["python3", "main.py"], [("main.py", b"print()"), ("in.csv", b"a,b\n")], seconds=9)
    assert ran == port.Ran(3, "said[2J \ufffd", (("out.txt", b"made"), ("x", b"taken by its last name")))
    ((box, names),) = seen
    assert names == ["main.py", "in.csv"]
    body, host = box.body, box.body["HostConfig"]
    assert body["User"] == "10001:10001"
    assert body["NetworkDisabled"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert "Mounts" not in host
    assert "Binds" not in host
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert host["PidsLimit"] == 128
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["LogConfig"]["Type"] == "none", "what it says reaches no disk"
    assert body["Labels"][BOX] == "hub-1"
    assert json.loads(body["Cmd"][0])["command"] == ["python3", "main.py"]
    assert server.boxes == {}


async def test_a_folder_goes_in_without_what_is_closed_and_nothing_comes_back(
    server: DockerServer, boxes: Boxes, tmp_path: Path
) -> None:
    folder = tmp_path / "branch"
    for name in ("src/a.py", ".git/config", "id_rsa", "api_token.txt", "docs/guide.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "docs/link").symlink_to("/etc/passwd")
    names: list[str] = []

    def does(_: Box, sent: bytes) -> tuple[int, bytes, bytes]:
        with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
            names.extend(archive.getnames())
        return 0, b"", b"2 passed"

    server.does = does
    assert await boxes.run_in(folder, ["pytest"]) == port.Ran(0, "2 passed")
    assert names == ["docs/guide.md", "src/a.py"]


@pytest.mark.parametrize(
    ("code", "starved", "out", "ended"),
    [
        (137, False, b"", "it needed more than the 512 MB"),
        (1, True, b"", "it needed more than the 512 MB"),
        (124, False, b"", "it took longer than 60 s"),
        pytest.param(0, False, b"x" * (port.MOST_OUT + 2**20 + 1), "it gave out more", marks=pytest.mark.long),
        (0, False, b"no archive", ""),
    ],
    ids=["killed", "starved", "late", "floods", "garbles"],
)
async def test_how_it_ended_is_told(
    server: DockerServer, boxes: Boxes, code: int, starved: bool, out: bytes, ended: str
) -> None:
    def does(box: Box, _: bytes) -> tuple[int, bytes, bytes]:
        box.starved = starved
        return code, out, b"x" * 300_000

    server.does = does
    ran = await boxes.run(["true"], [])
    assert ran.ended.startswith(ended)
    assert bool(ran.ended) == bool(ended)
    assert len(ran.said) < port.MOST_SAID + 100
    assert server.boxes == {}


async def test_what_another_run_of_this_hub_left_is_removed_first(server: DockerServer, boxes: Boxes) -> None:
    for name, hub, run in (("left", "hub-1", "before"), ("other", "hub-2", "before")):
        server.boxes[name] = Box(name, name, {"Image": "agents", "Labels": {BOX: hub, "timmy.run": run}}, "running")
    server.does = lambda *_: (0, b"", b"")
    await boxes.run(["true"], [])
    assert list(server.boxes) == ["other"]


class Later:
    """`core.ports.Spawner` that runs what was spawned when the test says so."""

    def __init__(self) -> None:
        self.left: list[Coroutine[Any, Any, None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> Callable[[], object]:
        self.left.append(work)
        return lambda: None

    async def run(self) -> int:
        done, self.left = self.left, []
        for work in done:
            await work
        return len(done)


async def test_what_is_in_the_way_is_found_out_told_and_believed_for_a_while(
    server: DockerServer, tmp_path: Path
) -> None:
    clock, later, made = FakeClock(), Later(), 0
    url = f"unix://{tmp_path / 'd.sock'}"

    def make() -> Boxes:
        nonlocal made
        made += 1
        return Boxes(url, "agents-2", "hub-1", LIMITS, ids=FakeIds(), closed=why_closed)

    nowhere = Door("unix:///no/such/socket", make, clock, later)
    assert nowhere.lacks().startswith("it runs in a container, and there is no Docker at unix:///no/such/socket")
    door = Door(url, make, clock, later)
    assert (made, door.lacks(), door.lacks()) == (0, "", "")
    assert await later.run() == 1
    assert "no image agents-2" in door.lacks()
    clock.advance(BELIEVED)
    server.images["agents-2"] = {}
    assert door.lacks() == ""
    assert await later.run() == 1
    assert door.lacks() == ""
    with pytest.raises(TooMuchIn):
        await door.run(["true"], [("a", bytes(port.MOST_IN + 1))])
    assert door.lacks() == ""
    server.wrong = web.Response(status=500, text="broken")
    with pytest.raises(DockerAway):
        await door.run_in(tmp_path, ["true"])
    assert "Docker does not answer" in door.lacks()
    await door.sweep()
    assert (made, later.left) == (1, [])


async def test_an_archive_that_claims_more_than_it_holds_is_not_believed(server: DockerServer, boxes: Boxes) -> None:
    bomb = tarfile.TarInfo("bomb.txt")
    bomb.size, bomb.pax_headers = (
        0,
        {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0", "GNU.sparse.size": str(2**40)},
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(bomb)
    long, huge = tarfile.TarInfo("n" * 300), tarfile.TarInfo("huge.txt")
    huge.size = 2**40
    server.does = lambda *_: (0, packed.getvalue()[:-10240] + long.tobuf() + huge.tobuf() + b"x" * 512, b"")
    assert (await boxes.run(["true"], [])).files == ()


async def test_a_box_that_was_being_made_when_its_turn_was_stopped_is_removed(
    server: DockerServer, boxes: Boxes
) -> None:
    asking, release = asyncio.Event(), asyncio.Event()

    async def before(what: str) -> None:
        if what.startswith("POST attach"):
            asking.set()
            await release.wait()

    server.before = before
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(boxes.run(["true"], []))
        await asking.wait()
        assert len(server.boxes) == 1
        turn.cancel()
    assert server.boxes == {}
    release.set()


def within(tmp_path: Path, packed: bytes, **order: Any) -> subprocess.CompletedProcess[bytes]:
    given = {
        "command": [],
        "seconds": 20,
        "bytes": len(packed),
        "work": str(tmp_path),
        "files": 20,
        "most": 1000,
        **order,
    }
    argv = [sys.executable, "-I", inside.__file__, json.dumps(given)]
    return subprocess.run(argv, input=packed, capture_output=True, timeout=30, check=False)


def test_what_begins_within_unpacks_runs_and_packs_what_was_made(tmp_path: Path) -> None:
    code = b"import sys; print('out'); open('made.txt', 'w').write('1' * 900); open('z.txt', 'w').write('2' * 900); sys.exit(5)"
    packed = tar(**{"main.py": code, "kept.txt": b"kept"})
    ran = within(tmp_path, packed, command=[sys.executable, "main.py"])
    assert ran.returncode == 5
    assert ran.stderr == b"out\nz.txt and what follows is too large to come out\n"
    with tarfile.open(fileobj=io.BytesIO(ran.stdout), mode="r|") as archive:
        assert [one.name for one in archive] == ["made.txt"]


@pytest.mark.long
def test_what_begins_within_ends_what_takes_too_long_or_is_not_there(tmp_path: Path) -> None:
    forever = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert within(tmp_path, tar(), command=forever, seconds=0.2).returncode == 124
    assert within(tmp_path, tar(), command=["no-such-program"]).returncode == 127
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert within(tmp_path, tar(), command=killed, files=0).returncode == 137


async def test_python_runs_in_a_box_with_copies_of_files_or_is_not_offered(
    server: DockerServer, boxes: Boxes, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "sales.csv").write_text("a,b\n1,2\n")
    bench = Bench(tmp_path, workspace)
    assert dict(bench.tools.closed())["run_python"] == "it runs in a container, and there is no Docker"
    later = Later()
    bench = Bench(tmp_path, workspace, box=Door(f"unix://{tmp_path / 'd.sock'}", lambda: boxes, FakeClock(), later))
    (tool,) = bench.tools.offered(["run_python"], ANN)
    assert await later.run() == 1
    assert tool.effect is Effect.READ
    given: dict[str, bytes] = {}

    def does(_: Box, sent: bytes) -> tuple[int, bytes, bytes]:
        with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
            for one in archive:
                content = archive.extractfile(one)
                assert content is not None
                given[one.name] = content.read()
        return 0, tar(**{"chart.png": b"png"}), b"42\n"

    server.does = does
    output = await bench.call("run_python", code="print(42)", files="sales.csv")
    assert output.text == "It ended well, and said:\n42\nIt made chart.png, which the person gets."
    assert [file.name for file in output.files] == ["chart.png"]
    assert output.outside
    assert given == {"main.py": b"print(42)", "sales.csv": b"a,b\n1,2\n"}
