"""Boxes on Docker's own engine: a hostile program reaches nothing, fills nothing, and leaves nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemIds
from adapters.containers.box import BOX, Boxes
from adapters.skills.closed import why_closed
from adapters.suites.command import in_a_box
from core.agent.changing import Verdict, verdict
from core.swarm.container import DockerAway, Limits, NoImage, NotStarted
from tests.real.docker import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from core.agent.box import Ran
    from tests.real.docker import Docker

pytestmark = RUNS

LIMITS = Limits(128 << 20, 1000, 64)


def boxes(docker: Docker, image: str = "debian:plain") -> Boxes:
    return Boxes(docker.env["DOCKER_HOST"], image, "hub-1", LIMITS, ids=SystemIds(), closed=why_closed)


@pytest.fixture
def made(dockerd: Docker) -> Boxes:
    return boxes(dockerd)


def left(docker: Docker) -> str:
    return docker("ps", "--all", "--quiet", "--filter", f"label={BOX}") + docker("volume", "ls", "--quiet")


async def python(made: Boxes, code: str, *files: tuple[str, bytes], seconds: float = 20) -> Ran:
    return await made.run(["python3", "main.py"], [("main.py", code.encode()), *files], seconds=seconds)


async def test_a_program_reads_what_it_is_given_and_hands_out_what_it_makes(made: Boxes, dockerd: Docker) -> None:
    code = "import sys; print(open('a/in.txt').read(), 'no', file=sys.stderr); open('out.txt', 'w').write('made'); sys.exit(3)"
    ran = await python(made, code, ("a/in.txt", b"given"))
    assert (ran.status, ran.ended) == (3, "")
    assert sorted(ran.said.split()) == ["given", "no"]
    assert ran.files == (("out.txt", b"made"),)
    assert left(dockerd) == ""


HOSTILE = """
import os, socket
def tried(what, act):
    try:
        act()
        print(what, 'WORKED')
    except Exception as error:
        print(what, type(error).__name__)
tried('network', lambda: socket.create_connection(('1.1.1.1', 53), 2))
tried('local', lambda: socket.create_connection(('127.0.0.1', 8080), 2))
tried('root', lambda: open('/etc/new', 'w').write('x'))
tried('mount', lambda: os.mkdir('/mnt/x'))
tried('uid', lambda: os.setuid(0))
tried('docker', lambda: os.stat('/var/run/docker.sock'))
tried('secrets', lambda: os.stat('/run/timmy'))
tried('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
print(os.getuid(), sorted(os.environ), [one for one in os.listdir('/sys/class/net')])
"""


async def test_it_is_shut_in(made: Boxes) -> None:
    ran = await python(made, HOSTILE)
    assert ran.status == 0, ran
    assert "WORKED" not in ran.said
    assert "10001" in ran.said
    assert "TIMMY" not in ran.said
    assert "['lo']" in ran.said


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("while True: pass", "it took longer than 2 s"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass", "it took longer than 2 s"),
        ("x = bytearray(500_000_000)", "it needed more than the 128 MB"),
        ("open('full', 'wb').write(b'x' * 300_000_000)", "it needed more than the 128 MB"),
        ("import os\nwhile True: os.write(2, b'x' * 65536)", "it took longer than 2 s"),
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "it took longer than 2 s"),
        ("import os\nwhile True: open('/proc/1/fd/1', 'wb').write(b'x' * 65536)", "it gave out more"),
    ],
    ids=["loops", "stops-its-keeper", "starves", "fills", "floods", "forks", "forges"],
)
async def test_it_is_bounded_and_gone(made: Boxes, dockerd: Docker, code: str, ended: str) -> None:
    async with asyncio.timeout(40):
        ran = await python(made, code, seconds=2)
    assert ran.ended.startswith(ended)
    assert ran.status != 0
    assert len(ran.said) < 110_000
    assert left(dockerd) == ""


async def test_a_folder_is_worked_on_without_what_is_closed_in_it(made: Boxes, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/test_it.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 2)\n"
    )
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("canary")
    (tmp_path / "id_rsa").write_text("canary")
    (tmp_path / "link").symlink_to("/etc")
    ran = await made.run_in(tmp_path, ["python3", "-m", "unittest", "discover", "src"], seconds=20)
    assert ran.status == 1
    assert "AssertionError: 1 != 2" in ran.said
    seen = await made.run_in(tmp_path, ["find", ".", "-type", "f"])
    assert seen.said.split() == ["./src/test_it.py"]
    assert (await made.run_in(tmp_path, ["no-such-program"])).status == 127


async def test_what_a_killed_hub_left_is_removed_by_the_next_and_nothing_else_is(dockerd: Docker) -> None:
    dockerd("run", "--detach", "--label", f"{BOX}=hub-1", "--label", "timmy.run=old", "debian:plain", "sleep", "600")
    other = dockerd(
        "run", "--detach", "--label", f"{BOX}=hub-2", "--label", "timmy.run=old", "debian:plain", "sleep", "600"
    )
    assert (await python(boxes(dockerd), "print(1)")).said == "1\n"
    assert dockerd("ps", "--quiet", "--no-trunc", "--filter", f"label={BOX}") == other
    dockerd("rm", "--force", other)


async def test_a_turn_that_is_stopped_leaves_nothing(made: Boxes, dockerd: Docker) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await python(made, "while True: pass")
    assert left(dockerd) == ""


async def test_what_is_in_the_way_is_said(dockerd: Docker, tmp_path: Path) -> None:
    with pytest.raises(NoImage):
        await python(boxes(dockerd, "no-such-image"), "print(1)")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /x\n")
    dockerd("build", "--tag", "bare", str(tmp_path))
    with pytest.raises(NotStarted):
        await python(boxes(dockerd, "bare"), "print(1)")
    with pytest.raises(DockerAway):
        await Boxes(f"unix://{tmp_path}/no.sock", "x", "h", LIMITS, ids=SystemIds(), closed=why_closed).run(
            ["true"], []
        )
    assert left(dockerd) == ""


async def test_the_image_of_agents_has_what_data_is_worked_on_with(docker: Docker) -> None:
    made = Boxes(
        docker.env["DOCKER_HOST"],
        "timmy-agent",
        "hub-1",
        Limits(512 << 20, 1000, 128),
        ids=SystemIds(),
        closed=why_closed,
    )
    code = "import pandas as pd; f = pd.read_csv('a.csv'); print(f.x.sum()); f.plot().figure.savefig('a.png')"
    ran = await python(made, code, ("a.csv", b"x\n1\n2\n"), seconds=55)
    assert (ran.status, ran.ended) == (0, ""), ran.said
    assert "3" in ran.said
    ((name, picture),) = ran.files
    assert name == "a.png"
    assert picture.startswith(b"\x89PNG")


TESTS = """
import os, pathlib, socket, pytest

def test_it_adds():
    from sums import add
    assert add(1, 2) == 3

@pytest.mark.parametrize("where", [("1.1.1.1", 53), ("127.0.0.1", 8080)])
def test_the_network(where):
    with pytest.raises(OSError):
        socket.create_connection(where, 2)

def test_files_of_the_machine():
    here = [str(path) for path in pathlib.Path("/").rglob("*canary*") if path.parts[1] not in {"proc", "sys"}]
    assert here == [], here
    assert not os.path.exists("/var/run/docker.sock")

def test_the_work_of_others():
    pathlib.Path("sums.py").write_text("def add(a, b): return 'taken'")
    with pytest.raises(OSError):
        pathlib.Path("/opt/tests/pytest.py").write_text("taken")
"""


async def test_the_image_of_agents_runs_the_tests_of_a_project(docker: Docker, tmp_path: Path) -> None:
    made, project = boxes(docker, "timmy-agent"), tmp_path / "project"
    project.mkdir()
    (tmp_path / "canary.db").write_text("the hub's own")
    (project / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    (project / "test_sums.py").write_text(TESTS)
    (project / "canary.py").symlink_to(tmp_path / "canary.db")
    command = in_a_box(project)
    ran = await made.run_in(project, command, seconds=55)
    assert verdict(command, ran).words == "Tests: 1 failed, 4 passed, in a container.", ran.said
    (project / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    ran = await made.run_in(project, command, seconds=55)
    assert verdict(command, ran) == Verdict("Tests: 5 passed, in a container.", ok=True, said=ran.said), ran.said
    assert (project / "sums.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert left(docker) == ""
