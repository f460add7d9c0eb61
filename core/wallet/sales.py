"""The words of selling by L402: what is sold, offers and bundles, calls, why a token opens nothing; and where they are kept."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import UserError
from core.store import Tx

if TYPE_CHECKING:
    from core.wallet.l402 import Terms
    from core.wallet.lightning import NodeInvoice


TALKS, TASKS = "chat", "tasks"
"""The services that are sold."""


class PaymentNeeded(UserError):
    """This costs {price}. Pay the invoice of the WWW-Authenticate header, and ask again with its token: L402 TOKEN:PREIMAGE."""

    status = 402


class TokenExpired(PaymentNeeded):
    """This token is too old. The WWW-Authenticate header has an offer for another ({price})."""


class TokenSpent(PaymentNeeded):
    """The calls of this token are used up. The WWW-Authenticate header has an offer for another ({price})."""


class NotPaid(PaymentNeeded):
    """The payment of this token has not arrived. The WWW-Authenticate header has another offer ({price})."""


class OtherGoods(PaymentNeeded):
    """This token was bought for something else. The WWW-Authenticate header has an offer for this ({price})."""


class TooManyOffers(UserError):
    """Too many offers were asked for and not paid. Pay one, or try again in {seconds} s."""

    status = 429


class KeyOfAnother(UserError):
    """Another request was sent with this Idempotency-Key. Use a new key for each request."""


class StillWorking(UserError):
    """The request with this Idempotency-Key is still being worked on. Ask again in a moment, with the same key."""

    status = 409


class BadCount(UserError):
    """The number of calls is a whole one from 1 to {most}, such as ?calls=10."""


class Cashier(Protocol):
    """Takes sats in for what is sold."""

    async def ask(self, amount: int, memo: str, expiry: int) -> NodeInvoice:
        """An invoice over `amount` msat that can be paid for `expiry` seconds. Raises `NodeDown` and `NodeRefused`."""

    async def settled(self, payment_hash: bytes) -> bool:
        """Whether the node has what was asked. Raises `NodeDown`."""


class Goods(NamedTuple):
    """One thing that is sold: beneath `resource`, for `price` msat a call."""

    service: str
    resource: str
    price: int
    words: str


class Bundle(NamedTuple):
    """An offer, and what it is once it is paid. `payable` is when its invoice expires, Unix ms."""

    token: bytes
    payment_hash: bytes
    terms: Terms
    client: str
    bolt11: str
    payable: int
    settled_at: int | None = None


class CallState(StrEnum):
    """Where a call stands."""

    RESERVED = "reserved"
    USED = "used"
    RETURNED = "returned"


class Call(NamedTuple):
    """A call of a bundle. `request` is the hash of what was asked under `key`, `task` the number of what it posted."""

    token: bytes
    key: str
    request: str
    state: CallState = CallState.RESERVED
    attempt: int = 1
    task: int | None = None

    @property
    def cause(self) -> str:
        """The key under which this attempt has its effect once."""
        return f"{causes(self.token)}{self.key}/{self.attempt}"


def causes(token: bytes) -> str:
    """How the keys of all effects of a bundle begin."""
    return f"l402/{token.hex()}/"


class Sold(NamedTuple):
    """What was sold so far: offers made, bundles paid and their msat, calls used but for tasks that came to nothing."""

    offers: int
    bundles: int
    earned: int
    calls: int


class SaleStore(Protocol):
    """Offers, bundles and calls, inside one unit of work."""

    def offered(self, client: str, goods: Goods, calls: int, after: int) -> Bundle | None:
        """The newest unpaid offer of this to a client that can still be paid after this time."""

    def bundle(self, token: bytes) -> Bundle | None:
        """A bundle by its token's id."""

    def keep(self, bundle: Bundle) -> None:
        """Write a bundle, or that it was settled."""

    def call(self, token: bytes, key: str) -> Call | None:
        """A call by its key."""

    def put(self, call: Call, now: int) -> None:
        """Write a call as it stands."""

    def forget_returned(self, token: bytes, but: int) -> None:
        """Forget a bundle's calls that were given back, `but` for the newest so many."""

    def known(self, token: bytes) -> int:
        """How many calls of a bundle there are, those that were given back among them."""

    def answers(self, token: bytes) -> int:
        """How many answers to a bundle's calls are kept, whole ones and those that broke off."""

    def tally(self, token: bytes, answers: int) -> tuple[int, int]:
        """Of a bundle with so many answers: the calls that count, and what came to nothing.

        Those that count are reserved or used, but for tasks that came to nothing; the others are these,
        and answers that broke off.
        """

    def crowded(self, most: int) -> bool:
        """Whether more than so many tasks of strangers are waiting or worked on."""

    def bought(self, token: bytes, task: int) -> bool:
        """Whether a call of this bundle posted the task."""

    def reserved(self) -> list[Call]:
        """Every call that is reserved."""

    def sold(self) -> Sold:
        """The figures."""


class SaleTx(Tx, Protocol):
    """A unit of work over sales."""

    @property
    def sales(self) -> SaleStore:
        """Offers, bundles and calls."""
