"""What a conversation with the agent remembers: its turns, kept over restarts, and the model chosen for it.

A turn of the person and the agent's answer are written together, once, under the key of the message that caused them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from core.store import Tx

HISTORY_TURNS = 40
"""The most turns that are given back to a model; what does not fit its window is left out by whole turns (`prompt.py`)."""


class Turn(NamedTuple):
    """One side of an exchange: `role` is `user` or `assistant`; `cause` is the key of the message behind it."""

    role: str
    text: str
    cause: str


class ConversationStore(Protocol):
    """Conversations, inside one unit of work."""

    def model(self, conversation: str) -> str | None:
        """The model chosen with /model, or None for the hub's own."""

    def choose(self, conversation: str, model: str | None) -> None:
        """Choose a model for a conversation."""

    def renew(self, conversation: str) -> None:
        """Begin afresh (/new): what was said before is not given to a model any more."""

    def add(self, conversation: str, turn: Turn, now: int) -> None:
        """Keep a turn; the same cause and role again changes nothing."""

    def recent(self, conversation: str, limit: int) -> list[Turn]:
        """The newest turns since the last `renew`, oldest first."""


class AgentTx(Tx, Protocol):
    """A unit of work over conversations."""

    @property
    def conversations(self) -> ConversationStore:
        """Conversations."""
