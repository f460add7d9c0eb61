"""The hub's side: real children that answer, misbehave, and are gone in every case."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from adapters.shelf import Shelf
from adapters.skills.catalogue import SKILLS
from adapters.skills.errors import (
    AddressGiven,
    ChartUnable,
    FileBinary,
    FileBroken,
    FileClosed,
    FileEmpty,
    FileEncrypted,
    FileMissing,
    FileTooLarge,
    KindUnsupported,
    NoNumbers,
    NoText,
    NothingNamed,
    OutsideWorkspace,
    QueryMissing,
    SeveralFiles,
    SkillCrashed,
    SkillMemory,
    SkillMissing,
    SkillOutput,
    SkillTimeout,
    UnknownColumn,
)
from adapters.skills.faults import Case, Faults
from adapters.skills.limits import Limits
from adapters.skills.runner import SkillRunner
from core.agent.skill import Match
from tests.depth import first
from tests.unit.skills import office
from tests.unit.skills.conftest import CANARY, CLOSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.agent.skill import Skills
    from core.errors import HubError

    Scripted = Callable[[str], str]

ALL = tuple(SKILLS)
OUTLINE = Match("outline", "welcome.md", 1.0)
SAMPLES = Path(__file__).resolve().parents[3] / "config/workspace"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    return out


@pytest.fixture
def skills(root: Path) -> SkillRunner:
    return SkillRunner(root, [root / "data"])


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    """A program in the place of Python that does what its few lines say instead of a skill."""

    def program(lines: str) -> str:
        script = tmp_path / "scripted"
        script.write_text(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys\n{lines}\n")
        script.chmod(0o700)
        return str(script)

    return program


def is_gone(pid: int) -> bool:
    """Whether a process that is nobody's child here has ended or ends within 5 s, reaped by init or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as process:
        return bool(select.select([process], [], [], 5)[0])


def test_the_runner_is_the_port_and_knows_its_skills(skills: SkillRunner) -> None:
    port: Skills = skills
    assert port.offered([*ALL, "no such skill"]) == ALL
    assert port.match(["machine"], "machine report") == Match("machine", "", 1.0)


@pytest.mark.parametrize(
    ("words", "first", "files"),
    first(
        2,
        [
            ("summarise welcome.md", "welcome.md in ", []),
            ("search for escrow in the workspace", '"escrow" is in ', []),
            ("machine report", "This machine ", []),
            ("describe sample.csv", "sample.csv has 60 rows", []),
            ("outline welcome.md", "welcome.md has ", []),
            ("scan the workspace for secrets", "Nothing suspicious was found in 2 files", []),
            ("chart sample.csv sales by month", "Total revenue by month from sample.csv", ["revenue-by-month.png"]),
        ],
    ),
)
async def test_every_skill_answers_from_a_child(words: str, first: str, files: list[str], out: Path) -> None:
    skills = SkillRunner(SAMPLES)
    match = skills.match(ALL, words)
    assert match is not None
    await skills.check(match)
    outcome = await skills.run(match, out)
    assert outcome.text.startswith(first)
    assert [file.name for file in outcome.files] == files
    assert len(list(await asyncio.to_thread(out.iterdir))) == len(files)


@pytest.mark.parametrize("skill", [name for name in ALL if name not in {"machine", "search"}])
async def test_no_skill_reads_a_canary(skills: SkillRunner, skill: str) -> None:
    """The check refuses each; so does the child, asked without a check (`test_workspace.py` has every name)."""
    for name in CLOSED:
        with pytest.raises((FileClosed, OutsideWorkspace, KindUnsupported)):
            await skills.check(Match(skill, name, 1.0))


@pytest.mark.parametrize("skill", ["summarise", "scan"])
async def test_a_child_refuses_for_itself_and_its_error_arrives_as_it_was(
    skills: SkillRunner, skill: str, out: Path
) -> None:
    with pytest.raises(FileClosed) as caught:
        await skills.run(Match(skill, "data/ledger.md", 1.0), out)
    assert str(caught.value).startswith("data/ledger.md is closed to every skill: the hub keeps its own data there.")


async def test_searches_for_the_canary_find_nothing(skills: SkillRunner, out: Path) -> None:
    outcome = await skills.run(Match("search", CANARY, 1.0), out)
    assert "Nothing was found" in outcome.text


@pytest.mark.parametrize(
    ("match", "error"),
    first(
        10,
        [
            (Match("outline", "no-such-file.md", 1.0), FileMissing),
            (Match("outline", "noise.txt", 1.0), FileBinary),
            (Match("outline", "huge.txt", 1.0), FileTooLarge),
            (Match("outline", "locked.docx", 1.0), FileEncrypted),
            (Match("outline", "../../etc/passwd", 1.0), OutsideWorkspace),
            (Match("describe", "welcome.md", 1.0), KindUnsupported),
            (Match("outline", "book.xlsx", 1.0), KindUnsupported),
            (Match("search", "...", 1.0), QueryMissing),
            (Match("search", "x", 1.0, (("in", "/etc/passwd"),)), OutsideWorkspace),
            (Match("no such skill", "welcome.md", 1.0), SkillMissing),
            (Match("outline", "enc.pdf", 1.0), FileEncrypted),
            (Match("summarise", "pictures.pdf", 1.0), NoText),
            (Match("outline", "torn.docx", 1.0), FileBroken),
            (Match("outline", "blank.md", 1.0), FileEmpty),
            (Match("describe", "head.csv", 1.0), FileEmpty),
            (Match("summarise", "", 1.0), NothingNamed),
            (Match("chart", "", 1.0), NothingNamed),
            (Match("summarise", "https://example.com/x.md", 1.0), AddressGiven),
            (Match("summarise", "welcome.md", 1.0, (("also", "sampel.csv"),)), SeveralFiles),
            (Match("summarise", "welcome.md", 1.0, (("also", "and/or\nnotes"),)), SeveralFiles),
            (Match("chart", "n.csv", 1.0, (("words", "profit by month"),)), UnknownColumn),
            (Match("chart", "n.csv", 1.0, (("words", "top 2 revenue by month"),)), ChartUnable),
            (Match("chart", "n.csv", 1.0, (("words", "revenue for 1 month"),)), ChartUnable),
        ],
    ),
)
async def test_a_check_names_what_is_wrong_before_anyone_bids(
    skills: SkillRunner, root: Path, match: Match, error: type[HubError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.skills.runner.LOOK_SECONDS", 30)  # a busy machine takes its time
    (root / "noise.txt").write_bytes(b"\0\1\2")
    office.encrypted_office(root / "locked.docx")
    office.excel(root / "book.xlsx", [("a", 1)])
    office.pdf(root / "enc.pdf", [["text"]], password="s")
    office.pdf(root / "pictures.pdf", [[]])
    (root / "torn.docx").write_bytes(b"PK\x03\x04" + bytes(100))
    (root / "blank.md").write_text("\n \n")
    (root / "head.csv").write_text("a,b\n")
    (root / "n.csv").write_text("month,revenue\n1,2\n")
    with (root / "huge.txt").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(error):
        await skills.check(match)


@pytest.mark.parametrize(
    "match",
    first(
        3,
        (
            (match,)
            for match in [
                OUTLINE,
                Match("scan", ".", 1.0),
                Match("machine", "", 1.0),
                Match("search", "escrow", 1.0),
                Match("summarise", "welcome.md", 1.0, (("also", "Node.js\nand/or"),)),
                Match("chart", "n.csv", 1.0, (("words", "revenue by month"),)),
                Match("chart", "wide.csv", 1.0, (("words", "profit"),)),
                Match("chart", "utf16.csv", 1.0, (("words", "umsätze"),)),
                Match("summarise", "open.pdf", 1.0),
            ]
        ),
    ),
)
async def test_a_check_passes_what_can_be_worked_on(skills: SkillRunner, root: Path, match: Match) -> None:
    office.pdf(root / "open.pdf", [["text"]])
    (root / "n.csv").write_text("month,revenue\n1,2\n")
    (root / "wide.csv").write_text(",".join(["column"] * 1000) + "\n" + ",".join(["1"] * 1000))
    (root / "utf16.csv").write_text("umsätze\n1\n", encoding="utf-16")
    await skills.check(match)


async def test_a_fault_of_a_file_that_shows_only_in_the_work_is_known_until_the_file_changes(
    root: Path, out: Path, scripted: Scripted
) -> None:
    skills = SkillRunner(root, python=scripted('print(json.dumps({"error": "NoNumbers", "facts": {"path": "w.csv"}}))'))
    words = Match("chart", "w.csv", 1.0)
    (root / "w.csv").write_text("a,b\nx,y\nz,w\n")
    await skills.check(words)
    with pytest.raises(NoNumbers):
        await skills.run(words, out)
    with pytest.raises(NoNumbers, match=r"w\.csv has no column of numbers"):
        await skills.check(words)
    (root / "w.csv").write_text("a,b\nx,1\nz,2\n")
    await skills.check(words)


async def test_agents_that_ask_at_once_share_one_look(root: Path, tmp_path: Path, scripted: Scripted) -> None:
    office.pdf(root / "pictures.pdf", [[]])
    marks = tmp_path / "marks"
    marks.mkdir()
    counts = scripted(
        f'open(f"{marks}/{{os.getpid()}}", "w").close()\n'
        'print(json.dumps({"error": "NoText", "facts": {"path": "pictures.pdf"}}))'
    )
    skills = SkillRunner(root, python=counts)
    match = Match("summarise", "pictures.pdf", 1.0)
    told = await asyncio.gather(skills.check(match), skills.check(match), return_exceptions=True)
    assert list(map(type, told)) == [NoText, NoText]
    assert len(list(marks.iterdir())) == 1


async def test_a_look_that_takes_too_long_lets_the_agent_bid(
    root: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.pdf(root / "slow.pdf", [["text"]])
    monkeypatch.setattr("adapters.skills.runner.LOOK_SECONDS", 0.2)
    await SkillRunner(root, python=scripted("signal.pause()")).check(Match("summarise", "slow.pdf", 1.0))


def test_what_is_known_of_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.skills.faults.MOST_FAULTS", 2)
    faults, cases = Faults(), [Case(OUTLINE, "a.md", (number,)) for number in range(3)]
    for case in cases:
        faults.note(case, NoText(path="a.md"))
    assert [case in faults for case in cases] == [False, True, True]


async def test_a_child_that_takes_too_long_is_killed_with_its_group(
    root: Path, out: Path, tmp_path: Path, scripted: Scripted
) -> None:
    pids = tmp_path / "pids"
    hangs = scripted(
        'child = subprocess.Popen(["sleep", "1000"])\n'
        f'open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")\n'
        "signal.pause()"
    )
    with pytest.raises(SkillTimeout, match=r"outline took longer than 0\.7 s"):
        await SkillRunner(root, python=hangs, limits=Limits(wall_seconds=0.7)).run(OUTLINE, out)
    child, grandchild = map(int, pids.read_text().split())
    assert not psutil.pid_exists(child)
    assert is_gone(grandchild)


async def test_what_a_child_has_started_elsewhere_holds_nothing_up(root: Path, out: Path, scripted: Scripted) -> None:
    flees = scripted('subprocess.Popen(["sleep", "3"], start_new_session=True)\nsignal.pause()')
    async with asyncio.timeout(2.5):
        with pytest.raises(SkillTimeout):
            await SkillRunner(root, python=flees, limits=Limits(wall_seconds=0.3)).run(OUTLINE, out)


async def test_a_cancelled_task_kills_its_child_and_waits_for_its_end(
    root: Path, out: Path, tmp_path: Path, scripted: Scripted
) -> None:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    hangs = scripted(f'open({str(fifo)!r}, "w").write(str(os.getpid()))\nsignal.pause()')
    async with asyncio.TaskGroup() as group:
        running = group.create_task(SkillRunner(root, python=hangs).run(OUTLINE, out))
        pid = int(await asyncio.to_thread(fifo.read_text))
        assert psutil.pid_exists(pid)
        running.cancel()
    assert not psutil.pid_exists(pid)


async def test_a_child_out_of_memory_is_one_clear_line(root: Path, out: Path) -> None:
    (root / "big.txt").write_text("\N{CAT} sat on the mat and watched the rain.\n\n" * 450_000)
    with pytest.raises(SkillMemory, match="needed more memory than it may have"):
        await SkillRunner(root, limits=Limits(memory_bytes=60_000_000)).run(Match("outline", "big.txt", 1.0), out)


@pytest.mark.long
async def test_a_child_that_writes_too_much_is_stopped(root: Path, out: Path) -> None:
    (root / "long.md").write_text("\n\n".join(f"# Chapter {n}" for n in range(2_000)))
    with pytest.raises(SkillOutput):
        await SkillRunner(root, limits=Limits(file_bytes=4_096)).run(Match("outline", "long.md", 1.0), out)


@pytest.mark.parametrize(
    ("lines", "error"),
    first(
        8,
        [
            ("sys.exit(3)", SkillCrashed),
            ("os.abort()", SkillCrashed),
            ("os.kill(os.getpid(), signal.SIGXCPU)", SkillTimeout),
            ("os.kill(os.getpid(), signal.SIGKILL)", SkillMemory),
            ('print("x" * 300_000)', SkillOutput),
            ('print("hello")', SkillCrashed),
            ('print(json.dumps({"text": "", "files": ["../secret"], "error": ""}))', SkillCrashed),
            ('print(json.dumps({"text": "", "files": ["not-there.md"], "error": ""}))', SkillCrashed),
            ('print(json.dumps({"text": 1, "files": [], "error": ""}))', SkillCrashed),
            (
                (
                    'name = "a\\x1bb"; open(json.load(sys.stdin)["out"] + "/" + name, "w").close()\n'
                    'print(json.dumps({"text": "", "files": [name], "error": ""}))'
                ),
                SkillCrashed,
            ),
            ('print(json.dumps({"error": "SystemExit", "facts": {}}))', SkillCrashed),
            ('print(json.dumps({"error": "FileMissing", "facts": {"path": "x"}}))', SkillCrashed),
            ('print(json.dumps({"error": "FileEmpty", "facts": {"path": "x"}}))', FileEmpty),
            ('print(json.dumps({"error": "FileEmpty", "facts": {"path": "x\\n\\x1b]0;y"}}))', FileEmpty),
        ],
    ),
)
async def test_whatever_a_child_does_is_one_named_error(
    root: Path, out: Path, scripted: Scripted, lines: str, error: type[HubError]
) -> None:
    with pytest.raises(error) as caught:
        await SkillRunner(root, python=scripted(lines)).run(OUTLINE, out)
    assert str(caught.value).isprintable()


@pytest.mark.long
async def test_control_characters_of_a_file_reach_nobody(root: Path, out: Path) -> None:
    (root / "esc.md").write_text("# T\x1b]0;PWNED\x07itle\n\n" + "A sen\x1b[31mtence\x9b of the title\x08. " * 3)
    (root / "long.md").write_text("\n\n".join(f"# Chap\x1b[2Jter {n}" for n in range(300)))
    outcome = await SkillRunner(root).run(Match("summarise", "esc.md", 1.0), out)
    assert "T]0;PWNEDitle" in outcome.text
    assert outcome.text.replace("\n", "").isprintable()
    (whole,) = (await SkillRunner(root).run(Match("outline", "long.md", 1.0), out)).files
    assert whole.read_text().replace("\n", "").isprintable()


async def test_links_and_loads_of_data_are_not_delivered(root: Path, out: Path, scripted: Scripted) -> None:
    (out / "link.md").symlink_to("/etc/passwd")
    (out / "large.md").write_bytes(bytes(2_000))
    answer = 'print(json.dumps({"text": "", "files": [%r], "error": ""}))'
    with pytest.raises(SkillCrashed):
        await SkillRunner(root, python=scripted(answer % "link.md")).run(OUTLINE, out)
    small = Limits(delivered_bytes=1_000)
    with pytest.raises(SkillOutput):
        await SkillRunner(root, python=scripted(answer % "large.md"), limits=small).run(OUTLINE, out)


async def test_a_child_gets_nothing_of_the_hubs_environment(
    root: Path, out: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_TOKEN", CANARY)
    shows = scripted('print(json.dumps({"text": json.dumps([sys.argv, dict(os.environ)]), "files": [], "error": ""}))')
    outcome = await SkillRunner(root, python=shows).run(OUTLINE, out)
    assert CANARY not in outcome.text
    assert "TIMMY" not in outcome.text
    assert '"OPENBLAS_NUM_THREADS": "1"' in outcome.text


@pytest.mark.long
async def test_no_more_children_than_allowed_run_at_once(
    root: Path, out: Path, tmp_path: Path, scripted: Scripted
) -> None:
    lock = str(tmp_path / "lock")
    alone = scripted(
        f'os.mkdir({lock!r})\nsys.stdin.read()\nprint(json.dumps({{"text": "", "files": [], "error": ""}}))\n'
        f"os.rmdir({lock!r})"
    )
    skills = SkillRunner(root, python=alone, max_children=1)
    assert len(await asyncio.gather(*(skills.run(OUTLINE, out) for _ in range(3)))) == 3


@pytest.mark.long
async def test_scratch_folders_are_removed(
    root: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    await SkillRunner(root).run(Match("scan", ".", 1.0), out)
    assert not list(temporary.iterdir())


async def test_what_a_killed_hub_leaves_lies_where_the_next_start_sweeps(
    root: Path, tmp_path: Path, scripted: Scripted
) -> None:
    shelf = Shelf(tmp_path / "data")
    says_where = scripted('print(json.dumps({"text": os.getcwd(), "files": [], "error": ""}))')
    skills = SkillRunner(root, python=says_where, scratch=shelf.scratch)
    place = Path((await skills.run(OUTLINE, await shelf.folder())).text)
    assert place.parent == tmp_path / "data" / "scratch"
    await asyncio.to_thread(place.mkdir)  # it was gone; so a kill -9 would leave it
    await shelf.sweep()
    assert not await asyncio.to_thread(place.exists)


FILLS = """
for number in range(1_500):
    with open("{folder}/" + str(number), "w") as file:
        file.write("x" * {size})
print(json.dumps({{"text": "", "files": [], "error": ""}}), flush=True)
os.close(1)
signal.pause()
"""


@pytest.mark.long
@pytest.mark.parametrize(("folder", "size"), first(1, [(".", 0), ("out", 1_000)]))
async def test_a_child_that_fills_the_disk_with_many_files_is_stopped(
    root: Path, tmp_path: Path, out: Path, scripted: Scripted, folder: str, size: int
) -> None:
    fills = scripted(FILLS.format(folder=out if folder == "out" else folder, size=size))
    limits = Limits(written_bytes=2_000_000, written_files=20_000 if size else 500)
    with pytest.raises(SkillOutput, match=r"outline produced more than it may deliver"):
        await SkillRunner(root, python=fills, limits=limits).run(OUTLINE, out)


NESTS = """
here = os.open(".", os.O_RDONLY)
for _ in range(1500):
    os.mkdir("d", dir_fd=here)
    below = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    here = below
signal.pause()
"""


@pytest.mark.long
async def test_a_child_that_nests_folders_without_end_is_stopped_and_its_folder_swept_at_the_next_start(
    root: Path, tmp_path: Path, out: Path, scripted: Scripted
) -> None:
    shelf = Shelf(tmp_path / "data")
    with pytest.raises(SkillOutput):
        await SkillRunner(root, python=scripted(NESTS), scratch=shelf.scratch).run(OUTLINE, out)
    await shelf.sweep()
    assert not shelf.scratch.exists()


CONFINED = """
import os, signal
from adapters.skills.limits import Limits, confine
is_cut_off = confine(Limits(), os.getppid())
print(os.getpid(), os.readlink("/proc/self/ns/net"), is_cut_off, flush=True)
signal.pause()
"""
HUB = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONFINED!r}])"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for what only Linux has")
def test_a_child_dies_with_a_hub_that_is_killed_and_had_no_network() -> None:
    with subprocess.Popen([sys.executable, "-c", HUB], stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        pid, network, is_cut_off = hub.stdout.readline().split()
        hub.kill()
    assert is_gone(int(pid))
    is_alone = network != str(Path("/proc/self/ns/net").readlink())
    assert is_cut_off == str(is_alone)
    if not is_alone:
        pytest.skip("this kernel gives nobody a network namespace of their own")
