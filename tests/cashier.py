"""A cashier whose invoices are paid when a test says so; it stands for the hub's own until that is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import Unavailable
from core.wallet.ledger import EXTERNAL, TREASURY, transfer
from core.wallet.lightning import NodeDown, NodeInvoice

if TYPE_CHECKING:
    from core.ports import Clock
    from core.store import Store
    from core.wallet.wallet import LedgerTx


@dataclass
class FakeCashier:
    """See `core.wallet.sales.Cashier`. What came is booked to the treasury of `store`, if there is one. `down`: why it is."""

    clock: Clock
    store: Store[LedgerTx] | None = None
    down: str = ""
    made: list[NodeInvoice] = field(default_factory=list)
    memos: list[str] = field(default_factory=list)
    asked: int = 0
    paid: set[bytes] = field(default_factory=set)

    def _up(self) -> None:
        if self.down:
            raise NodeDown(backend="fake", why=self.down)

    async def ask(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """See `Cashier`."""
        self._up()
        payment_hash = hashlib.sha256(self.preimage(len(self.made))).digest()
        made = NodeInvoice(payment_hash, f"lnbcrt{len(self.made)}", amount, self.clock.now() + expiry * 1000)
        self.made.append(made)
        self.memos.append(memo)
        return made

    async def settled(self, payment_hash: bytes) -> bool:
        """See `Cashier`: what has come is booked before it is said."""
        self._up()
        self.asked += 1
        if payment_hash not in self.paid:
            return False
        if self.store is not None:
            amount = next(one.amount for one in self.made if one.payment_hash == payment_hash)
            key = f"paid {payment_hash.hex()}"
            entry = transfer(key, "invoice", EXTERNAL, TREASURY, amount, task=None, actor="hub", reason="sold")
            await self.store.write(lambda tx: tx.ledger.append(entry))
        return True

    @staticmethod
    def preimage(number: int) -> bytes:
        """Of the invoice with this number, from 0."""
        return hashlib.sha256(f"preimage {number}".encode()).digest()

    def pay(self, bolt11: str) -> str:
        """A wallet outside pays; returns the preimage, hex."""
        number = int(bolt11.removeprefix("lnbcrt"))
        invoice = self.made[number]
        if self.clock.now() >= invoice.expires_at or invoice.payment_hash in self.paid:
            raise Unavailable(why="the invoice cannot be paid")
        self.paid.add(invoice.payment_hash)
        return self.preimage(number).hex()
