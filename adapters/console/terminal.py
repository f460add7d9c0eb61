"""The console on a terminal: a prompt with history and completion, and auctions as they move (prompt_toolkit)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from adapters import markup
from adapters.console.screen import plain
from core import chat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from adapters.console.link import Frame, Link

STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold", "first": "bold", "refused": "ansired", "progress": "ansibrightblack", "more": "ansigreen",
        "file": "ansiblue", "bottom-toolbar": "noreverse ansibrightblack",
        "bold": "bold", "italic": "italic", "code": "ansicyan", "pre": "ansicyan",
    }
)  # fmt: skip
_OVER = frozenset({"settled", "failed", "cancelled", "expired"})
_DRAFT_WIDTH = 100
GREETING = ("Timmy is here.", " Try /task summarise welcome.md, or /help. Plain text goes to the agent; Ctrl-D leaves.")


class Commands(Completer):
    """Completes slash commands, each with its help beside it."""

    def __init__(self, commands: Sequence[tuple[str, str]]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """All commands that begin with what is typed."""
        text = document.text_before_cursor
        if text.startswith("/") and " " not in text:
            for usage, words in self._commands:
                name = usage.split()[0]
                if name.startswith(text.lower()):
                    yield Completion(name, start_position=-len(text), display=usage, display_meta=words)


class Terminal:
    """One person at a terminal, at one end of a link."""

    def __init__(self, link: Link, commands: Sequence[tuple[str, str]], folder: Path) -> None:
        self._link = link
        self._live: dict[str, str] = {}
        self._draft = ""
        history = folder / "console_history"
        history.touch(mode=0o600)
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)), completer=Commands(commands), complete_while_typing=True, style=STYLE,
            bottom_toolbar=self._toolbar, refresh_interval=0.5,
        )  # fmt: skip

    async def talk(self) -> None:
        """Read and show until Ctrl-D or Ctrl-C, or until the hub is gone."""
        print_formatted_text(FormattedText([("class:first", GREETING[0]), ("", GREETING[1])]), style=STYLE)
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

    async def _read(self) -> None:
        while True:
            try:
                text = await self._session.prompt_async(FormattedText([("class:prompt", "timmy> ")]))
            except (EOFError, KeyboardInterrupt):
                return
            if text.strip():
                await self._link.send({"op": "say", "text": text})

    async def _show(self) -> None:
        while (frame := await self._link.receive()) is not None:
            frame["text"] = plain(frame.get("text", ""))
            self._note(frame)
            if frame.get("kind") not in {"end", "draft"}:
                print_formatted_text(FormattedText(list(_pieces(frame))), style=STYLE)
        print_formatted_text(FormattedText([("class:refused", "The hub has stopped.")]), style=STYLE)

    def _note(self, frame: Frame) -> None:
        """Keep the toolbar true: what is under way, and what the agent is saying."""
        kind, data = frame.get("kind"), frame.get("data", {})
        draft = frame["text"] or "the agent thinks" if kind == "draft" else ""
        self._draft = draft[-_DRAFT_WIDTH:].replace("\n", " ")
        task = data.get("task")
        if isinstance(task, str) and data.get("status") in _OVER:
            self._live.pop(task, None)
        elif isinstance(task, str) and kind in {"progress", "more"}:
            self._live[task] = frame["text"].split("\n")[0].removeprefix(task).strip()

    def _toolbar(self) -> str:
        under_way = "   ".join(f"{task} {words}" for task, words in list(self._live.items())[-3:])
        return f" {self._draft or under_way or 'Tab completes · /help · Ctrl-D leaves'}"


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
            yield "class:progress", plain(f"\n  {button['command']}")


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
