"""The service that sends sats out over Lightning: each payment survives any crash at any point, and is made once.

A caller waits a while for the end; the payment goes on without them. What a crash or a lost reply left unfinished is looked up at
the node, by its hash, until the node says how it ended. What is written meanwhile is in `outgoing`, the rules in `payment`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from core.chat import one_line
from core.store import NotWritten, patiently
from core.wallet.lightning import NodeDown, NodeRefused, NotBegun, Outcome, PayState
from core.wallet.looks import Looks
from core.wallet.outgoing import Outgoing, OwnOrder, Quote, as_it_stands, paid_under
from core.wallet.payment import Next, after_looking, check_payable, explained, price

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.ports import Clock, Spawner
    from core.store import Store
    from core.wallet.lightning import PaymentRequest
    from core.wallet.node import OwnNode
    from core.wallet.outgoing import Guard, Order, PaymentTx, Turn
    from core.wallet.payment import Payment

log = logging.getLogger(__name__)

PATIENCE_MS = 10_000
"""How long a caller waits for the end of a payment."""

NODE_SECONDS = 60
"""How long the node looks for a way."""

SILENT_MS = 1_000 * NODE_SECONDS + 10_000
"""After how long without an answer a payment is looked up, although its call has not come back."""


class _Call(NamedTuple):
    """A payment that is being made, since when (Unix ms); `ended` once its call is over and written."""

    since: int
    ended: asyncio.Event


class Payments:
    """Pays, and follows what it began to its end. `outgoing` writes what came of it; `guard` may refuse."""

    def __init__(
        self,
        store: Store[PaymentTx],
        own: OwnNode,
        clock: Clock,
        spawner: Spawner,
        decode: Callable[[str], Awaitable[PaymentRequest]],
        guard: Guard,
    ) -> None:
        self._store = store
        self._own = own
        self._clock = clock
        self._spawner = spawner
        self._decode = decode
        self.outgoing = Outgoing(own, guard, self._awaited)
        self._busy: dict[bytes, _Call] = {}
        self._waiting: dict[bytes, dict[object, int]] = {}
        self._looks = Looks()
        self._wake = asyncio.Event()

    async def quote(self, order: Order) -> Quote:
        """What it would cost: no fee where it stays in the books.

        Raises what makes it impossible: `BadInvoice`, `NodeDown`, the errors of `payment`, and those of own invoices.
        """
        asked = await self._decode(order.bolt11)
        asked = asked._replace(description=one_line(asked.description))  # whoever wants sats wrote it
        info = await self._own.verified()
        check_payable(asked, info.network, self._clock.now())
        amount, limit = price(asked, order.amount, order.most, self._own.node.least_fee)
        inside = await self._store.read(lambda tx: self._own_invoice(tx, order, asked))
        return Quote(asked, amount, 0 if inside else limit)

    def _own_invoice(self, tx: PaymentTx, order: Order, asked: PaymentRequest) -> bool:
        """Whether it is this hub's own and stays in the books. Raises where such a one cannot be paid: nobody is asked first."""
        if (hold := tx.holds.find(asked.payment_hash)) is not None:
            raise OwnOrder(order=hold.id)
        if (invoice := tx.invoices.find(asked.payment_hash)) is None:
            return False
        self.outgoing.check_own(order, invoice, asked.bolt11)
        return True

    async def known(self, key: str) -> Payment | None:
        """What an earlier run of the same command paid, as it stands after a while at most: whatever holds now, it was paid."""
        found = await self._store.read(lambda tx: paid_under(tx, key))
        return found if found is None or found.over else await self._ended(found)

    async def pay(self, order: Order) -> Payment:
        """Pay, once for each key, and return how it stands after a while at most.

        Raises what `quote` does, `PaidAlready`, `BeingPaid`, `PaysYourself`, `OwnGate`, `CannotTakeBack`, `NotEnoughSats`, and
        what the guard refuses.
        """
        if (known := await self.known(order.key)) is not None:
            return known
        quote = await self.quote(order)
        payment = await self._store.write(lambda tx: self.outgoing.prepare(tx, order, quote))
        self._start(payment)
        return await self._ended(payment)

    def _start(self, payment: Payment) -> None:
        """Send it, whoever waits for it or not."""
        if payment.over or payment.payment_hash in self._busy:
            return
        self._busy[payment.payment_hash] = _Call(self._clock.now(), asyncio.Event())
        self._spawner.spawn(self._send(payment), f"payment {payment.payment_hash.hex()[:8]}")
        self._wake.set()  # should the node not answer, it is looked up in time

    async def _send(self, payment: Payment) -> None:
        try:
            turn = await patiently(self._store, lambda tx: self.outgoing.begin(tx, payment.payment_hash), self._clock)
            if turn is None:
                return
            if turn.own:
                await self._pay_inside(turn.payment)
            else:
                await self._book(turn.payment, explained(turn.payment, await self._call(turn)))
        finally:
            self._busy.pop(payment.payment_hash).ended.set()
            self._wake.set()

    async def _call(self, turn: Turn) -> Outcome:
        """Have the node pay. What it was never asked before, and certainly did not begin, has failed."""
        try:
            return await self._asked(turn)
        except NodeRefused as error:
            return Outcome(PayState.FAILED, why=str(error), begun=not turn.first)
        except NodeDown as error:
            self._own.doubt()
            if turn.fresh and isinstance(error, NotBegun):
                return Outcome(PayState.FAILED, why=str(error), begun=False)
            log.warning("the end of payment %s is not known: %s", turn.payment.payment_hash.hex()[:8], error)
            return Outcome(PayState.IN_FLIGHT)

    async def _asked(self, turn: Turn) -> Outcome:
        """Ask the node to pay. Where it refuses a hash that it may have seen before, what became of it then is what counts."""
        payment, node = turn.payment, self._own.node
        try:
            amount = payment.amount if payment.chosen else None
            return await node.pay(payment.bolt11, amount, payment.fee_limit, NODE_SECONDS)
        except NodeRefused:
            if turn.fresh or not node.traits.track:
                raise
            seen = await node.track(payment.payment_hash)
            if seen.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}:
                return seen
            raise

    async def _pay_inside(self, payment: Payment) -> None:
        """Pay an invoice of this hub's: in the books, once the node will take nothing for it any more."""
        try:
            await self._own.node.cancel_invoice(payment.payment_hash)
        except NodeRefused as error:  # it was paid at the node, and the books may not know it yet
            await self._book(payment, Outcome(PayState.FAILED, why=str(error)))
        except NodeDown as error:
            self._own.doubt()
            log.warning("invoice %s may be open at the node: %s", payment.payment_hash.hex()[:8], error)
        else:
            await patiently(self._store, lambda tx: self.outgoing.end_inside(tx, payment), self._clock)

    async def _book(self, payment: Payment, outcome: Outcome) -> None:
        await patiently(self._store, lambda tx: self.outgoing.end(tx, payment, outcome), self._clock)

    def _awaited(self, tx: PaymentTx, payment_hash: bytes) -> bool:
        """Whether somebody waits for its end, and did not leave before in this very run of the transaction."""
        return any(left != tx.turn for left in tuple(self._waiting.get(payment_hash, {}).values()))

    async def _ended(self, payment: Payment) -> Payment:
        """The payment as it stands once it ended, or patience did.

        Whoever waits leaves in the line of writes: an end is written either before, and seen here, or after, and told as news.
        It leaves in one run of the transaction, for that may be undone, and run again.
        """
        digest = payment.payment_hash
        if (call := self._busy.get(digest)) is None:
            return await self._store.read(lambda tx: as_it_stands(tx, payment))
        waiting, me = self._waiting.setdefault(digest, {}), object()
        waiting[me] = 0

        def leave(tx: PaymentTx) -> Payment:
            waiting[me] = tx.turn
            return as_it_stands(tx, payment)

        try:
            await self._clock.until(self._clock.now() + PATIENCE_MS, call.ended)
            return await self._store.write(leave)
        except NotWritten:
            waiting.pop(me, None)
            return await self._store.read(lambda tx: as_it_stands(tx, payment))
        finally:
            waiting.pop(me, None)
            if not waiting and self._waiting.get(digest) is waiting:
                del self._waiting[digest]

    async def run(self) -> None:
        """Follow what is unfinished to its end, for ever. Raises `NodeDown` and `OtherNode`."""
        while True:
            self._wake.clear()
            found = await self._store.read(lambda tx: tx.payments.unfinished())
            left = {one.payment_hash: one for one in found}
            due = self._looks.due(left, [one for one in left if self.under_way(one)], self._clock.now())
            if due:
                await self._own.verified()
            for payment_hash in due:
                self._looks.looked(payment_hash, self._clock.now())
                await self._look(left[payment_hash])
            times = [call.since + SILENT_MS for call in self._busy.values() if self._fresh(call)]
            if (following := self._looks.following()) is not None:
                times.append(following)
            await self._clock.until(min(times, default=None), self._wake)

    def under_way(self, payment_hash: bytes) -> bool:
        """Whether its call is on its way; one that has been silent for long is taken for lost, and may come back all the same."""
        call = self._busy.get(payment_hash)
        return call is not None and self._fresh(call)

    def _fresh(self, call: _Call) -> bool:
        return 0 <= self._clock.now() - call.since < SILENT_MS

    async def _look(self, payment: Payment) -> None:
        """Ask the node how a payment stands, and do what follows."""
        node = self._own.node
        digest = payment.payment_hash
        own, before = await self._store.read(lambda tx: (tx.invoices.find(digest), tx.payments.before(digest)))
        if own is not None:
            self._start(payment)
            return
        outcome = await node.track(digest) if node.traits.track else Outcome(PayState.UNKNOWN)
        if after_looking(payment, outcome, node.traits, before) is Next.SEND:
            self._start(payment)
        else:
            await self._book(payment, explained(payment, outcome))
