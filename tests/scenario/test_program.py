"""The program as a shell sees it: exit codes, what goes to which stream, pipes, signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from adapters.console.link import SOCKET, dial
from tests.depth import first
from tests.kill.hub_process import hub_process
from tests.ollama_server import OllamaServer, Wire
from tests.program import ROOT, Program
from tests.scenario.bot import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 30


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that it says on failing."""
        assert self.code == 1, self
        assert self.out == "", self
        assert self.err.count("\n") == 1, self.err
        return self.err


def _environment(folder: Path, **more: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("TIMMY_", "OLLAMA_"))}
    return own | {
        "TIMMY_DATA_DIR": str(folder / "data"), "TIMMY_WORKSPACE": str(folder / "workspace"), "TIMMY_HTTP_PORT": "0",
        "TIMMY_OLLAMA_URL": NOBODY, **more,
    }  # fmt: skip


@asynccontextmanager
async def _started(folder: Path, *words: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running `timmy`, all of whose streams are the test's; it is ended at the latest with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *words, cwd=ROOT, env=_environment(folder, **more),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def _forked(folder: Path, *words: str, **more: str) -> AsyncIterator[Program]:
    """A running `timmy` with nothing on its input; whatever the test did to it, it is ended with the block."""
    process = await Program.fork(*words, env=_environment(folder, **more))
    try:
        yield process
    except BaseException:
        process.send_signal(signal.SIGKILL)
        raise


async def _timmy(folder: Path, *words: str, **more: str) -> Done:
    """Run `timmy` to its end."""
    process = await Program.fork(*words, env=_environment(folder, **more))
    async with asyncio.timeout(PATIENCE):
        out, err, code = await process.communicate()
        return Done(code, out.decode(), err.decode())


async def _piped(folder: Path, *words: str, said: bytes) -> Done:
    """Run `timmy` to the end of what it is told on a pipe."""
    async with _started(folder, *words) as process, asyncio.timeout(PATIENCE):
        out, err = await process.communicate(said)
        return Done(process.returncode or 0, out.decode(), err.decode())


# A chat on a pipe --------------------------------------------------------------------------------------------------


async def test_a_pipe_is_answered_line_by_line_and_its_end_ends_the_hub(tmp_path: Path) -> None:
    lines = [
        b"/task summarise welcome.md",
        b"",
        b"/balance",
        b"x" * (256 * 1024) + b"/spawn quill",
        b"/frobnicate \xff\xfe",
        b"/task describe sample.csv",
        b"/whoami",
        b"quit",
        b"/help",
    ]
    done = await _piped(tmp_path, "run", "--console", said=b"\n".join(lines))
    assert done.code == 0
    out = [line for line in done.out.split("\n") if line.startswith(("T-", "9,", "console:owner"))]
    firsts = [line for line in out if "bids" not in line and "declines" not in line and "at work" not in line]
    assert [line.split(" with")[0] for line in firsts] == [
        "T-1 posted", "T-1  awarded to quill for 40 sats; its price is in escrow", "T-1 settled: quill was paid 40 sats",
        "9,960 simulated sats free, 0 sats held for open tasks",
        "T-2 posted", "T-2  awarded to seer for 50 sats; its price is in escrow", "T-2 settled: seer was paid 50 sats",
        "console:owner, owner",
    ]  # fmt: skip
    assert "quill-2" not in done.out, "the tail of a line that is too long is no line of its own"
    refused = [line for line in done.err.split("\n") if line]
    assert ["message is longer" in refused[0], "no command /frobnicate" in refused[1], len(refused)] == [True, True, 2]


@pytest.mark.parametrize(
    ("number", "busy"), first(1, [(signal.SIGINT, False), (signal.SIGTERM, True)]), ids=["idle", "busy"]
)
async def test_a_signal_ends_a_hub_whose_pipe_stays_open_with_0_in_time(
    tmp_path: Path, number: signal.Signals, busy: bool
) -> None:
    async with OllamaServer.running("tiny:latest") as model:
        for _ in range(2):
            model.says("Once upon ", asyncio.Event())
        async with _started(tmp_path, "run", "--console", TIMMY_OLLAMA_URL=model.url) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                process.stdin.write(b"/whoami\n")
                assert await process.stdout.readline() == b"console:owner, owner\n"
                async with dial(tmp_path / "data", SOCKET) as link:
                    if busy:
                        await link.send({"op": "say", "text": "/task write a poem"})
                        await link.send({"op": "say", "text": "tell me a story"})
                    while len(model.asked) < 2 * busy:
                        model.begun.clear()
                        await model.begun.wait()
                    process.send_signal(number)
                    async with asyncio.timeout(5):
                        await process.wait()
            _, err = await process.communicate()
            assert (process.returncode, b"Traceback" in err) == (0, False), err


@pytest.mark.long
async def test_a_reader_that_does_not_read_holds_up_neither_the_hub_nor_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "run", "--console", cwd=ROOT, env=_environment(tmp_path),
        stdin=asyncio.subprocess.PIPE, stdout=writing, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        assert process.stdin is not None
        async with asyncio.timeout(PATIENCE):
            process.stdin.write(b"/whoami\n" + b"/help\n" * 100)  # more than a pipe holds
            assert await asyncio.to_thread(os.read, reading, 21) == b"console:owner, owner\n"
            async with dial(tmp_path / "data", SOCKET) as link:
                for _ in range(100):
                    await link.send({"op": "say", "text": "/whoami"})
                    assert (await link.receive() or {})["kind"] == "reply"
                    assert await link.receive() == {"kind": "end"}
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                assert await process.wait() == 0
    finally:
        os.close(reading)
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.long
async def test_a_closed_input_is_an_empty_one(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", 'exec "$0" -m bot.cli run --console <&-', sys.executable, cwd=ROOT, env=_environment(tmp_path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_stop_while_it_starts_ends_it(tmp_path: Path) -> None:
    called = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()  # and say nothing
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as deaf, asyncio.timeout(PATIENCE):
        url = f"http://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
        async with _forked(tmp_path, "run", TIMMY_OLLAMA_URL=url) as process:
            await called.wait()
            process.send_signal(signal.SIGTERM)
            assert await process.communicate() == (b"", b"", 0)


@pytest.mark.parametrize("text", first(1, ["hello there", "/balance", "/status"]))
async def test_a_message_that_comes_with_the_stop_is_no_error(tmp_path: Path, text: str) -> None:
    async with _forked(tmp_path, "run") as process, asyncio.timeout(PATIENCE):
        await process.stderr.readuntil(b"timmy: ready on ")
        process.send_signal(signal.SIGSTOP)
        async with dial(tmp_path / "data", SOCKET) as link:
            await link.send({"op": "say", "text": text})
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            _, err, code = await process.communicate()
        assert (code, b"ERROR" in err, b"Traceback" in err) == (0, False, False), err.decode()


@pytest.mark.long
async def test_a_pipe_whose_hub_is_killed_says_so(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub_process(tmp_path, model.url) as hub:
        model.says("Once upon ", asyncio.Event())
        model.says("Once upon ", asyncio.Event())
        async with asyncio.TaskGroup() as group:
            piped = group.create_task(_piped(tmp_path, "console", said=b"tell me a story\n"))
            asked = group.create_task(_timmy(tmp_path, "say", "/task write a poem", "--wait", "60"))
            async with asyncio.timeout(PATIENCE):
                while len(model.asked) < 2:
                    model.begun.clear()
                    await model.begun.wait()
            await hub.kill()
        assert "The hub went away" in piped.result().complaint
        assert (asked.result().code, asked.result().err.count("\n")) == (1, 1)
        assert "The hub went away. It knows T-1, which goes on at its next start" in asked.result().err


# Other commands ----------------------------------------------------------------------------------------------------


async def test_say_prints_answers_and_exits_with_what_came_of_it(tmp_path: Path) -> None:
    async with hub_process(tmp_path, NOBODY) as _:
        who, refused, usage, settled, failed, facts, story, as_other, status, listed = await asyncio.gather(
            _timmy(tmp_path, "say", "/whoami"),
            _timmy(tmp_path, "say", "/frobnicate"),
            _timmy(tmp_path, "say"),
            _timmy(tmp_path, "say", "/task summarise welcome.md", "--wait", "20"),
            _timmy(tmp_path, "say", "/task dance for me", "--wait", "20"),
            _timmy(tmp_path, "say", "/task report on this machine", "--wait", "20", "--json"),
            _timmy(tmp_path, "chat", "tell me a story"),
            _timmy(tmp_path, "say", "/whoami", "--as", "telegram:7", "--json"),
            _timmy(tmp_path, "status", "--json"),
            _timmy(tmp_path, "agents", "list", "--json"),
        )
        files = {file.name: file.lstat().st_mode & 0o777 for file in (tmp_path / "data").iterdir() if not file.is_dir()}
        briefing, unpaired, gone, rank = await asyncio.gather(
            _timmy(tmp_path, "say", "/briefing", "--json"),
            _timmy(tmp_path, "pair", "ABCDEFGH", "--role", "operator"),
            _timmy(tmp_path, "unpair", "telegram:7"),
            _timmy(tmp_path, "pair", "ABCDEFGH", "--role", "king"),
        )
    assert set(files) >= {"hub.db", "hub.db-wal", "hub.db-shm", "hub.lock", SOCKET}
    assert set(files.values()) == {0o600}
    assert (who.code, who.out, who.err) == (0, "console:owner, owner\n", "")
    assert "There is no command /frobnicate" in refused.complaint
    assert usage.code == 2
    assert usage.err == (
        "timmy: Missing argument 'TEXT'. Usage: timmy say [OPTIONS] TEXT (timmy say --help tells more)\n"
    )
    assert settled.code == 0
    assert "settled: quill was paid 40 sats" in settled.out
    assert failed.code == 1
    assert "failed and cost nothing" in failed.out
    frames = [json.loads(line) for line in facts.out.splitlines()]
    assert facts.code == 0
    assert all({"text", "data"} <= set(frame) <= {"text", "data", "task", "buttons", "files"} for frame in frames)
    assert [frame["data"].get("status") for frame in (frames[0], frames[-1])] == ["open", "settled"]
    assert "ollama serve" in story.complaint
    assert json.loads(as_other.out)["data"] == {"ok": True, "actor": "telegram:7", "role": "member"}
    assert json.loads(status.out)["ok"] is True
    assert len(json.loads(listed.out)["data"]["agents"]) == 9
    assert json.loads(briefing.out)["data"]["ended"], "what ended is told, and nothing was broken off"
    assert (briefing.code, briefing.err) == (0, "")
    assert "There is no such pairing code" in unpaired.complaint
    assert "telegram:7 has no role" in gone.complaint
    assert rank.code == 2


@pytest.mark.long
async def test_think_prints_as_it_comes_and_ends_well_where_it_is_broken_off(tmp_path: Path) -> None:
    async with OllamaServer.running("qwen3:8b") as server, hub_process(tmp_path, server.url) as _:
        for number in range(4):
            server.says(f"Thought {number}.", "<|im_end|>" if number == 3 else "")
        whole = await _timmy(tmp_path, "think", "rain")
        server.says("It is wet", Wire.SILENCE)
        process = await Program.fork("think", "rain", env=_environment(tmp_path))
        async with asyncio.timeout(PATIENCE):
            shown = await process.stdout.readuntil(b"wet")
            os.kill(process.pid, signal.SIGINT)
            rest, err, code = await process.communicate()
        for end in (signal.SIGTERM, signal.SIGKILL):  # the second cannot be told: the hub sees that nobody is there
            server.says("It is dry", Wire.SILENCE)
            process = await Program.fork("think", "sun", env=_environment(tmp_path))
            async with asyncio.timeout(PATIENCE):
                await process.stdout.readuntil(b"dry")
                os.kill(process.pid, end)
                _, _, ended = await process.communicate()
                server.says("Yes.")
                assert (await _timmy(tmp_path, "chat", "Are you free?")).out == "Yes.\n", "it waits for no thought"
            assert ended == (143 if end is signal.SIGTERM else -9)
        server.begun.clear()
        server.says("It is", Wire.SILENCE)
        process = await Program.fork("say", "what is rain?", "--json", env=_environment(tmp_path))
        async with asyncio.timeout(PATIENCE):
            await server.begun.wait()
            assert (await _timmy(tmp_path, "say", "/stop")).out == "Stopped.\n"
            broken_off, why, off = await process.communicate()
        server.says("It is", Wire.BREAK)
        broken = await _timmy(tmp_path, "say", "what is rain?", "--json")
        nothing = await _timmy(tmp_path, "think", " ")
        server.models.clear()
        none = await _timmy(tmp_path, "think", "rain")
    assert whole.code == 0
    assert "## Outline\n\nThought 0.\n\n## For and against\n\nThought 1.\n\n## What would" in whole.out
    assert whole.out.endswith("## Next steps\n\nThought 3.\n")
    assert (shown + rest, err, code) == (b"## Outline\n\nIt is wet\n\n(stopped)\n", b"", 130)
    assert (json.loads(broken_off)["data"], off) == ({"ok": True, "broken_off": "stopped"}, 1)
    assert why == b"timmy: the answer was broken off: stopped\n"
    assert broken.code == 1
    assert "broke off" in json.loads(broken.out)["data"]["broken_off"]
    assert nothing.code == 1
    assert "/pull" in none.complaint


@pytest.mark.long
async def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    async with hub_process(tmp_path, NOBODY), _started(tmp_path, "say", "/help") as process:
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
        assert (process.returncode, err) == (1, b"")


async def test_a_workspace_in_the_data_folder_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    done = await _timmy(tmp_path, "run", TIMMY_WORKSPACE=str(tmp_path / "data"))
    assert "Choose another with TIMMY_WORKSPACE" in done.complaint
    assert not (tmp_path / "data").exists()


async def test_without_a_hub_and_with_one_already_there_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    alone, books = await asyncio.gather(_timmy(tmp_path, "say", "/whoami"), _timmy(tmp_path, "ledger", "verify"))
    assert "timmy run" in alone.complaint
    assert "timmy run" in books.complaint
    async with hub_process(tmp_path, NOBODY) as hub:
        assert hub.pid
        second, unknown, wrong = await asyncio.gather(
            _timmy(tmp_path, "run"),
            _timmy(tmp_path, "run", TIMMY_WORKSPCAE="elsewhere"),
            _timmy(tmp_path, "run", TIMMY_HTTP_PORT="99999"),
        )
        assert f"(pid {hub.pid})" in second.complaint
    assert "Did you mean TIMMY_WORKSPACE?" in unknown.complaint
    assert "TIMMY_HTTP_PORT is wrong" in wrong.complaint
