"""The durable inbox and outbox, inside one unit of work: what dispatch and delivery keep, on every surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.chat import Inbound, Outgoing, Reply


class MessageStore(Protocol):
    """Messages received and messages to send."""

    def receive(self, message: Inbound, now: int) -> int:
        """Store a message and return its number; 0 when the same update was stored before."""

    def unanswered(self) -> list[Inbound]:
        """Messages received and not yet dealt with, oldest first."""

    def done(self, number: int) -> None:
        """A message is dealt with."""

    def queue(self, surface: str, conversation: str, reply: Reply, cause: str | None, now: int) -> Outgoing:
        """Write a message to send, as `sending`: whoever writes it hands it to delivery next."""

    def mark(self, numbers: Sequence[int], state: str, platform_id: str | None = None) -> None:
        """Set the state of messages: `sending` before a send, `sent` with the platform's id, `queued` again, or `dead`."""

    def waiting(self, surface: str, limit: int) -> list[Outgoing]:
        """Messages of a surface not sent yet, oldest first; those that may have been sent are marked `again`."""


class MessageTx(Tx, Protocol):
    """A unit of work over messages."""

    @property
    def messages(self) -> MessageStore:
        """Inbox and outbox."""
