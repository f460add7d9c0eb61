"""Whose node it is that answers: a book belongs to one network and node, and works with no other (MONEY, "Ledger").

A new book is bound to the first node that answers it, and opens with what that node can spend: from then on what the node has is
what the books say it has.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from core.errors import HubError, UserError
from core.wallet.ledger import EXTERNAL, transfer
from core.wallet.lightning import NodeBehind
from core.wallet.wallet import LedgerTx

if TYPE_CHECKING:
    from core.ports import Clock
    from core.store import Store
    from core.wallet.lightning import Lightning, NodeInfo

WATCH_SECONDS = 60.0
STALE_MS = 30_000
"""How long who the node is needs no asking again."""


class OtherNode(UserError):
    """These books belong to {theirs}, and the node that answers is {ours}. Nothing is sent or taken until it is theirs again.

    Set the address of the right node (of a simulated one, put its node.db back), or TIMMY_DATA_DIR to another folder.
    """


class BookIdentity(Protocol):
    """Which network and node the books belong to, inside one unit of work."""

    def identity(self) -> tuple[str, str] | None:
        """The network and the node; None where the book is new."""

    def found(self, network: str, node: str, now: int) -> None:
        """Bind a new book, for ever."""

    def known_as(self, node: str) -> None:
        """Name the node of a simulated book that was begun before simulated nodes had keys."""


class IdentityTx(LedgerTx, Protocol):
    """A unit of work over the books and whose they are."""

    @property
    def books(self) -> BookIdentity:
        """The books."""


def node_account(backend: str) -> str:
    """The account that stands for the node's sats; what the node can spend is its negative."""
    return f"node:{backend}"


class OwnNode:
    """The node, once it was seen to be the one of the books."""

    def __init__(self, store: Store[IdentityTx], node: Lightning, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: tuple[NodeInfo, int] | None = None
        self.behind = ""
        """That it is not in step with the chain, as it was last heard to say."""
        self.node = node
        self.account = node_account(node.backend)

    async def verified(self) -> NodeInfo:
        """Who the node is. Raises `NodeDown` and `OtherNode`."""
        now = self._clock.now()
        if self._seen is not None and 0 <= now - self._seen[1] < STALE_MS:
            return self._seen[0]
        self._seen = None
        info = await self.node.info()
        known = await self._store.read(lambda tx: tx.books.identity())
        if known != (info.network, info.node):
            has = await self.node.balance()
            await self._store.write(lambda tx: self._bind(tx, info, has))
        self._seen = (info, now) if info.synced else None  # whether it has caught up is asked each time
        self.behind = info.behind
        return info

    async def in_step(self) -> NodeInfo:
        """The same of a node whose no can be taken for one. Raises `NodeBehind` too."""
        info = await self.verified()
        if info.behind:
            raise NodeBehind(backend=self.node.backend, why=info.behind)
        return info

    async def watch(self) -> None:
        """Look every minute whether it is in step, for ever. That it does not answer is told by those who need it."""
        while True:
            with suppress(HubError):
                await self.verified()
            await self._clock.sleep(WATCH_SECONDS)

    def doubt(self) -> None:
        """Ask anew who it is before anything else is done with it."""
        self._seen = None

    def _bind(self, tx: IdentityTx, info: NodeInfo, has: int) -> None:
        known = tx.books.identity()
        if known == (info.network, info.node):
            return  # another who asked was first
        if known is None:
            tx.books.found(info.network, info.node, tx.now)
        elif info.network == "simulated" and is_keyless(known):
            tx.books.known_as(info.node)
        else:
            same_node(known, info)
        if has:
            tx.ledger.append(
                transfer(
                    "book:opening", "opening", self.account, EXTERNAL, has, task=None, actor="hub",
                    reason="what the node could spend when the books were opened",
                )
            )  # fmt: skip


def is_keyless(known: tuple[str, str]) -> bool:
    """Whether a book was begun before simulated nodes had keys: it takes the first one that it meets."""
    return known[0] == "simulated" and known[1].startswith("simulated-")


def same_node(known: tuple[str, str] | None, info: NodeInfo) -> None:
    """Raise `OtherNode` where the books are of another network or node than this."""
    if known not in {None, (info.network, info.node)}:
        raise OtherNode(theirs=f"{known[0]} ({known[1]})", ours=f"{info.network} ({info.node})")
