"""The port to a Lightning node: what the wallet asks of one, in the node's own words (MONEY, "Lightning").

Amounts are msat, times Unix milliseconds UTC, hashes and preimages 32 raw bytes. A call that raises `NodeDown` says nothing about
what the node did: whoever sent sats asks `track` before anything else. Only `Outcome` says how a payment ended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class NodeDown(Unavailable):
    """The Lightning node ({backend}) does not answer: {why}. Nothing is lost; it is asked again."""


class NotBegun(NodeDown):
    """The Lightning node ({backend}) cannot be reached: {why}. Nothing was sent; try again later."""


class NodeBehind(NodeDown):
    """The Lightning node ({backend}) is {why}. What it does not know yet is not taken for so; ask again when it has caught up."""


class NodeRefused(UserError):
    """The Lightning node ({backend}) refused: {why}"""


class CannotDo(UserError):
    """The Lightning backend {backend} cannot {what}."""


class BadInvoice(UserError):
    """This is not a Lightning invoice that can be read: {why}. Copy it whole; it begins with lnbc (or lntb, lntbs, lnbcrt)."""


class Traits(NamedTuple):
    """What a backend can do.

    `hold`: invoices that are held until they are settled or cancelled, and the cancelling of open ones. `msat`: amounts below
    a sat. `track`: tells how an outgoing payment stands, by its hash. `stream`: pushes what was settled. `once`: the same
    payment hash sent twice is paid once.
    """

    hold: bool
    msat: bool
    track: bool
    stream: bool
    once: bool


class NodeInfo(NamedTuple):
    """Who the node is. `network`: one of `PREFIXES`; `node`: its public key, hex, or the wallet's name where there is none.

    `height`: of the best block it knows, 0 where it does not say; `synced`: whether that is the chain's.
    """

    network: str
    node: str
    height: int
    synced: bool

    @property
    def behind(self) -> str:
        """That it is not in step with the chain, in words; empty where it is. What it does not know then may be so all the same."""
        if self.synced:
            return ""
        return (
            f"not in step with the chain: its newest block is {self.height:,}"
            if self.height
            else "not in step with the chain"
        )


PREFIXES = {"bitcoin": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt", "simulated": "bcrt"}
"""What follows `ln` in the invoices of a network (BOLT 11)."""


SIMULATED_SATS = 1_000_000
"""What a new simulated node has: no more of it can be anybody's."""

HOLD_BLOCKS = 144
"""How many blocks a held payment must be good for when it arrives: its invoice asks for that (BOLT 11, field `c`)."""

MEMO_BYTES = 639
"""What an invoice's description takes (BOLT 11, field `d`)."""


class PaymentRequest(NamedTuple):
    """A decoded BOLT11. `prefix`: of `PREFIXES`; `amount`: None where the payer chooses it; `payee`: public key, hex."""

    bolt11: str
    prefix: str
    payment_hash: bytes
    payee: str
    amount: int | None
    description: str
    expires_at: int


class InvoiceState(StrEnum):
    """Where an invoice of ours stands at the node. `held`: paid, and waiting for `settle_hold` or `cancel_invoice`."""

    OPEN = "open"
    HELD = "held"
    SETTLED = "settled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NodeInvoice:
    """An invoice of ours as the node has it. `amount` is what was asked, `received` what came (0 until then).

    `index`: its place in the order of settlements, from 1; 0 until it is settled, or where the node keeps no such order.
    `settled_at`: when, Unix ms by the node's clock; 0 where it does not say. `held_until`: the block height at which the first
    part of what is held runs out; 0 where nothing is held, or the node does not say.
    """

    payment_hash: bytes
    bolt11: str
    amount: int
    expires_at: int
    state: InvoiceState = InvoiceState.OPEN
    received: int = 0
    index: int = 0
    settled_at: int = 0
    held_until: int = 0


class PayState(StrEnum):
    """How an outgoing payment stands at the node. `unknown`: the node has never seen it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """What a node says of an outgoing payment. Success carries its `preimage`, the `amount` that arrived and the routing `fee`.

    `begun`: false where it failed before the node began anything.
    """

    state: PayState
    preimage: bytes | None = None
    amount: int = 0
    fee: int = 0
    why: str = ""
    begun: bool = True


def proves(preimage: bytes | None, payment_hash: bytes) -> bool:
    """Whether a preimage is the payment's receipt (BOLT 11: its SHA-256 is the payment hash)."""
    return preimage is not None and hashlib.sha256(preimage).digest() == payment_hash


class Receiver(Protocol):
    """Taking sats in."""

    async def create_invoice(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """Ask for `amount` msat, for `expiry` seconds. Raises `NodeDown` and `NodeRefused`."""

    async def lookup(self, payment_hash: bytes) -> NodeInvoice | None:
        """An invoice of ours as it stands; None: the node has no such invoice. Raises `NodeDown`."""

    def settled(self, after: int) -> AsyncIterator[NodeInvoice]:
        """What was settled after the settlement `after`, then what is, for ever. Raises `NodeDown` when the stream ends.

        Where `Traits.stream` is false it looks at short intervals. It may repeat one: the books take each once.
        """


class Payer(Protocol):
    """Sending sats out."""

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        """Pay; `amount` only where the invoice leaves it open; the node tries for at most `timeout` seconds.

        Returns a final outcome, or `IN_FLIGHT` where the node has not come to an end. Raises `NodeDown` where it is not known
        whether the payment was begun; `NodeRefused`, and `NotBegun` where nobody answered, say that this order certainly was not.
        """

    async def track(self, payment_hash: bytes) -> Outcome:
        """How a payment stands now. Raises `NodeDown`."""


class Holds(Protocol):
    """Invoices that are held (`Traits.hold`)."""

    async def create_hold(self, payment_hash: bytes, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """Ask for `amount` msat under a hash whose preimage only we know, to be held for `HOLD_BLOCKS` where it is paid."""

    async def settle_hold(self, preimage: bytes) -> None:
        """Take what is held. Doing it again changes nothing. Raises `NodeDown` and `NodeRefused`."""

    async def cancel_invoice(self, payment_hash: bytes) -> None:
        """Give back what is held, or take back an open invoice. Again changes nothing. Raises `NodeRefused` where it is settled."""


class Node(Protocol):
    """The node itself."""

    @property
    def backend(self) -> str:
        """Its name in the settings: `simulated`, `lnd`, `nwc`, `phoenixd`."""

    @property
    def traits(self) -> Traits:
        """What it can do."""

    def least_fee(self, amount: int) -> int:
        """What must be allowed for routing `amount` msat, for it to try at all; 0 where any limit will do."""

    async def info(self) -> NodeInfo:
        """Who it is. Raises `NodeDown`."""

    async def balance(self) -> int:
        """What it can spend over Lightning, msat; what is in flight out of it has left it. Raises `NodeDown`."""

    async def close(self) -> None:
        """Let go of connections and files."""


class Lightning(Node, Receiver, Payer, Holds, Protocol):
    """A whole backend. What its traits deny raises `CannotDo`."""
