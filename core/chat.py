"""Messages, on every surface: what came in, the command it means, and what goes back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from unicodedata import category

from core.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from core.events import Json

MAX_TEXT = 32 * 1024
"""The longest message that is taken, in UTF-8 bytes."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(text: str) -> str:
    """A text of a file or a model without control characters (C0, C1; newline and tab stay) and halves of characters.

    A terminal obeys them, a database and a surface refuse them. What is left of a piece does not depend on the next.
    """
    return _CONTROL.sub("", text)


def one_line(text: str) -> str:
    """What somebody else wrote, as it is shown in a line of the hub's own: in one line, as it was written.

    Signs that are not seen are left out (Unicode's Cf): they turn the order of words round, or hide some.
    """
    return " ".join("".join(sign for sign in readable(text) if category(sign) != "Cf").split())


_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that are nothing but blank."""


def spelt(text: str) -> str:
    """A text that somebody is to judge by what they see: what is not seen of it is spelled out, but line breaks and tabs."""
    return "".join(sign if sign in "\n\t" or not _hides(sign) else f"\\u{{{ord(sign):x}}}" for sign in text)


def _hides(sign: str) -> bool:
    kind = category(sign)
    selects = kind == "Mn" and ("\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef")
    return kind in {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"} or selects or sign in _BLANK


class Role(StrEnum):
    """Five roles; each but the guest includes what a member may."""

    GUEST = "guest"
    MEMBER = "member"
    OPERATOR = "operator"
    PAYER = "payer"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A device that speaks for a person: it may post tasks of at most `limit` whole sats, and puts to them what else binds.

    `person` is their actor id, `home` the conversation in which they are asked, and told what follows; `credential` the hash
    of the token that it has.
    """

    person: str
    home: str
    limit: int
    credential: str = field(default="", repr=False)


class Caller(NamedTuple):
    """Who asks, and where: an actor id (`surface:id`), its role, and whether the place is private to them.

    `account` is the identity whose tasks and wallet the actor shares, where that is another, and `linked` are all identities
    of that account, where there are several; under `--as` both are of whoever is tried out. `doubt` says why it may be
    somebody else who asks. `proxy`: it is no person, but a device of one, whose role it has. `bought`: it is a stranger with a
    token that they paid for, and what one call of it was sold for, msat. `schedule`: it is not they who ask now, but a schedule
    that they made (`schedule:1`).
    """

    actor: str
    role: Role
    private: bool = True
    acting_for: str | None = None
    account: str | None = None
    doubt: str = ""
    proxy: Proxy | None = None
    linked: frozenset[str] = frozenset()
    bought: int | None = None
    schedule: str = ""

    @property
    def name(self) -> str:
        """The identity whose tasks and wallet are meant."""
        return self.account or self.acting_for or self.actor

    @property
    def payer(self) -> str:
        """The identity whose sats are spent: under `--as` too the actor's own."""
        return self.actor if self.acting_for else self.account or self.actor

    @property
    def selves(self) -> frozenset[str]:
        """The identities of the person who asks: what was put to one of them may be answered from another.

        Under `--as` it is nobody's but what was asked under the same: else trying out would answer, and use up, one's own.
        """
        return frozenset({self.recorded}) if self.acting_for else self.linked | {self.actor}

    def means(self, identity: str | None) -> bool:
        """Whether an identity is of the account whose tasks and wallet are meant."""
        return identity is not None and (identity == self.name or identity in self.linked)

    @property
    def recorded(self) -> str:
        """What the books say: `--as` never passes for the person it names, nor a schedule for whoever made it."""
        who = f"{self.actor} as {self.acting_for}" if self.acting_for else self.actor
        return f"{who}{VIA}{self.schedule}" if self.schedule else who


VIA = " via "
"""Between a person and the schedule of theirs that acts: `telegram:5 via schedule:1`."""
SCHEDULE = "schedule:"
"""How the actor id of a schedule begins; its number follows."""


class Attachment(NamedTuple):
    """A file that came with a message: its shown name, its size in bytes, and by what its surface fetches it.

    `spoken`: it is what the sender says, and no file to keep.
    """

    name: str
    size: int
    ref: str
    spoken: bool = False


class Inbound(NamedTuple):
    """A message as a surface received it. (`surface`, `account`, `update`) names it for ever: the same one twice is one turn.

    `acting_for` is set only by `timmy say --as`. Messages of one `lane` keep their order (the conversation's own, unless
    a surface knows that two senders cannot expect one). `id` is the store's own number, 0 until stored.

    `home` is the conversation in which the sender can be told what nobody else should read (this one, if it is private),
    `name` how the sender is called there. `admitted` is false in a place that the settings do not list. `unread` says in
    words what the surface got that is no message to the hub (a sticker, a forwarded text), `sealed` why one could not be opened.
    `doubt` says why it may not be its sender's who wrote it; nothing that spends or lets people in is done on its word.
    `tap` is the id of a button that was pressed, on the surface's message `tapped`; such a message has no text of its own.
    `spoken`: its text was heard in a voice note, so it may be other words than were said.
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
    home: str = ""
    tap: str = ""
    tapped: str = ""
    name: str = ""
    unread: str = ""
    sealed: str = ""
    doubt: str = ""
    admitted: bool = True
    files: tuple[Attachment, ...] = ()
    spoken: bool = False
    id: int = 0

    @property
    def schedule(self) -> str:
        """The schedule that says this for its sender, where one does: it is the account, and its due time the update."""
        return self.account if self.account.startswith(SCHEDULE) else ""

    @property
    def key(self) -> str:
        """Dedupe key, and the root of every idempotency key of what the message causes."""
        return f"{self.surface}/{self.account}/{self.update}"


def _tell_later(_: Any, __: Reply) -> None:
    """The answer is written once the command has returned it."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One decision of a person, whatever way it was said. `args` holds parsed values by argument name.

    A command may `tell` its answer in the unit of work of what it tells of; it then returns the same one. `called` is how the
    sender is called there.
    """

    name: str
    args: Mapping[str, object]
    caller: Caller
    conversation: str
    key: str
    text: str = ""
    tell: Callable[[Any, Reply], None] = field(default=_tell_later, compare=False, repr=False)
    called: str = ""

    @property
    def follows(self) -> str:
        """The conversation in which what follows from it is told: a device is asked, and not told later."""
        return self.caller.proxy.home if self.caller.proxy else self.conversation


class Button(NamedTuple):
    """A tap that means a slash command."""

    label: str
    command: str


class Choice(NamedTuple):
    """A question that only `actor` may answer, once, until `expires` (Unix ms): its buttons exclude each other.

    What was asked under `--as` is answered under the same: its `actor` is `console:owner as telegram:5`.
    """

    actor: str
    expires: int


class Tap(NamedTuple):
    """What a pressed button means: its command (empty: nothing is to be done) and the name under which it acts once."""

    key: str
    command: str


class File(NamedTuple):
    """A file to hand over: its shown name and its place on this machine."""

    name: str
    path: str


class Style(StrEnum):
    """How a stretch of text is set, where a surface can: `pre` is code or a table, in lines and columns as written.

    `quote` is what somebody else wrote, in the midst of the hub's own words.
    """

    BOLD = "bold"
    ITALIC = "italic"
    CODE = "code"
    PRE = "pre"
    QUOTE = "quote"


class Mark(NamedTuple):
    """A stretch of a text, by characters (code points) from `start` to before `end`, and its style."""

    start: int
    end: int
    style: Style
    language: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: words for a person (first line = the result), and the same facts for a program.

    `text` says everything, plain; `marks` say how a surface may set it. `markdown`: a model wrote the text and a surface
    may read it as Markdown instead. It is data all the same: no surface passes it on as markup. `choice`: its buttons
    are the answers to a question.
    """

    text: str
    data: Mapping[str, Json] = field(default_factory=lambda: {"ok": True})
    task: int | None = None
    buttons: tuple[Button, ...] = ()
    files: tuple[File, ...] = ()
    marks: tuple[Mark, ...] = ()
    markdown: bool = False
    choice: Choice | None = None


class Outgoing(NamedTuple):
    """A reply on its way: a row before it is sent, delivered only once the surface returns its message ids.

    `cause` is the key of the message it answers (None: it follows from an event). `again` is true when an earlier
    send may have arrived: the surface marks the copy. `taps` are the ids of the reply's buttons, in their order.
    `replaces` is the surface's id of the message whose place it takes; `sent` the ids of its parts that have arrived.
    `lost`: a process that is no more may have sent any of the others; without it `again` is said of the next one only.
    """

    id: int
    surface: str
    conversation: str
    reply: Reply
    cause: str | None = None
    again: bool = False
    taps: tuple[str, ...] = ()
    replaces: str | None = None
    sent: tuple[str, ...] = ()
    lost: bool = False


class NotSent(Unavailable):
    """{surface} does not take the message yet: {why}"""

    def __init__(
        self, *, wait: float | None = None, sent: tuple[str, ...] = (), doubtful: bool = False, **facts: object
    ) -> None:
        """`wait`: seconds the surface asks for; `sent`: parts that arrived; `doubtful`: the next part may have too."""
        super().__init__(**facts)
        self.wait = wait
        self.sent = sent
        self.doubtful = doubtful


class NotFetched(Unavailable):
    """{name} could not be fetched from {surface} ({why}). Send it again."""

    def __init__(self, *, wait: float = 0.0, **facts: object) -> None:
        """`wait`: seconds the surface asks for."""
        super().__init__(**facts)
        self.wait = wait


class Undeliverable(Refused):
    """{surface} will never take this message: {why}"""


class ChatAdapter(Protocol):
    """A chat surface. It turns what a platform sends into `Inbound`, and sends `Outgoing`; it holds no rule."""

    name: str

    @property
    def heard_at(self) -> int | None:
        """When the platform last answered a poll or a sync, Unix ms; None where there is no such thing."""

    @property
    def advice(self) -> tuple[str, ...]:
        """What is not as it should be though it works, in words; `timmy doctor` tells it."""

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Listen until cancelled. `receive` returns once the message is durable: only then may the platform forget it."""

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """Deliver; returns the platform's message ids, or None when nobody is there to take it yet (it stays queued).

        Raises `NotSent` (it is tried again) and `Undeliverable` (it is not).
        """

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """Show that the message with the key `cause` is being answered, and the answer as far as it is made ("": not begun).

        It may be dropped; the answer itself is always sent.
        """

    async def fetch(self, attachment: Attachment) -> bytes:
        """The content of a file that came with a message.

        Raises `NotFetched` (it is tried again for a while), and `UserError` where it is too large or gone.
        """


class Threaded(Protocol):
    """A surface where what follows from a message can be told beneath it, in a conversation of its own."""

    def thread(self, conversation: str, root: str) -> str | None:
        """The conversation beneath the message `root` of another one; None where that is such a conversation itself."""

    def above(self, conversation: str) -> str | None:
        """The conversation that this one is beneath a message of; None if it is beneath none."""


class Editor(Protocol):
    """A surface that can change a message it has sent, given by the ids of its parts. It may drop a change, never a message."""

    def edit(
        self, conversation: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]
    ) -> Coroutine[Any, Any, None]:
        """Show `reply`, with the buttons `taps`, in place of a message of one part."""

    def relabel(
        self, conversation: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]
    ) -> Coroutine[Any, Any, None]:
        """Show only the buttons of `reply`, with these `taps`, under a message; its words stay as they are."""
