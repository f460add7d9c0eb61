"""What drives one Lightning backend in the conformance suite: the backend on its scripted wire, and the world beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from core.wallet.lightning import Lightning


class NotPaid(Exception):
    """An outside wallet's payment to us did not arrive: our node, or the way to it, turned it down."""


class Driver(Protocol):
    """One backend under test. Each fault is for the next call that could meet it, and is then over."""

    name: str

    caps_fees: bool
    """Whether the backend can be told how much a way may cost. Where it cannot, it may refuse what it cannot promise."""

    def running(self) -> AbstractAsyncContextManager[Lightning]:
        """The backend, connected. Entered again it is the same node after a restart of the hub."""

    async def pay_in(self, bolt11: str, amount: int | None = None) -> None:
        """An outside wallet pays an invoice of ours (`amount` msat to pay more than was asked). Raises `NotPaid`.

        Returns once the node has the sats: settled, or held where the invoice is one that is held.
        """

    async def ask(self, amount: int | None, *, fails: str = "", fee: int = 0) -> str:
        """An outside node's BOLT11, `fee` msat away.

        `fails`: why it will not be reached (`no_route`), or `hangs`: in flight until `land`.
        """

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        """What hangs comes to its end at the node, late."""

    async def pass_time(self, seconds: int) -> None:
        """Time passes, at the node and outside."""

    async def lose_reply(self) -> None:
        """The node does what it is asked next, and its answer is lost on the way."""

    async def time_out(self) -> None:
        """The node does what it is asked next, and the connection stays silent."""

    async def go_down(self) -> None:
        """Nothing answers until `come_back`."""

    async def come_back(self) -> None:
        """It answers again."""

    async def repeat_settled(self) -> None:
        """The node tells of the newest settlement twice, and of the two newest in the wrong order."""

    async def sent(self, payment_hash: bytes) -> int:
        """How many times sats really left for this hash, for good."""
