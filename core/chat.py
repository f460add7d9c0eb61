"""Messages, on every surface: what came in, the command it means, and what goes back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.events import Json

MAX_TEXT = 32 * 1024
"""The longest message that is taken, in UTF-8 bytes."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(text: str) -> str:
    """A text of a file or a model without control characters (C0, C1; newline and tab stay) and halves of characters.

    A terminal obeys them, a database and a surface refuse them. What is left of a piece does not depend on the next.
    """
    return _CONTROL.sub("", text)


class Role(StrEnum):
    """Five roles; each but the guest includes what a member may."""

    GUEST = "guest"
    MEMBER = "member"
    OPERATOR = "operator"
    PAYER = "payer"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and where: an actor id (`surface:id`), its role, and whether the place is private to them."""

    actor: str
    role: Role
    private: bool = True
    acting_for: str | None = None

    @property
    def name(self) -> str:
        """The identity whose tasks and wallet are meant."""
        return self.acting_for or self.actor

    @property
    def recorded(self) -> str:
        """What the books say: `--as` never passes for the person it names."""
        return f"{self.actor} as {self.acting_for}" if self.acting_for else self.actor


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message as a surface received it. (`surface`, `account`, `update`) names it for ever: the same one twice is one turn.

    `acting_for` is set only by `timmy say --as`. Messages of one `lane` keep their order (the conversation's own, unless
    a surface knows that two senders cannot expect one). `id` is the store's own number, 0 until stored.
    """

    surface: str
    account: str
    update: str
    conversation: str
    actor: str
    text: str
    private: bool = True
    acting_for: str | None = None
    lane: str = ""
    id: int = 0

    @property
    def key(self) -> str:
        """Dedupe key, and the root of every idempotency key of what the message causes."""
        return f"{self.surface}/{self.account}/{self.update}"


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One decision of a person, whatever way it was said. `args` holds parsed values by argument name."""

    name: str
    args: Mapping[str, object]
    caller: Caller
    conversation: str
    key: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """A tap that means a slash command."""

    label: str
    command: str


@dataclass(frozen=True, slots=True)
class File:
    """A file to hand over: its shown name and its place on this machine."""

    name: str
    path: str


class Style(StrEnum):
    """How a stretch of text is set, where a surface can: `pre` is code or a table, in lines and columns as written."""

    BOLD = "bold"
    ITALIC = "italic"
    CODE = "code"
    PRE = "pre"


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text, by characters (code points) from `start` to before `end`, and its style."""

    start: int
    end: int
    style: Style
    language: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: words for a person (first line = the result), and the same facts for a program.

    `text` says everything, plain; `marks` say how a surface may set it. `markdown`: a model wrote the text and a surface
    may read it as Markdown instead. It is data all the same: no surface passes it on as markup.
    """

    text: str
    data: Mapping[str, Json] = field(default_factory=lambda: {"ok": True})
    task: int | None = None
    buttons: tuple[Button, ...] = ()
    files: tuple[File, ...] = ()
    marks: tuple[Mark, ...] = ()
    markdown: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply on its way: a row before it is sent, delivered only once the surface returns its message id.

    `cause` is the key of the message it answers (None: it follows from an event). `again` is true when an earlier
    send may have arrived: the surface marks the copy.
    """

    id: int
    surface: str
    conversation: str
    reply: Reply
    cause: str | None = None
    again: bool = False


class ChatAdapter(Protocol):
    """A chat surface. It turns what a platform sends into `Inbound`, and sends `Outgoing`; it holds no rule."""

    name: str

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Listen until cancelled. `receive` returns once the message is durable: only then may the platform forget it."""

    async def send(self, message: Outgoing) -> str | None:
        """Deliver; returns the platform's message id, or None when nobody is there to take it yet (it stays queued)."""

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """Show an answer (to the message with the key `cause`) that is still being made. It may be dropped."""
