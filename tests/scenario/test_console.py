"""The owner's socket and what is printed: long answers, consoles that do not read, hubs that go away, hostile texts."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.clockwork import running
from adapters.console import client, link, pipe, surface
from adapters.console.client import HubGone, HubGoneAtWork, NoHello, NoHubHere, NotRunning, NotYourHub, say
from adapters.console.link import SOCKET, FrameTooLong, QueueLink, StreamLink, dial
from adapters.console.screen import plain
from adapters.console.surface import Drafts, NoSocket
from core.agent.tool import Effect
from tests.depth import first
from tests.fakes import turn
from tests.ollama_server import Calls, OllamaServer
from tests.scenario.bot import OWNER, PATIENCE, Hands, hub, let_in
from tests.scenario.test_links import ANNS, People
from tests.toolbox import Box, Made
from tests.unit.agent.test_pulling import WHOLE, line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TextIO

    from adapters.console.link import Frame
    from adapters.sqlite.unit_of_work import UnitOfWork
    from tests.scenario.bot import Bot


POSTED: Frame = {"kind": "reply", "text": "T-3 posted", "data": {"ok": True}, "task": "T-3"}

OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from bot.cli import main; main()"
"""`timmy` at the terminal that its standard input is: Ctrl-C is typed there."""


def ask(text: str, **more: Any) -> Frame:
    return {"op": "say", "text": text, **more}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a command prints, on whichever stream."""
    said: list[str] = []

    async def write(text: str, stream: TextIO | None) -> None:
        said.append(text)

    monkeypatch.setattr(client, "write", write)
    return said


async def run(bot: Bot, text: str, wait: float | None = None) -> int:
    """`timmy say`, to its end."""
    async with asyncio.timeout(PATIENCE):
        return await say(bot.app.settings.data_dir, text, wait=wait, acting_for=None, as_json=True)


# Long frames -------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_history_of_any_length_is_listed_and_not_kept(tmp_path: Path) -> None:
    many = 5_000

    def fill(tx: UnitOfWork) -> None:
        tx.tasks._connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO task (id, requester,"
            " account, conversation, description, status, budget, pick, attempt, attempts, posted_at, deadline, result)"
            " SELECT i, requester, account, conversation, description, status, budget, pick, attempt, attempts, posted_at,"
            " deadline, printf('canary%.1000c', 'y') FROM n, task WHERE task.id = 1",
            (many,),
        )

    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        await bot.app.store.write(fill)
        async with dial(bot.app.settings.data_dir, SOCKET) as console, asyncio.timeout(PATIENCE):
            await console.send(ask("/tasks"))
            frame = await console.receive()
            assert frame is not None
            assert await console.receive() == {"kind": "end"}
        assert len(frame["data"]["tasks"]) == many
        assert len(json.dumps(frame)) > link.BUFFER
        assert "canary" not in json.dumps(frame), "results are for /show"
        ((longest,),) = bot.rows("SELECT max(length(body)) FROM outgoing")
        assert longest < 4000


async def test_a_frame_that_is_too_long_is_answered_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "MAX_FRAME", 2 * link.BUFFER)
    async with hub(tmp_path) as bot, asyncio.timeout(PATIENCE):
        async with dial(bot.app.settings.data_dir, SOCKET) as console:
            await console.send(ask("x" * 3 * link.BUFFER))
            frame = await console.receive()
            assert frame is not None
            assert frame["error"] == "frame_too_long"
            assert await console.receive() is None
        monkeypatch.setattr(link, "MAX_ANSWER", 20)
        async with dial(bot.app.settings.data_dir, SOCKET) as console:
            await console.send(ask("/help"))
            with pytest.raises(FrameTooLong):
                await console.receive()


# Consoles that do not read -----------------------------------------------------------------------------------------


async def test_the_first_word_does_not_wait_for_the_sign_that_there_will_be_some() -> None:
    near, far = QueueLink.pair()
    drafts = Drafts(far)
    for text in ("", "One", "One two", ""):
        drafts.show(text)
    far.close()
    assert [frame["text"] async for frame in _frames(near)] == ["", "One"]
    drafts.end()


async def _frames(link: QueueLink) -> AsyncIterator[Frame]:
    while (frame := await link.receive()) is not None:
        yield frame


async def test_drafts_are_paced_and_only_the_newest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "DRAFT_SECONDS", 0.02)
    near, far = QueueLink.pair()
    drafts = Drafts(far)
    for number in range(1000):
        drafts.show(f"word {number}")
    async with asyncio.timeout(PATIENCE):
        assert [await near.receive(), await near.receive()] == [
            {"kind": "draft", "text": "word 0"},
            {"kind": "draft", "text": "word 999"},
        ]
    drafts.show("late")
    drafts.end()
    far.close()
    assert await near.receive() is None


async def test_only_who_asked_sees_an_answer_being_made(tmp_path: Path) -> None:
    async with (
        OllamaServer.running("tiny:latest") as model,
        hub(tmp_path, ollama=model.url) as bot,
        bot.another(attach=True) as other,
    ):
        model.says("Once ", "upon ", "a time")
        assert (await bot.say("tell me a story"))["text"] == "Once upon a time"
        await other.say("/whoami")
        assert "draft" in bot.kinds()
        assert "draft" not in other.kinds()


@asynccontextmanager
async def stalled(bot: Bot) -> AsyncIterator[StreamLink]:
    """A console over the socket that reads nothing."""
    async with dial(bot.app.settings.data_dir, SOCKET) as console:
        console._reader._transport.pause_reading()  # type: ignore[attr-defined]
        yield console


async def test_what_may_be_lost_is_not_heaped_up_for_who_does_not_read(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, stalled(bot) as console:
        await console.send({"op": "attach"})
        async with asyncio.timeout(PATIENCE):
            while not (found := [one for one in bot.app.console._sessions if isinstance(one._link, StreamLink)]):
                await bot.barrier()
        far = found[0]._link
        assert isinstance(far, StreamLink)
        for _ in range(100):
            far.post({"kind": "draft", "text": "x" * 100_000})
        assert far._writer.transport.get_write_buffer_size() < link.BUFFER + 110_000


@pytest.mark.long
async def test_who_does_not_read_is_gone_and_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "STALL_SECONDS", 0.05)
    async with hub(tmp_path) as bot, stalled(bot) as console:
        for number in range(200):
            await console.send(ask("/help", id=f"update-{number}"))
        assert (await bot.data("/whoami"))["ok"]
        async with asyncio.timeout(PATIENCE):
            while any(isinstance(session._link, StreamLink) for session in bot.app.console._sessions):
                await bot.barrier()


async def test_a_link_inside_the_process_is_bounded_too() -> None:
    near, far = QueueLink.pair()
    for number in range(5 * link.WAITING):
        far.post({"kind": "draft", "text": str(number)})
    far.post({"kind": "end"}, sure=True)
    frames = [await near.receive() for _ in range(link.WAITING)]
    assert frames[-1] == {"kind": "end"}
    far.close()
    assert await near.receive() is None


# What `timmy say` comes to -----------------------------------------------------------------------------------------


async def test_a_task_that_somebody_else_cancels_meanwhile_is_a_failure(tmp_path: Path, printed: list[str]) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(run(bot, "/task write a poem", wait=60))
            await bot.hands.at_work("T-1", "quill")
            await bot.say("/cancel T-1")
        assert waiting.result() == 1
        assert '"cancelled"' in printed[-2]
        assert printed[-1] == "timmy: T-1 did not settle: it is cancelled\n", "on standard error"


async def test_a_wait_that_ran_out_is_a_failure(tmp_path: Path, printed: list[str]) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        assert await run(bot, "/task write a poem", wait=0.05) == 1
        assert printed[-1] == 'timmy: not over after 0.05 s, and it goes on: timmy say "/show T-1" tells how\n'
        assert await run(bot, "/task find a poem", wait=PATIENCE) == 0


async def _written(path: str) -> str:
    return f"{path} is written."


async def test_what_is_asked_on_the_way_is_printed_and_what_comes_of_a_yes(tmp_path: Path, printed: list[str]) -> None:
    write = Made("write_file", _written, Effect.ASK, takes=("path",))
    async with (
        OllamaServer.running("qwen3:8b") as model,
        hub(tmp_path, ollama=model.url, toolbox=Box([write]), attach=False) as bot,
    ):
        model.says(Calls("write_file", {"path": "plan.md"}))
        model.says("I asked you.")
        assert await run(bot, "write my plan") == 0
        answer, question = map(json.loads, printed)
        assert answer["text"] == "I asked you.\n\n(Called: write_file: /approve A-1)"
        assert question["text"] == "The agent wants to write_file plan.md\nA-1: /approve A-1 or /deny A-1"
        assert question["data"] == {"ok": True, "approval": "A-1", "state": "open"}
        assert [button["command"] for button in question["buttons"]] == ["/approve A-1", "/deny A-1"]
        model.says("It is there.")
        assert await run(bot, "/approve A-1", wait=PATIENCE) == 0
        done, more = map(json.loads, printed[2:])
        assert done["text"] == "A-1 was approved by console:owner: done: write_file plan.md"
        assert more["text"] == "It is there.\n\n(Called: write_file)"
        assert await run(bot, "/approve A-1", wait=PATIENCE) == 1


async def test_a_yes_to_what_was_asked_elsewhere_waits_for_no_answer_here(tmp_path: Path, printed: list[str]) -> None:
    write = Made("write_file", _written, Effect.ASK, takes=("path",))
    async with (
        OllamaServer.running("qwen3:8b") as model,
        hub(tmp_path, ollama=model.url, toolbox=Box([write]), attach=False) as bot,
    ):
        talk = People(bot)
        await talk.let_in(ANNS)
        await talk.link(ANNS, OWNER)
        assert await run(bot, "/approve A-1") == 0
        for said in (Calls("write_file", {"path": "plan.md"}), "I asked you.", "It is there."):
            model.says(said)
        await talk.say(ANNS, "write my plan")
        assert await run(bot, "/approve A-2", wait=PATIENCE) == 0
        (done,) = map(json.loads, printed[1:])
        assert done["text"] == "A-2 was approved by console:owner: done: write_file plan.md"
        query = "SELECT 1 FROM outgoing WHERE conversation = ? AND body ->> '$.text' LIKE 'It is there.%'"
        assert await bot.see(lambda: bot.rows(query, ANNS), "the answer, where it was asked for")


async def test_a_payment_that_waits_for_a_yes_says_how_to_answer(tmp_path: Path, printed: list[str]) -> None:
    async with hub(tmp_path, attach=False) as bot:
        await let_in(bot, ANNS)
        assert await run(bot, f"/pay {ANNS} 5000") == 0
        answer, question = map(json.loads, printed)
        assert answer["text"].endswith("Nothing leaves before somebody who may says yes to A-1.")
        assert question["text"].endswith("\nA-1: /approve A-1 or /deny A-1")
        assert await run(bot, "/deny A-1") == 0
        assert len(printed) == 3, "what is decided is not asked again"


async def test_a_pipe_sees_what_waits_and_what_came_of_it(
    tmp_path: Path, printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.write(write, b"write my plan\n/approve A-1\n/whoami\n")
    os.close(write)
    tool = Made("write_file", _written, Effect.ASK, takes=("path",))
    async with (
        OllamaServer.running("qwen3:8b") as model,
        hub(tmp_path, ollama=model.url, toolbox=Box([tool]), attach=False) as bot,
        dial(bot.app.settings.data_dir, SOCKET) as console,
    ):
        model.says(Calls("write_file", {"path": "plan.md"}))
        model.says("I asked you.")
        model.says("It is there.")
        with os.fdopen(read) as lines:
            monkeypatch.setattr(sys, "stdin", lines)
            async with asyncio.timeout(PATIENCE):
                await pipe.talk(console)
    assert [text.partition("\n")[0] for text in printed] == [
        "I asked you.",
        "The agent wants to write_file plan.md",
        "A-1 was approved by console:owner: done: write_file plan.md",
        "It is there.",
        "console:owner, owner",
    ]


async def test_a_model_that_is_being_got_is_not_waited_for_longer_than_was_said(
    tmp_path: Path, printed: list[str]
) -> None:
    gate = asyncio.Event()
    async with OllamaServer.running("qwen3:8b") as model, hub(tmp_path, ollama=model.url, attach=False) as bot:
        model.pulls["phi4"] = [line("pulling manifest"), gate, *WHOLE]
        assert await run(bot, "/pull phi4", wait=0.05) == 1
        assert printed == [
            "timmy: not over after 0.05 s, and it goes on: timmy console shows the answer, timmy status a model that is being got\n"
        ]
        assert await run(bot, "/status") == 0
        status = json.loads(printed[-1])
        assert "\nphi4  is being got: pulling manifest\n" in status["text"]
        assert status["data"]["coming"] == [{"model": "phi4", "percent": 0}]
        gate.set()
        await bot.see(lambda: not bot.app.hub.pulls().coming(), "that it is here")


@asynccontextmanager
async def scripted(folder: Path, *frames: Frame) -> AsyncIterator[list[Frame | None]]:
    """A hub that says hello, answers the next frame with these, and is gone; and what it was sent."""
    taken: list[Frame | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hub = StreamLink(reader, writer, 1000)
        taken.append(await hub.receive())
        await hub.send({"kind": "hello"})
        taken.append(await hub.receive())
        for frame in frames:
            await hub.send(frame)
        writer.close()

    async with await asyncio.start_unix_server(serve, folder / SOCKET), asyncio.timeout(PATIENCE):
        yield taken


async def test_a_hub_that_goes_away_before_the_end_is_missed(tmp_path: Path, printed: list[str]) -> None:
    async with scripted(tmp_path, {"kind": "reply", "text": "9 sats", "data": {"ok": True}}):
        with pytest.raises(HubGone, match="timmy console has the answer once it runs again"):
            await say(tmp_path, "/balance", wait=60, acting_for=None, as_json=False)
    assert printed == ["9 sats\n"]


async def test_a_hub_that_goes_away_after_it_took_the_task_goes_on_with_it(tmp_path: Path, printed: list[str]) -> None:
    async with scripted(tmp_path, POSTED, {"kind": "progress", "text": "T-3  quill bids", "data": {"ok": True}}):
        with pytest.raises(HubGoneAtWork, match="It knows T-3, which goes on at its next start"):
            await say(tmp_path, "/task write a poem", wait=60, acting_for=None, as_json=False)
    assert printed == ["T-3 posted\n", "T-3  quill bids\n"]


@pytest.mark.parametrize(
    ("sent", "tells"),
    first(
        1,
        [
            ([], "timmy console shows the answer, timmy status a model that is being got; timmy say /stop ends it"),
            ([POSTED], 'timmy say "/show T-3" tells how; timmy say "/cancel T-3" ends it'),
        ],
    ),
    ids=["question", "task"],
)
async def test_ctrl_c_ends_what_waits_with_130_and_says_what_goes_on(
    tmp_path: Path, sent: list[Frame], tells: str
) -> None:
    """At a terminal, as a terminal sends it."""
    master, slave = pty.openpty()
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hub = StreamLink(reader, writer, 1000)
        await hub.receive()
        await hub.send({"kind": "hello"})
        await hub.receive()
        for frame in sent:
            await hub.send(frame)
        asked.set()
        assert await hub.receive() is None
        writer.close()
        left.set()

    async with await asyncio.start_unix_server(serve, tmp_path / SOCKET), asyncio.timeout(PATIENCE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OWN_TERMINAL, "say", "what is rain?", "--wait", "60", stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "TIMMY_DATA_DIR": str(tmp_path)}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        await asked.wait()
        shown = b""
        while sent and b"posted" not in shown:
            shown += await asyncio.to_thread(os.read, master, 1000)
        os.write(master, b"\x03")
        code = await process.wait()
        await left.wait()
    with suppress(OSError):  # Linux's word for the end of a terminal
        while more := os.read(master, 1000):
            shown += more
    os.close(master)
    assert code == 130
    lines = [line for line in shown.decode().splitlines() if line]
    assert lines == ["T-3 posted"] * len(sent) + ["^C", f"timmy: this goes on in the hub: {tells}"]


async def test_a_hub_that_does_not_answer_is_named_and_was_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was stopped with SIGSTOP: the system takes the connection, and nobody reads."""
    monkeypatch.setattr(client, "HELLO_SECONDS", 0.05)
    read: list[bytes] = []

    async def frozen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.append(await reader.read())
        writer.close()

    (tmp_path / "hub.lock").write_text("4711")
    async with await asyncio.start_unix_server(frozen, tmp_path / SOCKET), asyncio.timeout(PATIENCE):
        for call in (
            client.request(tmp_path, {"op": "status"}),
            say(tmp_path, "/task write a poem", wait=None, acting_for=None, as_json=False),
            client.chat(client.Place(tmp_path, tmp_path)),
        ):
            with pytest.raises(NoHello, match=r"The hub \(pid 4711\) does not answer, and nothing was sent to it"):
                await call
        while len(read) < 3:
            await turn()
    assert read == [b'{"op":"hello"}\n'] * 3


async def test_a_hub_that_is_not_there_is_missed_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoHubHere, match=f"There is no {tmp_path / 'data'}. Call timmy where"):
        await client.request(Path("data"), {"op": "status"})
    (tmp_path / "data").mkdir()
    with pytest.raises(NotRunning, match=f"No hub runs on {tmp_path / 'data'}"):
        await client.request(Path("data"), {"op": "status"})


async def test_a_socket_of_somebody_else_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "open_unix_connection", refused)
    with pytest.raises(NotYourHub, match=str(tmp_path)):
        await client.request(tmp_path, {"op": "status"})


# The socket --------------------------------------------------------------------------------------------------------


async def test_a_socket_that_cannot_be_there_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "data" / SOCKET).mkdir(parents=True)  # which makes it a data folder
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NoSocket, match=f"{SOCKET} cannot be opened"):
            async with hub(tmp_path):
                pass


@pytest.mark.parametrize("has_descriptors", [True, False], ids=["linux", "elsewhere"])
async def test_a_folder_with_a_long_name_has_a_socket_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_descriptors: bool
) -> None:
    if not has_descriptors:
        monkeypatch.setattr(link, "DESCRIPTORS", tmp_path / "nothing")
    folder = tmp_path / ("x" * 120)
    async with hub(folder) as bot:
        place = bot.app.settings.data_dir / SOCKET
        assert place.stat().st_mode & 0o777 == 0o600
        async with dial(bot.app.settings.data_dir, SOCKET) as console, asyncio.timeout(PATIENCE):
            await console.send(ask("/whoami"))
            assert (await console.receive() or {})["text"] == "console:owner, owner"
    assert not place.exists()


# What is printed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\n\ttwo", "one\n\ttwo"),
        ("\x1b]0;owned\x07\x1b[2J", "]0;owned[2J"),
        ("a\rb\x08c\x00\x7f", "abc"),
        ("\x9b31mred\x85", "31mred"),
        ("ä 😀 \u2028", "ä 😀 \u2028"),
    ],
)
async def test_no_text_commands_the_terminal(printed: list[str], text: str, shown: str) -> None:
    assert plain(text) == shown
    file = {"name": text, "path": "/x"}
    await client.show({"kind": "more", "text": text, "data": {}, "files": [file]}, as_json=False)
    assert printed == [f"{shown}\n", f"file: {shown}  /x\n"]


async def test_a_terminal_is_given_plain_text_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from adapters.console import terminal  # noqa: PLC0415 - its library is loaded by whoever has a terminal

    shown: list[str] = []
    monkeypatch.setattr(
        terminal, "print_formatted_text", lambda pieces, **_: shown.append("".join(text for _, text in pieces))
    )
    near, far = QueueLink.pair()
    screen = terminal.Terminal.__new__(terminal.Terminal)
    screen._link, screen._live, screen._draft, screen._unanswered = near, {}, "", 1
    async with running(screen._show(), "a terminal"):
        await far.send({"kind": "reply", "text": "\x9b2Jhi", "data": {"ok": True}, "buttons": [{"command": "/x\x1b"}]})
        far.close()
    assert shown == ["2Jhi\n  /x", "The hub has stopped."]


# The bottom bar ----------------------------------------------------------------------------------------------------


async def test_the_bottom_bar_forgets_what_another_session_ended(tmp_path: Path) -> None:
    from adapters.console.terminal import Terminal  # noqa: PLC0415 - as above

    async with hub(tmp_path, attach=False, personas=()) as bot:
        await bot.say("/task proofread it pick=ask")  # its news wait until somebody attaches
        await bot.say("/task proofread this pick=ask")
        async with bot.another() as other:
            await other.data("/cancel 1")
            async with bot.another(attach=True) as person:
                screen = Terminal.__new__(Terminal)
                screen._live, screen._draft, screen._unanswered = {}, "", 0
                await person.until(kind="more", task="T-2", status="bidding")
                await other.data("/cancel 2")
                await person.until(kind="state", task="T-2", status="cancelled")
                for frame in person.unread:
                    screen._note(frame)
                screen._note({"kind": "state", "text": "", "data": {"task": "T-2", "status": "cancelled"}})
                assert screen._live == {}
