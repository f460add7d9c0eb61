"""What was bought from a server by L402, as rows, and the rules of when one may be paid for. Pure.

A purchase is written before its invoice is paid, with the token that the payment makes good, so that whoever lost an answer
(the server's, or this hub in a crash) finds the paid token and never pays again. Amounts are msat, times Unix ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from core.errors import Refused, Unavailable, UserError
from core.store import Tx

if TYPE_CHECKING:
    from core.wallet.challenge import Challenge
    from core.wallet.lightning import PaymentRequest


class State(StrEnum):
    """Where a purchase stands.

    `challenged`: the price is known, nothing is paid. `paying`: the payment may have been begun. `paid`: its token is good and
    nothing has come for it yet. `used`: it has been answered, and its token may be good for more. The ends: `spent`, its token is
    taken no more; `unserved`, the server was paid and asked for money again instead; `failed`, nothing was paid.
    """

    CHALLENGED = "challenged"
    PAYING = "paying"
    PAID = "paid"
    USED = "used"
    SPENT = "spent"
    UNSERVED = "unserved"
    FAILED = "failed"


class TooDear(UserError):
    """{host} asks {price}, more than the {most} that you agreed to. Nothing was paid."""


class Unserved(Refused):
    """{host} was paid {price} and asks for money again. It gets no second payment, unless you say so with again=yes."""


class MayBePaid(Refused):
    """{host} may have been paid {price} for this: the payment {payment} was given up, and may have arrived all the same.

    Nothing more was paid, and nothing will be, unless you say so with again=yes.
    """


class BoughtBefore(Refused):
    """{host} was paid {price} for this very request, and its token is used up. Nothing more was paid. Ask once more to buy anew."""


class NotServed(Unavailable):
    """{host} was paid {price}, and its answer did not come: {why} Ask again for the same address: it is not paid twice."""


class OnItsWay(Unavailable):
    """The payment of {price} to {host} is on its way: {why} Ask again for the same address: it is not paid twice."""


class NotSold(Unavailable):
    """{host} answers with the status {status} instead of a page. Nothing was paid."""


class OfferOver(UserError):
    """This offer of {host} is over. Nothing was paid. Ask for the address again."""

    status = 409


def origin_of(url: str) -> str:
    """Scheme, host and port of an address: `https://example.org:8402`."""
    return "/".join(url.split("/", 3)[:3]).partition("?")[0].partition("#")[0]


def scope_of(url: str) -> str:
    """What one token may be good for: an address without its query. As written, so that no two readings of it can differ."""
    return url.partition("#")[0].partition("?")[0]


def host_of(url: str) -> str:
    """The host of an address, with its port if it has one of its own: all of it that is shown."""
    return urlsplit(origin_of(url)).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One token and its price. `url`: what was asked for; `site`: where the challenge came from, where the token goes.

    `key`: of the command that it was last bought or fetched for. `token` and `preimage` are secrets.
    """

    id: int
    key: str
    account: str
    url: str = field(repr=False)
    site: str = field(repr=False)
    scheme: str
    token: str = field(repr=False)
    invoice: str = field(repr=False)
    payment_hash: bytes
    amount: int
    expires_at: int
    state: State
    at: int
    preimage: bytes | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Who sells it, as people are shown it."""
        return host_of(self.site)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants: the page at `url`, for `account`, for at most `most` msat; `key` names the command, once.

    `again`: pay, though this server was paid before and did not deliver, or may have been paid; only a person says so. `agreed`:
    a person has agreed to pay up to `most`, so that it is not asked again; `by` is the account of that person.
    """

    account: str
    url: str = field(repr=False)
    most: int | None
    key: str
    again: bool = False
    agreed: bool = False
    by: str = ""


def must_ask(order: Order, cost: int, limit: int | None) -> bool:
    """Whether a person must agree first: it may `cost` more than the account's `limit`, or nobody has named an amount; msat."""
    if order.agreed:
        return False
    return order.most is None if limit is None else cost > limit


def offered(order: Order, site: str, challenge: Challenge, request: PaymentRequest, now: int) -> Purchase:
    """The purchase that a challenge from `site` offers for an order; `request` is its invoice, and has an amount."""
    return Purchase(
        0, order.key, order.account, order.url, site, challenge.scheme, challenge.token, challenge.invoice,
        request.payment_hash, request.amount or 0, request.expires_at, State.CHALLENGED, now,
    )  # fmt: skip


class PurchaseStore(Protocol):
    """Purchases, inside one unit of work."""

    def add(self, purchase: Purchase) -> Purchase:
        """Keep a new one; returned with its number."""

    def put(self, purchase: Purchase) -> None:
        """It stands so now."""

    def find(self, number: int) -> Purchase | None:
        """One by its number."""

    def held(self, account: str, url: str, key: str) -> Purchase | None:
        """What an account has for an address, the first of these that there is; never what failed.

        What the command `key` bought; what is open for this address; a used token for it; one for its scope, the newest.
        """

    def begun(self, payment_hash: bytes) -> int | None:
        """The purchase that pays or has paid this invoice: servers hand the same to several who ask."""

    def unserved(self, account: str, origin: str, url: str) -> Purchase | None:
        """What an account has paid for in vain, at this origin or for this address: the newest of either, if it was in vain."""

    def given_up(self, account: str, url: str) -> Purchase | None:
        """What an account bought last for this address, where an owner gave its payment up: it may have been paid."""

    def hand_over(self, source: str, target: str) -> None:
        """What one account has paid for, or may have, is another's from now on: to be used, or not to be paid again unasked.

        Where both have paid for the same and not had it yet, each keeps its own.
        """


class PurchaseTx(Tx, Protocol):
    """A unit of work with purchases."""

    @property
    def purchases(self) -> PurchaseStore:
        """The purchases."""
