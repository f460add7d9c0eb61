"""The default backend: a Lightning node and the world outside it, in process and durable, with sats that are worth nothing.

It fulfils `core.wallet.lightning.Lightning` as a real node does, over a file of its own (`simulated_file.py`). Each call is one
transaction on one thread of its own, and one durable commit where something changed. The file is opened at the first call.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from adapters.lightning.bolt11 import decode
from adapters.lightning.simulated_file import BACKEND, Asked, NodeDamaged, NodeFile, Randomness, refuse_gone, unread
from core.wallet.lightning import NodeDown, PayState, Traits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from core.ports import Clock, IdSource
    from core.wallet.lightning import NodeInfo, NodeInvoice, Outcome

R = TypeVar("R")
P = ParamSpec("P")

_PATIENCE_SECONDS = 2.0


class SimulatedNode:
    """See `core.wallet.lightning.Lightning`. `patience`: seconds to wait for another program that has its file."""

    backend = BACKEND
    traits = Traits(hold=True, msat=True, track=True, stream=True, once=True)

    def __init__(self, path: Path, clock: Clock, ids: IdSource, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._path = path
        self._clock = clock
        self._ids = ids
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, "simulated node")
        self._connection: sqlite3.Connection | None = None
        self._key = self._bytes()  # for a new node; drawn here, since names are drawn on the loop alone
        self._changed = asyncio.Event()
        self._closed = False
        self._damage: NodeDamaged | None = None

    # The node ------------------------------------------------------------------------------------------------------

    async def info(self) -> NodeInfo:
        """See `Node`: the network `simulated`, and the public key that it was made with."""
        return await self._do(NodeFile.info)

    async def balance(self) -> int:
        """See `Node`."""
        return await self._do(NodeFile.balance)

    async def close(self) -> None:
        """See `Node`. Whoever waits for a settlement is told that the node is down."""
        if not self._closed:
            self._closed = True
            self._wake()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
            self._thread.shutdown()

    # Taking sats in ------------------------------------------------------------------------------------------------

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Receiver`."""
        random = self._random()
        return await self._do(NodeFile.ask, amount, memo, expiry, random, hashlib.sha256(random.preimage).digest())

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        """See `Receiver`."""
        return await self._do(NodeFile.invoice, payment_hash)

    async def settled(self, after: int) -> AsyncIterator[NodeInvoice]:
        """See `Receiver`."""
        while True:
            changed = self._changed
            found = await self._do(NodeFile.settled_after, after)
            for invoice in found:
                after = invoice.index
                yield invoice
            if not found:
                await changed.wait()

    async def create_hold(self, payment_hash: bytes, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Holds`."""
        return await self._do(NodeFile.ask, amount, memo, expiry, self._random(preimage=False), payment_hash)

    async def settle_hold(self, preimage: bytes) -> None:
        """See `Holds`."""
        await self._do(NodeFile.settle, preimage)

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        """See `Holds`."""
        await self._do(NodeFile.cancel, payment_hash)

    # Sending sats out ----------------------------------------------------------------------------------------------

    def least_fee(self, amount: int) -> int:
        """See `Node`: it takes any limit."""
        del amount
        return 0

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        """See `Payer`."""
        deadline = self._clock.now() + 1000 * timeout
        changed = self._changed
        payment_hash, outcome = await self._do(NodeFile.send, bolt11, amount, fee_limit)
        while outcome.state is PayState.IN_FLIGHT and self._clock.now() < deadline:
            due = await self._do(NodeFile.due, payment_hash)
            await self._clock.until(deadline if due is None else min(due, deadline), changed)
            changed = self._changed
            outcome = await self.track(payment_hash)
        return outcome

    async def track(self, payment_hash: bytes) -> Outcome:
        """See `Payer`."""
        return await self._do(NodeFile.outcome, payment_hash)

    # The world outside ---------------------------------------------------------------------------------------------

    async def outside_pays(self, bolt11: str, amount: int | None = None) -> tuple[bytes, bytes | None]:
        """An outside wallet pays an invoice of ours; (payment hash, preimage), and no preimage while the payment is held.

        Raises `NodeRefused` where the invoice is not ours, paid, over, or `amount` (msat) is not what it takes.
        """
        return await self._do(NodeFile.receive, bolt11, amount)

    async def outside_asks(
        self, amount: int | None, memo: str = "", expiry: int = 3600, fails: str = "", fee: int | None = None
    ) -> str:
        """An outside node's BOLT11 for `amount` msat (None: the payer's choice), `fee` msat away (None: the rule's).

        `fails` is one of `Fails`. Raises `NodeRefused` where no such invoice can be made.
        """
        return await self._do(NodeFile.outside_asks, Asked(amount, memo, expiry, fails, fee), self._random())

    @staticmethod
    def hash_of(bolt11: str) -> bytes:
        """The payment hash of an invoice, in either case. Raises `BadInvoice`."""
        return decode(bolt11).payment_hash

    async def land(self, payment_hash: bytes, *, well: bool) -> None:
        """A payment in flight comes to its end. Raises `NodeRefused` where none is."""
        await self._do(partial(NodeFile.land, well=well), payment_hash)

    # The file ------------------------------------------------------------------------------------------------------

    def _random(self, *, preimage: bool = True) -> Randomness:
        return Randomness(self._bytes(), self._bytes(), self._bytes() if preimage else b"")

    def _bytes(self) -> bytes:
        """32 random bytes."""
        return base64.urlsafe_b64decode(self._ids.token(32) + "=")

    async def _do(self, work: Callable[Concatenate[NodeFile, P], R], *args: P.args, **more: P.kwargs) -> R:
        """One transaction. What was begun is done even where its caller is cancelled meanwhile. Raises `NodeDown`."""
        if self._closed:
            raise NodeDown(backend=BACKEND, why="it is closed")
        if self._damage is not None:  # of which only some calls would see something
            raise self._damage
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._thread, self._transact, lambda file: work(file, *args, **more), loop
            )
        except (sqlite3.Error, OSError) as error:
            named = unread(self._path, error)
            if isinstance(named, NodeDamaged):
                self._damage = named
            raise named from error

    def _transact(self, work: Callable[[NodeFile], R], loop: asyncio.AbstractEventLoop) -> R:
        """On the node's thread."""
        connection = self._connection or self._open()
        before = connection.total_changes
        with _transaction(connection):
            file = NodeFile(connection, self._clock.now())
            file.catch_up()
            found = work(file)
        if connection.total_changes != before:
            loop.call_soon_threadsafe(self._wake)
        return found

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=self._patience)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with _transaction(connection):
                NodeFile(connection, self._clock.now()).found(self._key)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _wake(self) -> None:
        """Whoever waits looks again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class SimulatedLook:
    """Who a simulated node is and what it has, for another program: nothing is made, moved or caught up on.

    Raises `NodeGone`, `NodeDamaged` and `NodeDown`.
    """

    backend = BACKEND

    def __init__(self, path: Path) -> None:
        self._path = path

    async def info(self) -> NodeInfo:
        """See `Node`."""
        return await asyncio.to_thread(self._read, NodeFile.info)

    async def balance(self) -> int:
        """See `Node`."""
        return await asyncio.to_thread(self._read, NodeFile.balance)

    async def close(self) -> None:
        """See `Node`; each look opens and closes the file."""

    def _read(self, work: Callable[[NodeFile], R]) -> R:
        refuse_gone(self._path)
        try:
            with contextlib.closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            ) as connection:
                return work(NodeFile(connection, 0))
        except sqlite3.Error as error:
            raise unread(self._path, error) from error


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
