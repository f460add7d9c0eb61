"""What a conversation with the agent remembers: its turns, kept over restarts, and the model chosen for it.

A turn of the person and the agent's answer are written together, once, under the key of the message that caused them. What
the model called on the way is written step by step, a call always with its result: a turn that a crash broke off goes on behind
the last step, and no history holds a call without its result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.store import Tx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.approval import ApprovalStore
    from core.events import Json
    from core.swarm.ports import ResultFile

HISTORY_TURNS = 40
"""The most turns that are given back to a model; what does not fit its window is left out by whole turns (`prompt.py`)."""


class Called(NamedTuple):
    """One call of a tool and what it came to. `outside`: the result may be somebody else's words.

    `asked` is the number of the approval that it waits for, or waited.
    """

    name: str
    arguments: Mapping[str, Json] | str
    result: str
    outside: bool = False
    files: tuple[ResultFile, ...] = ()
    asked: int | None = None


class Step(NamedTuple):
    """What a model said and called at once, with the results."""

    said: str
    calls: tuple[Called, ...]

    @property
    def outside(self) -> bool:
        """Whether anything in it may be somebody else's words."""
        return any(call.outside for call in self.calls)


class Turn(NamedTuple):
    """One side of an exchange: `role` is `user` or `assistant`; `cause` is the key of the message behind it.

    `speaker` is the account that the exchange is of; `tainted`: a text from outside was read on the way. `steps` are what was
    called for an answer.
    """

    role: str
    text: str
    cause: str
    speaker: str = ""
    tainted: bool = False
    steps: tuple[Step, ...] = ()


class ConversationStore(Protocol):
    """Conversations, inside one unit of work."""

    def model(self, conversation: str) -> str | None:
        """The model chosen with /model, or None for the hub's own."""

    def choose(self, conversation: str, model: str | None) -> None:
        """Choose a model for a conversation."""

    def renew(self, conversation: str) -> None:
        """Begin afresh (/new): what was said before is not given to a model any more."""

    def add(self, conversation: str, turn: Turn, now: int) -> None:
        """Keep a turn, without its steps; the same cause and role again changes nothing."""

    def recent(self, conversation: str, limit: int) -> list[Turn]:
        """The newest turns since the last `renew`, oldest first, with their steps."""

    def keep(self, cause: str, number: int, step: Step, now: int) -> None:
        """Keep a step of a turn, from 0; the same number again changes nothing."""

    def steps(self, cause: str) -> Sequence[Step]:
        """The steps of a turn so far."""


class AgentTx(Tx, Protocol):
    """A unit of work over conversations."""

    @property
    def conversations(self) -> ConversationStore:
        """Conversations."""

    @property
    def approvals(self) -> ApprovalStore:
        """Approvals, for calls that waited for one."""
