"""A Lightning wallet without a wire, and the world beyond it: what the wire fakes of real wallets have behind them.

It signs real BOLT11, keeps its books over restarts of whoever talks to it, and has its own time. Amounts are msat, times Unix ms.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import bolt11
from bolt11.models.tags import Tag, TagChar, Tags

from tests.contract.lightning import NotPaid
from tests.fakes import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

OUR_KEY = "11" * 32
THEIR_KEY = "22" * 32
SAT = 1000
FUNDS = 1_000_000 * SAT
_UNITS = (("", 10**12), ("m", 10**9), ("u", 10**6), ("n", 10**3), ("p", 1))


def sign(human: str, key: str, payment_hash: bytes, memo: str, at: int, expiry: int) -> str:
    """A BOLT11 by the `bolt11` library. `human`: the prefix and the amount; `expiry` in seconds from `at`."""
    tags = [
        Tag(TagChar.payment_hash, payment_hash.hex()),
        Tag(TagChar.payment_secret, hashlib.sha256(payment_hash).hexdigest()),
        Tag(TagChar.description, memo),
        Tag(TagChar.expire_time, expiry),
        Tag(TagChar.min_final_cltv_expiry, 18),
    ]
    return bolt11.encode(bolt11.Bolt11(currency=human, date=at // 1000, tags=Tags(tags)), key)


def shortest(amount: int | None) -> str:
    """An amount as BOLT 11 wants it. The library's own goes wrong at 1,000 BTC."""
    if amount is None:
        return ""
    unit, size = next((unit, size) for unit, size in _UNITS if amount * 10 % size == 0)
    return f"{amount * 10 // size}{unit}"


@lru_cache(1000)
def read(invoice: str) -> bolt11.Bolt11:
    """The parts of a BOLT11. Raises an error of the library's, or `ValueError`, where it is none."""
    return bolt11.decode(invoice)


@dataclass
class Invoice:
    """One of the wallet's own."""

    bolt11: str
    preimage: bytes
    payment_hash: bytes
    amount: int
    memo: str
    created: int
    expires: int
    received: int = 0
    settled: int = 0


@dataclass
class Payment:
    """One attempt of the wallet to pay."""

    bolt11: str
    payment_hash: bytes
    amount: int
    created: int
    state: str = "pending"
    fee: int = 0
    preimage: bytes | None = None
    reason: str = ""
    completed: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Asked:
    """An invoice of somebody outside; `fails` as in `tests.contract.lightning.Driver.ask`."""

    preimage: bytes
    expires: int
    fails: str
    fee: int


class LightningNode:
    """The wallet and its world."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.now = EPOCH
        self.balance = FUNDS
        self.invoices: dict[bytes, Invoice] = {}
        self.payments: list[Payment] = []
        self.sent: Counter[bytes] = Counter()
        self.on_received: list[Callable[[Invoice], Any]] = []
        self._asked: dict[bytes, Asked] = {}
        self._count = 0

    def _secret(self) -> bytes:
        self._count += 1
        return hashlib.sha256(b"preimage %d" % self._count).digest()

    def invoice(self, amount: int, memo: str, expiry: int) -> Invoice:
        """Make one of the wallet's own."""
        preimage = self._secret()
        payment_hash = hashlib.sha256(preimage).digest()
        text = sign(self.prefix + shortest(amount), OUR_KEY, payment_hash, memo, self.now, expiry)
        made = Invoice(text, preimage, payment_hash, amount, memo, self.now, self.now + expiry * 1000)
        self.invoices[payment_hash] = made
        return made

    def receive(self, text: str, amount: int | None) -> Invoice:
        """Somebody outside pays an invoice of the wallet's."""
        found = self.invoices[bytes.fromhex(read(text).payment_hash)]
        came = found.amount if amount is None else amount
        if found.settled or self.now >= found.expires or came < found.amount:
            raise NotPaid
        self.now += 1
        found.received, found.settled = came, self.now
        self.balance += came
        for told in self.on_received:
            told(found)
        return found

    def ask(self, amount: int | None, fails: str, fee: int, expiry: int = 3600) -> str:
        """An invoice of somebody outside."""
        preimage = self._secret()
        payment_hash = hashlib.sha256(preimage).digest()
        self._asked[payment_hash] = Asked(preimage, self.now + expiry * 1000, fails, fee)
        return sign(self.prefix + shortest(amount), THEIR_KEY, payment_hash, "theirs", self.now, expiry)

    def fee(self, payment_hash: bytes) -> int:
        """What the way to this payee costs."""
        return self._asked[payment_hash].fee if payment_hash in self._asked else 0

    def begin(self, text: str, payment_hash: bytes, amount: int) -> Payment:
        """Begin to pay. What does not hang is over at once."""
        made = Payment(text, payment_hash, amount, self.now)
        self.payments.append(made)
        theirs = self._asked.get(payment_hash)
        if amount + self.fee(payment_hash) > self.balance:
            self._end(made, "not enough funds in wallet to afford payment")
        elif payment_hash in self.invoices:
            self._to_itself(made)
        elif theirs is None or theirs.fails == "no_route":
            self._end(made, "recipient node is offline or unreachable")
        elif self.now >= theirs.expires:
            self._end(made, "recipient node rejected the payment")
        else:
            made.fee = theirs.fee
            self.balance -= amount + made.fee
            if theirs.fails != "hangs":
                self._end(made, "")
        return made

    def _to_itself(self, payment: Payment) -> None:
        """Wallets there are that pay themselves: out of one pocket into the other (Alby Hub does)."""
        own = self.receive(payment.bolt11, payment.amount)
        self.balance -= payment.amount
        payment.state, payment.preimage, payment.completed = "succeeded", own.preimage, self.now
        self.sent[payment.payment_hash] += 1
        payment.over.set()

    def land(self, payment_hash: bytes, *, well: bool) -> None:
        """What hangs comes to its end."""
        (hanging,) = [one for one in self.payments if one.payment_hash == payment_hash and one.state == "pending"]
        if not well:
            self.balance += hanging.amount + hanging.fee
        self._end(hanging, "" if well else "a node in the route had a temporary failure")

    def _end(self, payment: Payment, reason: str) -> None:
        self.now += 1
        payment.completed, payment.reason = self.now, reason
        payment.state = "failed" if reason else "succeeded"
        if reason:
            payment.fee = 0
        else:
            payment.preimage = self._asked[payment.payment_hash].preimage
            self.sent[payment.payment_hash] += 1
        payment.over.set()

    def outgoing(self, payment_hash: bytes) -> Payment | None:
        """The attempt that came furthest."""
        rank = {"failed": 1, "pending": 2, "succeeded": 3}
        found = [one for one in self.payments if one.payment_hash == payment_hash]
        return max(found, key=lambda one: rank[one.state], default=None)
