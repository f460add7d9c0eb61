"""Whether the node has what the books say that it has (MONEY, invariant 9).

What is on its way out may have left the node or not: with it the node may have less than the books, by at most what is set aside.
What differs beyond that was moved by somebody else than this hub; an owner may have it booked to `suspense`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.errors import Unavailable, UserError
from core.wallet.held import HoldTx
from core.wallet.invoices import SUSPENSE
from core.wallet.ledger import transfer
from core.wallet.outgoing import PaymentTx

if TYPE_CHECKING:
    from core.chat import Caller
    from core.store import Store
    from core.wallet.node import OwnNode

LOOKS = 5
"""How often it is compared anew because sats moved meanwhile."""


class StillMoving(Unavailable):
    """Sats kept moving while the node was asked, so nothing can be compared. Try again when it is quieter."""


class NotThatDifference(UserError):
    """Comparison {number} is not the newest, or differs in nothing. /reconcile compares anew."""

    status = 409


class Comparison(NamedTuple):
    """What the node had and what the books said at a time (Unix ms). All in msat.

    `in_flight` is on its way out at most, `coming` was held for tasks and may be the node's by now.
    """

    at: int
    node: int
    in_flight: int
    books: int
    id: int = 0
    booked: bool = False
    coming: int = 0

    @property
    def difference(self) -> int:
        """What the node has more than the books say (negative: less), beyond what may be on its way."""
        if self.node > self.books:
            return max(0, self.node - self.books - self.coming)
        return min(0, self.node - (self.books - self.in_flight))


class Said(NamedTuple):
    """What the books say that the node has, what is on its way out at most, and what may have come in by now, msat."""

    books: int
    in_flight: int
    coming: int

    def compared(self, node: int, at: int) -> Comparison:
        """With what the node has."""
        return Comparison(at, node, self.in_flight, self.books, coming=self.coming)


class ReconStore(Protocol):
    """Comparisons, inside one unit of work."""

    def add(self, made: Comparison) -> Comparison:
        """Keep one; returned with its number."""

    def newest(self) -> Comparison | None:
        """The last one."""

    def booked(self, number: int) -> None:
        """Its difference is in the books now."""


class ReconTx(PaymentTx, HoldTx, Protocol):
    """A unit of work over the books, what is held, and the comparisons."""

    @property
    def recon(self) -> ReconStore:
        """Comparisons."""


def said(tx: ReconTx, account: str) -> Said:
    """What the books say of the node that an account stands for."""
    leaving = [one for one in tx.payments.unfinished() if tx.invoices.find(one.payment_hash) is None]
    return Said(-tx.ledger.account(account).posted, sum(one.most for one in leaving), tx.holds.taking())


class Reconciler:
    """Compares, and books what an owner has seen."""

    def __init__(self, store: Store[ReconTx], own: OwnNode) -> None:
        self._store = store
        self._own = own

    async def compare(self) -> Comparison:
        """Ask the node. Raises `NodeDown`, `NodeBehind`, `OtherNode` and `StillMoving`."""
        self._own.doubt()
        await self._own.in_step()
        before = await self._store.read(self._books)
        for _ in range(LOOKS):
            has = await self._own.node.balance()
            made = await self._store.write(lambda tx, seen=before, node=has: self._keep(tx, seen, node))  # type: ignore[misc]
            if isinstance(made, Comparison):
                return made
            before = made
        raise StillMoving

    def _books(self, tx: ReconTx) -> Said:
        return said(tx, self._own.account)

    def _keep(self, tx: ReconTx, seen: Said, node: int) -> Comparison | Said:
        now = self._books(tx)
        return now if now != seen else tx.recon.add(now.compared(node, tx.now))

    async def book(self, caller: Caller, number: int) -> Comparison:
        """Book the difference of the newest comparison to `suspense`, once. Raises `NotThatDifference`."""
        authorize(caller, Action.RECONCILE)

        def work(tx: ReconTx) -> Comparison:
            found = tx.recon.newest()
            if found is None or found.id != number or not found.difference:
                raise NotThatDifference(number=number)
            if found.booked:
                return found
            more = found.difference > 0
            source, target = (self._own.account, SUSPENSE) if more else (SUSPENSE, self._own.account)
            tx.ledger.append(
                transfer(
                    f"recon:{number}", "reconcile", source, target, abs(found.difference), task=None, actor=caller.recorded,
                    reason="moved at the node by somebody else than this hub",
                )
            )  # fmt: skip
            tx.recon.booked(number)
            return found._replace(booked=True)

        return await self._store.write(work)
