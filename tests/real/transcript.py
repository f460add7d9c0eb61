"""A chat as a page of `docs/`: who said what, what each message was edited to, and which buttons stood under it."""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.real.auto_test_chat import Shown, Words

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 110
NAME = 8
WRITTEN = "<!-- Written by `make test-real ARGS=--write-transcript`; change the code, not this file. -->\n\n"
TELEGRAM = f"""{WRITTEN}\
# A chat with Timmy on Telegram

A real hub process on `tg-auto-test`, an emulator of Telegram that nobody of this project wrote; `make test-real` holds this page
true. Buttons stand in brackets under their message. Of a message that the hub edited you see how it began and how it ended.
No model was running: nothing here needs one.
"""


@dataclass
class Transcript:
    """Grows as the chat goes on: a page of `docs/` with this name, that begins with a `head`."""

    name: str
    head: str
    parts: list[str] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _seen: int = 0

    def scene(self, title: str) -> None:
        """What is told from here on goes under a heading of its own."""
        self._close()
        self.parts.append(f"\n## {title}\n")

    def told(self, text: str) -> None:
        """Something that happens outside of the chat."""
        self._close()
        self.parts.append(f"\n{text}\n")

    def ran(self, command: str, printed: str) -> None:
        """A command on the hub's machine, and what it printed."""
        self._lines += [*([""] if self._lines else []), f"$ {command}", *printed.rstrip().splitlines()]

    def called(self, call: str, came: str) -> None:
        """What a program called, and what came back."""
        self._lines += [*([""] if self._lines else []), f"> {call}"]
        for line in came.splitlines():
            self._lines += textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False) or [""]

    def said(self, text: str, *, beneath: bool = False) -> None:
        """The person said or did something, in a thread if it is `beneath` another message."""
        self._say("└ Ann" if beneath else "Ann", text)

    def answered(self, messages: Sequence[Shown], popped: str = "") -> None:
        """What the hub said since; and what popped up over the chat."""
        for one in messages:
            if one.id > self._seen:
                self._seen = one.id
                self._message("└ Timmy" if one.beneath else "Timmy", one.began, picture=one.photo)
                if (one.text, one.buttons) != (one.began.text, one.began.buttons):
                    self._message("(edit)", one)
        if popped:
            self._say("(popup)", popped)

    def page(self) -> str:
        """The whole, with one pairing code for all: each chat has another."""
        self._close()
        text = self.head + "".join(self.parts)
        for code in re.findall(r"timmy pair ([A-Z2-9]{8})", text):
            text = text.replace(code, "K7QF2M9X")
        return text

    def keep(self, *, write: bool) -> None:
        """See that the page of the docs is this one, or write it."""
        path, now = DOCS / self.name, self.page()
        if write:
            path.write_text(now)
        other = "\n".join(
            difflib.unified_diff(path.read_text().splitlines(), now.splitlines(), "docs", "now", lineterm="")
        )
        assert not other, f"write it anew with: make test-real ARGS=--write-transcript\n{other}"

    def _message(self, who: str, words: Words, *, picture: bool = False) -> None:
        self._say(who, "(a picture)" if picture else words.text)
        if words.buttons:
            self._lines.append(" " * NAME + "".join(f"[ {label} ] " for label in words.buttons).rstrip())

    def _say(self, who: str, text: str) -> None:
        first = f"{who} ".ljust(NAME)
        for line in text.splitlines():
            self._lines += textwrap.wrap(line, WIDTH, initial_indent=first, subsequent_indent=" " * NAME) or [""]
            first = " " * NAME

    def _close(self) -> None:
        if self._lines:
            self.parts.append("\n```text\n" + "\n".join(self._lines) + "\n```\n")
            self._lines.clear()
