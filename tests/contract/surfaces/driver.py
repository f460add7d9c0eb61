"""What the suite asks of any chat surface: say, look, press, break the platform. What a surface cannot do it says, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from tests.scenario.bot import Bot


class Feat(StrEnum):
    """What not every platform has."""

    STRANGERS = "somebody the hub does not know can write"
    THREADS = "a place can hold several conversations"
    FILES_IN = "people send files"
    EMPTY = "a message can be empty"
    OFFLINE = "what is said while the hub is down waits on the platform"
    EDITS = "a message that is there can change"
    DRAFTS = "the answer in the making is a message that is edited"
    FLOOD = "the platform asks to wait"
    COPIES = "what is sent again is shown again"
    LIFE = "it shows that an answer is being made"
    BUTTONS = "what is shown has buttons"
    ACTS = "whoever asks may do at once whatever they have the right to"
    RECEIPTS = "the platform says that it has a message"
    LOST = "the platform takes a message and its answer is lost"


class Where(StrEnum):
    """Places where the owner of the hub talks to it, and a stranger's."""

    HOME = "home"
    OTHER = "other"
    THREAD = "thread"
    STRANGER = "stranger"


@dataclass(frozen=True)
class Shown:
    """A message as it stands now. `again`: it says that it may be a copy. `ref` is the driver's own."""

    text: str
    labels: Sequence[str] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    again: bool = False
    ref: Any = None


class Driver(Protocol):
    """A surface under test. It outlives the hubs that are started on it, as a platform does."""

    name: str
    owner: str
    """The owner's actor id here."""
    lacks: Mapping[Feat, str]
    """What the surface cannot do: the reason."""
    bot: Bot
    """The hub that runs."""

    def hub(self, **how: Any) -> AbstractAsyncContextManager[Bot]:
        """A hub on this surface, `how` as in `tests.scenario.bot.hub`; a second one is the first one started anew."""

    def say(self, text: str, where: Where = Where.HOME) -> None:
        """Write to the hub."""

    def repeat(self) -> None:
        """Have the platform hand over the last message once more."""

    def give(self, name: str, content: bytes) -> None:
        """Send a file."""

    def shown(self, where: Where = Where.HOME) -> list[Shown]:
        """All messages in a place, in order."""

    def progress(self) -> list[str]:
        """What was said at HOME of steps on the way, whatever became of it."""

    def alive(self) -> list[str]:
        """Signs at HOME that an answer is being made."""

    def press(self, shown: Shown, label: str) -> None:
        """Press a button, or do what is nearest to it."""

    def down(self) -> None:
        """The platform is not there."""

    def up(self) -> None:
        """It is there again."""

    def stick(self) -> None:
        """Whatever the hub sends is shown, and the hub never learns that it was, until `unstick`."""

    def unstick(self) -> None:
        """Let the hub learn of what it sends."""

    def lose(self) -> None:
        """Show the next message, and break the connection instead of saying so."""

    def flood(self, where: Where, seconds: int) -> None:
        """Ask to wait when something is sent to a place."""

    def calm(self, where: Where) -> None:
        """Take it again."""
