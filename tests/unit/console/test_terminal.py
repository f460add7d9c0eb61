"""A person at a terminal: what keys do, what is pasted, what is completed, and what the bottom bar says."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import bot.commands  # noqa: F401 - declares the commands
from adapters.clockwork import running
from adapters.console import terminal
from adapters.console.client import HubGone, Place
from adapters.console.link import QueueLink
from adapters.console.terminal import Commands, Terminal, _pieces, messages
from adapters.console.wrap import wrap
from adapters.skills.words import _SMART as _QUOTES
from adapters.skills.words import Reading
from bot.registry import _SMART, _words, registry
from core.chat import Caller, Inbound, Role
from tests.fakes import turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prompt_toolkit.input import PipeInput

    from adapters.console.link import Frame

CTRL_C, CTRL_D, LEFT = "\x03", "\x04", "\x1b[D"


class Seat:
    """Somebody at a terminal: their keys, what they read, and what they sent."""

    def __init__(self, keys: PipeInput, screen: Terminal, hub: QueueLink, read: list[str]) -> None:
        self.keys, self.screen, self.hub, self.read = keys, screen, hub, read

    async def sent(self) -> list[str]:
        """Everything that came before the hub's end was closed."""
        said: list[str] = []
        while (frame := await self.hub.receive()) is not None:
            if frame["op"] == "say":
                said.append(frame["text"])
        return said

    def sees(self, **data: object) -> None:
        frame: Frame = {"kind": "progress", "text": f"{data['task']}  quill is at work", "data": data}
        self.screen._note(frame)


@asynccontextmanager
async def seated(folder: Path, monkeypatch: pytest.MonkeyPatch, *, hosts: bool = True) -> AsyncIterator[Seat]:
    """The block types; at its end the terminal has been left."""
    read: list[str] = []
    monkeypatch.setattr(
        terminal, "print_formatted_text", lambda pieces, **_: read.append("".join(text for _, text in pieces))
    )
    near, far = QueueLink.pair()
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        screen = Terminal(near, [("/help", "what I can do")], Place(folder, folder, hosts=hosts))
        async with running(screen.talk(), "a terminal"):
            yield Seat(keys, screen, far, read)
        near.close()


async def test_ctrl_c_takes_the_line_away_and_twice_in_a_row_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text(f"/cancel T-{CTRL_C}/whoami\r/task wr{CTRL_C}{CTRL_C}/balance\r")
    assert await seat.sent() == ["/whoami"]
    warning = "Ctrl-C again, or Ctrl-D, stops the hub."
    assert "Ctrl-D, or Ctrl-C twice, stops the hub" in " ".join(seat.read[0].split())
    assert seat.read[1:] == [warning, warning]


async def test_ctrl_c_twice_with_a_key_in_between_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text(f"{CTRL_C}/task wr{CTRL_C}x\x7f{CTRL_C}{LEFT}{CTRL_C}/whoami\r{CTRL_C}{CTRL_C}/balance\r")
    assert await seat.sent() == ["/whoami"]


async def test_ctrl_c_twice_that_are_far_apart_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "TWICE_SECONDS", -1.0)
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text(f"{CTRL_C}{CTRL_C}/whoami\r{CTRL_D}")
    assert await seat.sent() == ["/whoami"]


async def test_who_stops_the_hub_is_told_what_becomes_of_work_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.sees(task="T-1")
        seat.sees(task="T-2")
        seat.sees(task="T-2", status="settled")
        seat.keys.send_text(CTRL_C + CTRL_D)
    assert seat.read[1:] == [
        "Ctrl-C again, or Ctrl-D, stops the hub; T-1 goes on at the next start.",
        "T-1 goes on at the next start.",
    ]


async def test_who_is_the_hubs_guest_leaves_it_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with seated(tmp_path, monkeypatch, hosts=False) as seat:
        seat.sees(task="T-1")
        seat.keys.send_text(CTRL_C + CTRL_C)
    assert seat.read[1:] == ["Ctrl-C again, or Ctrl-D, leaves; the hub goes on."]


@pytest.mark.parametrize("answered", [True, False])
async def test_who_has_no_answer_as_the_hub_goes_away_is_told_that_it_may_have_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text("/task write a poem\r")
        while (frame := await seat.hub.receive()) is not None and frame["op"] != "say":
            pass
        if answered:
            await seat.hub.send({"kind": "reply", "text": "T-1 posted", "data": {"ok": True}})
        seat.hub.close()
    gone = str(HubGone())
    told = [" ".join(line.split()) for line in seat.read[1:]]
    assert told == (["T-1 posted", "The hub has stopped."] if answered else [gone])


async def test_a_line_that_finds_the_hub_gone_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: QueueLink, frame: Frame) -> None:
        if frame["op"] == "say":
            raise ConnectionResetError

    monkeypatch.setattr(QueueLink, "send", broken)
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text("/balance\r")
        while not seat.screen._unanswered:
            await turn()
        seat.hub.close()
    assert "The hub went away. If it got this" in seat.read[-1]


@pytest.mark.parametrize("word", ["quit", "exit", " Quit "])
async def test_quit_and_exit_leave_and_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text(f"quit smoking\r{word}\r/balance\r")
    assert await seat.sent() == ["quit smoking"]


async def test_commands_that_are_pasted_below_each_other_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seated(tmp_path, monkeypatch) as seat:
        seat.keys.send_text(
            "\x1b[200~/whoami\n/task write a poem\n\x1b[201~\r\x1b[200~/task write\na poem\x1b[201~\rquit\r"
        )
    assert await seat.sent() == ["/whoami", "/task write a poem", "/task write\na poem"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("", []),
        (" \n ", []),
        ("hi", ["hi"]),
        ("/a\n\n/b", ["/a", "/b"]),
        ("hi\n/a", ["hi\n/a"]),
        ("/a\n /b", ["/a\n /b"]),
    ],
)
def test_what_is_typed_is_one_message_or_several_commands(text: str, sent: list[str]) -> None:
    assert messages(text) == sent


@pytest.mark.parametrize("tab", [True, False])
def test_a_tasks_words_complete_to_files_of_the_workspace(tmp_path: Path, tab: bool) -> None:
    workspace = tmp_path / "workspace"
    (workspace / "reports").mkdir(parents=True)
    for name in ("report.md", ".env", "reports/q1.csv", "../outside.md"):
        (workspace / name).touch()
    completer = Commands([("/task WHAT", "post a task")], workspace)

    def offers(text: str) -> list[str]:
        event = CompleteEvent(text_inserted=not tab, completion_requested=tab)
        return [one.text for one in completer.get_completions(Document(text), event)]

    assert offers("/ta") == ["/task"]
    assert offers("/task summarise re") == ["report.md", "reports/"]
    assert offers("/task describe reports/q") == ["q1.csv"]
    assert offers("/task summarise ") == (["report.md", "reports/"] if tab else [])
    for nothing in ("/task x .e", "/task x ../ou", "/task x /et", "/task x no/", "/show re", "/task x \0"):
        assert [one for one in offers(nothing) if one not in {"report.md", "reports/"}] == []


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("pre", '"press release.txt"'),
        ('"pre', '"press release.txt"'),
        ("'press rel", "'press release.txt'"),
        ('"press release.txt" and "my f', '"press release.txt" and "my files/'),
        ("my", '"my files/'),
        ('"my files/a', '"my files/a.md"'),
        ("say", "'say \"x\".md'"),
        ("no", "notes.md"),
        ('"no', '"notes.md"'),
        ("emo", '"emoji😀.md"'),
        ("o'b", '"o\'brien.md"'),
        ("'a;", "'a;b.md'"),
        ("quo", "'quote\"d.md'"),
        ('"quo', "'quote\"d.md'"),
        ("smart", "'smart “x”.md'"),
        ("max", '"max=5.md"'),
        ("a&b", '"a&b/'),
    ],
)
def test_a_file_name_completes_to_one_word_as_the_hub_reads_it(tmp_path: Path, typed: str, completed: str) -> None:
    (tmp_path / "my files").mkdir()
    (tmp_path / "a&b").mkdir()
    for name in (
        "press release.txt", "my files/a.md", 'say "x".md', "notes.md", "emoji😀.md", "o'brien.md", "a;b.md", 'quote"d.md',
        "smart “x”.md", "max=5.md", "both\"'.md", "smart\x1b.md",
    ):  # fmt: skip
        (tmp_path / name).touch()
    text = f"/task summarise {typed}"
    offered = Commands([], tmp_path).get_completions(Document(text), CompleteEvent(completion_requested=True))
    done = [text[: len(text) + one.start_position] + one.text for one in offered]
    assert done == [f"/task summarise {completed}"]
    assert completed.endswith("/") or len(_words(done[0])) == len(_words(completed)) + 2


NAMES = st.text(
    st.one_of(st.sampled_from(" \"'`=;,:–“’«\\-.~x"), st.characters(exclude_characters="/\0", exclude_categories=["Cs"])),
    min_size=1, max_size=20,
)  # fmt: skip


@given(st.one_of(NAMES, st.builds("{}={}".format, st.sampled_from(["max", "by", "to", "-x"]), NAMES)))
def test_whatever_completes_is_read_back_as_the_same_name(name: str) -> None:
    name += ".md"
    with TemporaryDirectory() as folder:
        (Path(folder) / name).touch()
        text = "/task summarise "
        offered = Commands([], Path(folder)).get_completions(Document(text), CompleteEvent(completion_requested=True))
        done = [text[: len(text) + one.start_position] + one.text for one in offered]
    plain = name.translate(_SMART)
    if name[0] == "." or not name.isprintable() or {'"', "'"} <= set(plain):
        assert done == []
        return
    (line,) = done
    message = Inbound("console", "owner", "1", "here", "console:owner", line)
    found = registry.call(registry.get("task"), message, Caller("console:owner", Role.OWNER, private=True))
    assert found.args == {"what": line.removeprefix("/task ")}
    assert [word for word, *_ in _words(line)][-1] == plain
    assert Reading.of(str(found.args["what"])).files == (name.translate(_QUOTES),)


def test_a_button_is_shown_as_its_command_unless_the_text_says_it() -> None:
    def shown(text: str, *commands: str) -> str:
        buttons = [{"label": "", "command": command} for command in commands]
        return "".join(words for _, words in _pieces({"kind": "reply", "text": text, "data": {}, "buttons": buttons}))

    assert shown("Yes or no:\n/task write it", "/task write it", "") == "Yes or no:\n/task write it"
    assert shown("T-1 posted.", "/cancel T-1") == "T-1 posted.\n  /cancel T-1"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_lines_break_between_words(width: int) -> None:
    pieces = [
        ("class:first", "What I can do"), ("", " (plain text goes to the "), ("class:bold", "agent"), ("", "):\n\n"),
        ("", "  /task WHAT [max=SATS] [by=DURATION]  post a task; agents bid for it in sats\n"),
        ("", "https://example.org/" + "x" * 90 + " end\n"), ("class:pre", "a  table that is " + "wide " * 20 + "\n"), ("", "bye"),
    ]  # fmt: skip
    text = "".join(words for _, words in pieces)
    done = wrap(pieces, width)
    shown = "".join(words for _, words in done)
    assert shown.split() == text.split(), "no word is broken"
    assert [line for line in shown.split("\n") if len(line) > width and not re.search("xxx|wide", line)] == []
    assert "".join(words for style, words in done if style == "class:pre") in text
    assert ("class:bold", "agent") in done
    assert "\n    " in shown or width == 80, "what is broken off an indented line is indented further"
