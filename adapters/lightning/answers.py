"""Reading what a node answers with every doubt: a field that is missing, or another kind of thing than documented, is no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from adapters.lightning.bolt11 import decode
from core.chat import one_line
from core.money import MAX_SATS, MSAT, to_msat
from core.wallet.lightning import BadInvoice, NodeDown, NodeRefused

if TYPE_CHECKING:
    from core.wallet.lightning import PaymentRequest, Traits

T = TypeVar("T")
HASH_BYTES = 32


class Answers:
    """What one kind of node says. `needed`: what it would have to be, for the person who reads that it is not."""

    def __init__(self, backend: str, needed: str) -> None:
        self._backend = backend
        self._needed = needed

    def down(self, why: str) -> NodeDown:
        """The node is down, or what answers there is none. Its own words may be in `why`: no terminal obeys them."""
        return NodeDown(backend=self._backend, why=one_line(why))

    def refused(self, why: str) -> NodeRefused:
        """It certainly did nothing. `why` as with `down`."""
        return NodeRefused(backend=self._backend, why=one_line(why))

    def odd(self) -> NodeDown:
        """It answers what such a node does not."""
        return self.down(f"its answer cannot be read; {self._needed} is needed")

    def field(self, answer: Any, name: str, kind: type[T], default: T | None = None) -> T:
        """A field; null is as good as missing. Raises `NodeDown` where it is of another kind, or missing without a default."""
        if not isinstance(answer, dict):
            raise self.odd()
        found = default if (given := answer.get(name)) is None else given
        if type(found) is not kind:
            raise self.odd()
        return found

    def bytes32(self, answer: object, name: str) -> bytes:
        """A hash or preimage in hex. Raises `NodeDown`."""
        try:
            found = bytes.fromhex(self.field(answer, name, str))
        except ValueError:
            raise self.odd() from None
        if len(found) != HASH_BYTES:
            raise self.odd()
        return found

    def check_hash(self, answer: object, name: str, asked: bytes) -> None:
        """Raise `NodeDown` where it tells of another payment than it was asked for."""
        if self.bytes32(answer, name) != asked:
            raise self.down("it tells of another payment than it was asked for")

    def invoice(self, bolt11: str) -> PaymentRequest:
        """An invoice out of its book: one that cannot be read is the node's fault, not the user's. Raises `NodeDown`."""
        try:
            return decode(bolt11)
        except BadInvoice:
            raise self.odd() from None

    def check(self, amount: int, traits: Traits) -> None:
        """Raise `NodeRefused` for an amount (msat) that cannot be asked or sent."""
        if not 0 < amount <= to_msat(MAX_SATS):
            raise self.refused("an amount is more than nothing, and no more than there is")
        if not traits.msat and amount % MSAT:
            raise self.refused("it knows whole sats only")

    def due(self, asked: PaymentRequest, amount: int | None) -> int:
        """What paying an invoice costs without the fee, msat. Raises `NodeRefused` where `amount` does not belong to it."""
        if asked.amount is None and amount is not None:
            return amount
        if asked.amount is not None and amount is None:
            return asked.amount
        raise self.refused("an amount belongs to an invoice that leaves it open, and to no other")
