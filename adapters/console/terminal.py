"""The console on a terminal: a prompt with history and completion, and auctions as they move (prompt_toolkit)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from adapters import markup
from adapters.console.client import LEAVE, gone
from adapters.console.screen import plain
from adapters.console.wrap import wrap
from core import chat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from adapters.console.client import Place
    from adapters.console.link import Frame, Link

STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold", "first": "bold", "refused": "ansired", "progress": "ansibrightblack", "more": "ansigreen",
        "file": "ansiblue", "bottom-toolbar": "noreverse ansibrightblack",
        "bold": "bold", "italic": "italic", "code": "ansicyan", "pre": "ansicyan",
        "quote": "ansimagenta",
    }
)  # fmt: skip
_OVER = frozenset({"settled", "failed", "cancelled", "expired"})
_DRAFT_WIDTH = 100
_SILENT = frozenset({"end", "draft", "state"})
_MOST_FILES = 200
_QUOTES = {'"': '"\u201c\u201d\u201e\u00ab\u00bb', "'": "'\u2018\u2019"}
"""What a word is put in, each with the letters that the hub takes for it: none of them may be in the word."""

_BARE = re.compile(r"[\w.+~/-]+")
"""A path that the hub and its agents read as one word without quotes."""

_OPEN_QUOTE = re.compile(r"""(?<!\S)(["'])((?:(?!\1).)*)$""", re.DOTALL)
TWICE_SECONDS = 3.0
"""How soon a second Ctrl-C must follow to stop anything."""
GREETING = ("Timmy is here.", " Try /task summarise welcome.md, or /help. Plain text goes to the agent;")


class Commands(Completer):
    """Completes slash commands, each with its help beside it, and the workspace's files in a task's words."""

    def __init__(self, commands: Sequence[tuple[str, str]], workspace: Path) -> None:
        self._commands = commands
        self._workspace = workspace

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """All commands that begin with what is typed; all files, once a word is begun or Tab pressed."""
        text = document.text_before_cursor
        if text.startswith("/task "):
            quote, word = _begun(text)
            if complete_event.completion_requested or len(word) > 1:
                yield from self._files(word, quote)
        if text.startswith("/") and " " not in text:
            for usage, words in self._commands:
                name = usage.split()[0]
                if name.startswith(text.lower()):
                    yield Completion(name, start_position=-len(text), display=usage, display_meta=words)

    def _files(self, word: str, quote: str) -> Iterable[Completion]:
        """The files that a word may become, in quotes where the hub would read something else without them."""
        folder, slash, prefix = word.rpartition("/")
        if word.startswith("/") or ".." in folder.split("/"):
            return
        try:
            found = sorted(os.scandir(self._workspace / folder), key=lambda entry: entry.name)
        except (OSError, ValueError):
            return
        for entry in [one for one in found if one.name.startswith(prefix) and one.name[0] != "."][:_MOST_FILES]:
            name = entry.name + "/" * entry.is_dir()
            path = folder + slash + name
            if not quote and _BARE.fullmatch(path):
                yield Completion(name, start_position=-len(prefix))
            elif path.isprintable() and (mark := _quote_for(path, quote)):
                closed = "" if entry.is_dir() else mark
                yield Completion(mark + path + closed, start_position=-len(quote + word), display=name)


def _begun(text: str) -> tuple[str, str]:
    """The quote that the word under the cursor began with, if any, and the word so far."""
    quoted = _OPEN_QUOTE.search(text)
    return (quoted[1], quoted[2]) if quoted else ("", text.rpartition(" ")[2])


def _quote_for(path: str, begun: str) -> str:
    """The quotes that make a path one word, those it was begun with if they do; none where it holds both kinds."""
    fitting = [mark for mark, alike in _QUOTES.items() if not set(alike) & set(path)]
    return begun if begun in fitting else next(iter(fitting), "")


class Terminal:
    """One person at a terminal, at one end of a link."""

    def __init__(self, link: Link, commands: Sequence[tuple[str, str]], place: Place) -> None:
        self._link = link
        self._hosts = place.hosts
        self._live: dict[str, str] = {}
        self._draft = ""
        self._unanswered = 0
        history = place.folder / "console_history"
        history.touch(mode=0o600)
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)), completer=Commands(commands, place.workspace),
            complete_while_typing=True, style=STYLE, bottom_toolbar=self._toolbar, refresh_interval=0.5,
        )  # fmt: skip
        self._keys = 0
        self._session.app.key_processor.before_key_press += self._count_key

    async def talk(self) -> None:
        """Read and show until Ctrl-D, quit or Ctrl-C twice, or until the hub is gone."""
        _print([("class:first", GREETING[0]), ("", f"{GREETING[1]} Ctrl-D, or Ctrl-C twice, {self._leaving}.")])
        await self._link.send({"op": "attach"})
        with patch_stdout():
            reading = asyncio.ensure_future(self._read())  # noqa: TID251 - raced with the hub's end, and ended here
            showing = asyncio.ensure_future(self._show())  # noqa: TID251
            try:
                await asyncio.wait({reading, showing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in (reading, showing):
                    one.cancel()
                await asyncio.gather(reading, showing, return_exceptions=True)
        if later := self._later():
            _print([("class:progress", f"{later}.")])

    async def _read(self) -> None:
        """Ctrl-C is a key here, which takes the line away; a signal is for whoever started the hub."""
        warned = (-1, 0.0)
        while True:
            try:
                text = await self._session.prompt_async(
                    FormattedText([("class:prompt", "timmy> ")]), handle_sigint=False
                )
            except EOFError:
                return
            except KeyboardInterrupt:
                before, warned = warned, (self._keys, asyncio.get_running_loop().time())
                if _in_a_row(before, warned):
                    return
                later = self._later()
                _print(
                    [("class:progress", f"Ctrl-C again, or Ctrl-D, {self._leaving}{f'; {later}' if later else ''}.")]
                )
                continue
            if text.strip().lower() in LEAVE:
                return
            for message in messages(text):
                self._unanswered += 1
                with contextlib.suppress(ConnectionError):  # the hub is gone: `_show` sees it too, and says so
                    await self._link.send({"op": "say", "text": message})

    def _count_key(self, _processor: object) -> None:
        self._keys += 1

    @property
    def _leaving(self) -> str:
        return "stops the hub" if self._hosts else "leaves; the hub goes on"

    def _later(self) -> str:
        """What becomes of the tasks under way once the hub stops with this console."""
        if not self._live or not self._hosts:
            return ""
        return f"{', '.join(self._live)} {'goes' if len(self._live) == 1 else 'go'} on at the next start"

    async def _show(self) -> None:
        while (frame := await self._link.receive()) is not None:
            frame["text"] = plain(frame.get("text", ""))
            self._note(frame)
            if frame.get("kind") not in _SILENT:
                _print(_pieces(frame))
        _print([("class:refused", str(gone(None)) if self._unanswered else "The hub has stopped.")])

    def _note(self, frame: Frame) -> None:
        """Keep the toolbar true: what is under way, and what the agent is saying."""
        kind, data = frame.get("kind"), frame.get("data", {})
        self._unanswered -= kind == "reply"
        if kind != "state":
            draft = frame["text"] or "the agent thinks" if kind == "draft" else ""
            self._draft = draft[-_DRAFT_WIDTH:].replace("\n", " ")
        task = data.get("task")
        if isinstance(task, str) and data.get("status") in _OVER:
            self._live.pop(task, None)
        elif isinstance(task, str) and kind in {"progress", "more"}:
            self._live[task] = frame["text"].split("\n")[0].removeprefix(task).strip()

    def _toolbar(self) -> str:
        under_way = "   ".join(f"{task} {words}" for task, words in list(self._live.items())[-3:])
        return f" {self._draft or under_way or 'Tab completes · /help · Ctrl-D ' + self._leaving}"


def _in_a_row(first: tuple[int, float], second: tuple[int, float]) -> bool:
    """Whether the second of two keys (its number and its time) is the very next one, and came soon."""
    return second[0] == first[0] + 1 and second[1] - first[1] <= TWICE_SECONDS


def messages(text: str) -> list[str]:
    """The messages of what was typed or pasted: commands one below the other are several, any other text is one, or none."""
    lines = [line for line in text.split("\n") if line.strip()]
    several = len(lines) > 1 and all(line.startswith("/") for line in lines)
    return lines if several else [text] * bool(lines)


def _print(pieces: Iterable[tuple[str, str]]) -> None:
    print_formatted_text(FormattedText(wrap(pieces, shutil.get_terminal_size().columns)), style=STYLE)


def _pieces(frame: Frame) -> Iterator[tuple[str, str]]:
    kind = frame.get("kind")
    style = "class:progress" if kind == "progress" else "class:more" if kind == "more" else "class:first"
    if not frame.get("data", {}).get("ok", True):
        style = "class:refused"
    again = "(you may have seen this before) " if frame.get("again") else ""
    yield style, again
    yield from _words(frame, style)
    for file in frame.get("files", ()):
        yield "class:file", plain(f"\n{file['name']}  {file['path']}")
    if kind in {"reply", "more"}:
        for button in frame.get("buttons", ()):
            command = plain(button["command"])
            if command and not any(line.endswith(command) for line in frame["text"].split("\n")):
                yield "class:progress", f"\n  {command}"


def _words(frame: Frame, style: str) -> Iterator[tuple[str, str]]:
    """The text as it is set. The first line is the result, and stands out, unless a model wrote it."""
    marks = tuple(chat.Mark(start, end, chat.Style(name)) for start, end, name in frame.get("marks", ()))
    rich = markup.of(chat.Reply(frame["text"], marks=marks, markdown=frame.get("markdown", False)))
    first = not frame.get("markdown")
    for styles, text in markup.pieces(rich):
        classes = " ".join(f"class:{one}" for one in sorted(styles))
        head, newline, rest = text.partition("\n") if first else ("", "", text)
        yield f"{style} {classes}".strip(), head
        yield classes, newline + rest
        first = first and not newline
