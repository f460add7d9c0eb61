"""The durable inbox and outbox, inside one unit of work: what dispatch and delivery keep, on every surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.store import Tx

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.chat import Inbound, Outgoing, Reply


class Tapped(NamedTuple):
    """A button as it was sent: what it means, where it stands, and on which reply, with the surface's ids as far as known.

    `cause` is the key of the message that it answered, if any.
    """

    command: str
    conversation: str
    reply: Reply
    sent: tuple[str, ...] = ()
    cause: str = ""


class Announcement(NamedTuple):
    """A delivered message about a task: the surface's ids of its parts, the reply, and the ids of its buttons.

    `board`: it is the answer that first told of the task, in whose place the task is shown as it goes on.
    """

    sent: tuple[str, ...]
    reply: Reply
    taps: tuple[str, ...]
    board: bool


class MessageStore(Protocol):
    """Messages received and messages to send."""

    def receive(self, message: Inbound, now: int) -> int:
        """Store a message and return its number; 0 when the same update was stored before."""

    def unanswered(self) -> list[Inbound]:
        """Messages received and not yet dealt with, oldest first."""

    def done(self, number: int) -> None:
        """A message is dealt with."""

    def heard(self, number: int, text: str) -> None:
        """A voice note says this: from now on it is a message of these words, that were `spoken`."""

    def speak(self, conversation: str, *, on: bool) -> None:
        """Whether the answers to a conversation are spoken too."""

    def speaks(self, conversation: str) -> bool:
        """Whether they are."""

    def queue(
        self, surface: str, conversation: str, reply: Reply, cause: str | None, now: int, *, replaces: str | None = None
    ) -> Outgoing:
        """Write a message to send, as `sending`: whoever writes it hands it to delivery next."""

    def mark(self, numbers: Sequence[int], state: str, sent: Sequence[str] = ()) -> None:
        """Set the state of messages: `sending` before a send, `sent`, `queued` again, or `dead`; `sent` as in `Outgoing`.

        What has arrived or was given up is never `queued` again.
        """

    def tap(self, tap: str, conversation: str) -> Tapped | None:
        """The button with this id, if it stands in this conversation or a topic of it: old messages do not say their topic.

        One that stands over the thread of its task counts as standing in it.
        """

    def question(
        self, conversation: str, actors: Collection[str], now: int, *, but: Collection[str] = ()
    ) -> Sequence[str]:
        """The buttons of the newest question in a conversation that one of `actors` was shown and can answer; else none.

        A question with a button for one of the commands `but` does not count.
        """

    def before(self, message: Inbound, actors: Collection[str], since: int, limit: int) -> list[Inbound]:
        """What `actors` sent before a message in its conversation and after `since`, the latest first, some at most."""

    def answered_since(self, tap: str, causes: Collection[str]) -> bool:
        """Whether one of these messages was answered after the question with this button was put."""

    def bind(self, number: int, tap: str) -> None:
        """A message received means this button, however often its turn is taken."""

    def choose(self, tap: str, now: int) -> bool:
        """Answer a question with this button; False if it was answered otherwise, or its time is over."""

    def announced(self, task: int, conversation: str) -> list[Announcement]:
        """The delivered messages of a conversation that are about a task and can change: its board, and those with buttons.

        The board stands over the task's thread, if there is one, and never in it.
        """

    def delivered(self, number: int) -> Delivered | None:
        """A message by its number; None while it has not arrived."""

    def places(self, task: int) -> list[str]:
        """The conversations that have a message about a task."""

    def newest_tasks(self, surface: str, limit: int) -> list[int]:
        """The tasks that a surface has messages about, newest first."""

    def branch(self, task: int, conversation: str, thread: str) -> None:
        """What follows of a task that was posted in `conversation` is told in `thread` from now on, if it has none yet."""

    def thread(self, task: int, conversation: str) -> str | None:
        """Where what follows of a task that was posted here is told; None while that is here."""

    def waits(self, task: int, conversation: str) -> bool:
        """Whether something that follows of a task has not left for its thread yet: what is newer goes after it."""

    def place(self, number: int, conversation: str) -> None:
        """A message to send goes elsewhere."""

    def move(self, surface: str, old: str, new: str, now: int) -> None:
        """A conversation has another name from now on: what waits for it, and its topics, go with it."""

    def former(self, conversation: str) -> str:
        """The name that a group had before it moved, or the same."""

    def waiting(self, surface: str, limit: int, *, after: int, lost: int) -> list[Outgoing]:
        """Messages of a surface with a number above `after` that are not sent yet, oldest first.

        Those up to the number `lost` may have been sent by a process that is no more; they are marked `again`.
        """

    def overtaken(self, surface: str, now: int, *, lost: int) -> list[int]:
        """The numbers of what waits and asks what is no question any more: decided, out of time, or its task has gone on."""

    def notices(self) -> list[tuple[int, str, str]]:
        """What waits to be told of the surfaces themselves: number, conversation, and the surface that it is about."""

    def withdraw(self, numbers: Sequence[int]) -> None:
        """Forget messages that were not sent: they are for nobody any more."""

    def last(self) -> int:
        """The number of the newest message to send, 0 if there is none."""


class Delivered(NamedTuple):
    """A message that has arrived: where, under which ids of the surface, and what it says."""

    conversation: str
    sent: tuple[str, ...]
    reply: Reply


class Job(NamedTuple):
    """What a Shortcut asked, under the `name` by which its answer is fetched.

    `token` is the hash of its token, `key` what makes the request one and the same, `request` the hash of all it said,
    `words` the beginning of that for people (of a recording: what was `heard` in it, once it was). `person` is the actor it
    speaks for.
    """

    name: str
    token: str
    key: str
    request: str
    person: str
    words: str
    heard: bool = False


class Answer(NamedTuple):
    """The answer to a message, and whether it still `waits` to be told; `message.sent` says where it was."""

    message: Outgoing
    waits: bool


RECORDING = "(a recording)"
"""The words of a request that was spoken."""


class JobStore(Protocol):
    """What Shortcuts asked, inside one unit of work."""

    def open(self, job: Job, now: int) -> Job:
        """Keep a job; returns the one that was kept before for the same token and key, if there is one."""

    def find(self, name: str) -> Job | None:
        """A job by its name."""

    def caused(self, token: str, key: str) -> Job | None:
        """The job of a request."""

    def received(self, job: Job) -> bool:
        """Whether the message that a job is was taken in."""

    def answer(self, cause: str) -> Answer | None:
        """The answer to the message with the key `cause`; None until there is one."""

    def take(self, number: int, sent: str) -> bool:
        """A message that waits has arrived, under this id; False if that, or its end, is known already."""


class Mark(NamedTuple):
    """How far a surface has heard: its platform's token (empty: nothing yet), and the salt of the names it sends under."""

    token: str
    salt: str


class Pin(NamedTuple):
    """Somebody's keys as they were at first: the signing `identity` ("": none), else those of the `devices`.

    Public keys in the platform's own writing. `verified`: when people compared the identity, Unix ms.
    """

    identity: str
    devices: frozenset[str] = frozenset()
    verified: int | None = None


class SurfaceStore(Protocol):
    """What a surface remembers of its platform, by its own account there."""

    def mark(self, account: str) -> Mark | None:
        """How far it has heard; None for an account that is new."""

    def save(self, account: str, mark: Mark) -> None:
        """It has heard so far."""

    def latched(self, account: str) -> frozenset[str]:
        """The places that were encrypted once."""

    def latch(self, account: str, place: str) -> None:
        """A place is encrypted, for ever."""

    def first(self, account: str, session: str, place: int, event: str, now: int) -> str:
        """Which event was the first to be opened from this place of a secret session: this one, unless it was another.

        "" where that is so long ago that its name was forgotten.
        """

    def pins(self, account: str) -> Mapping[str, Pin]:
        """Whose keys are known, by the platform's name of a person."""

    def pin(self, account: str, person: str, pin: Pin) -> None:
        """Keep somebody's keys."""


class SurfaceTx(Tx, Protocol):
    """A unit of work over what a surface remembers."""

    @property
    def surfaces(self) -> SurfaceStore:
        """What is remembered."""


class MessageTx(Tx, Protocol):
    """A unit of work over messages."""

    @property
    def messages(self) -> MessageStore:
        """Inbox and outbox."""
