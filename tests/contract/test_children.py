"""What the hub starts stays behind it, and has no part in the terminal that the hub is run from."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.apprise.surface import ask
from adapters.skills.runner import SkillRunner
from adapters.speech.mouth import Command, ProgramMouth
from adapters.speech.worker import Worker
from core.agent.skill import Match
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A hub at a terminal: the leader of its session, whose terminal is the one that its standard input is.
HUB = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.close(os.open("/dev/tty", os.O_RDWR))
end, life = os.pipe()
words = [word.replace("HUB", str(os.getpid())).replace("END", str(end)) for word in sys.argv[1:]]
subprocess.run([sys.executable, *words], process_group=0, pass_fds=(end,), input=b"{}\\n")
"""
# Whoever opens it reads what is typed there, and may type there itself.
LOOK = """
import os
try:
    terminal = os.open("/dev/tty", os.O_RDWR)
except OSError:
    terminal = None
print("seen:", terminal, os.nice(0), os.getsid(0) == os.getsid(HUB), os.getpgid(0) == os.getpgid(HUB))
"""
CHILDREN = {
    "a skill": ("-c", f"from adapters.skills.limits import Limits, confine; confine(Limits(), HUB)\n{LOOK}"),
    "speech": ("-S", "-m", "adapters.speech.limits", "2000000000", "HUB", sys.executable, "-c", LOOK),
    "an MCP server": ("-I", "-S", "-c", "GUARD", "END", sys.executable, "-c", LOOK),
    "a channel": ("-c", f"from adapters.apprise import child; child.answer = lambda **_: exec({LOOK!r}); child.main()"),
}
BEHIND = {"a skill": 10, "speech": 5, "an MCP server": 5, "a channel": 10}
LONG = {"an MCP server": [pytest.mark.long]}  # its library takes long to import


@pytest.mark.parametrize("child", [pytest.param(child, marks=LONG.get(child, [])) for child in CHILDREN])
def test_a_child_is_behind_the_hub_and_has_no_terminal(child: str) -> None:
    words = list(CHILDREN[child])
    if "GUARD" in words:
        from adapters.mcp.process import GUARD  # noqa: PLC0415 - as said above

        words[words.index("GUARD")] = GUARD
    keyboard, terminal = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", HUB, *words], stdin=terminal, capture_output=True, text=True, check=True,
            start_new_session=True, cwd=Path(__file__).parents[2], timeout=30,
        )  # fmt: skip
    finally:
        os.close(keyboard)
        os.close(terminal)
    [said] = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("seen:")]
    assert said == f"seen: None {min(19, os.nice(0) + BEHIND[child])} True False"


async def skill(program: str, folder: Path) -> None:
    await SkillRunner(folder, python=program).run(Match("outline", "a.md", 1.0), folder)


async def speech(program: str, _: Path) -> None:
    await Worker("engine", program=[program]).ask({"op": "hear"}, b"", 10)


async def server(program: str, folder: Path) -> None:
    import anyio  # noqa: PLC0415 - as said above

    from adapters.mcp.process import process  # noqa: PLC0415
    from adapters.mcp.servers import ServerSpec  # noqa: PLC0415

    async with process("peer", ServerSpec(command=program), folder / "home", print, print) as (reading, _):
        with contextlib.suppress(anyio.EndOfStream):
            await reading.receive()


async def channel(program: str, _: Path) -> None:
    await ask("json://127.0.0.1:9/x", "text", program=[program])


async def mouth(program: str, folder: Path) -> None:
    said = await ProgramMouth(Command("espeak-ng", (program,)), Worker("encoder"))._spoken("one")
    (folder / "seen").write_bytes(said)


PROGRAM = f"""#!{sys.executable} -S
import contextlib, os
words = f"{{os.getpgid(0)}} {{os.getsid(0)}}"
with contextlib.suppress(OSError), open("SEEN", "w") as file:
    file.write(words)
print(words)
"""


BEGIN = [skill, speech, mouth, channel, pytest.param(server, marks=pytest.mark.long)]


@pytest.mark.parametrize("begin", BEGIN, ids=lambda begin: begin.__name__)
async def test_a_child_is_begun_in_a_group_of_its_own_in_the_hubs_session(
    begin: Callable[[str, Path], Awaitable[None]], tmp_path: Path
) -> None:
    seen, program = tmp_path / "seen", tmp_path / "program"
    program.write_text(PROGRAM.replace("SEEN", str(seen)))
    program.chmod(0o700)
    with contextlib.suppress(HubError):
        await begin(str(program), tmp_path)
    group, session = map(int, seen.read_text().split())
    assert session == os.getsid(0)
    assert group != os.getpgid(0)
