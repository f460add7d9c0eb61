"""What the L402 gate takes and gives as JSON, and what it asks of whoever sells: `/openapi.json` is written from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.money import format_sats
from core.wallet.sales import TALKS, TASKS, Goods

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.errors import Unavailable
    from core.swarm.ports import ResultFile
    from core.swarm.task import Task
    from core.wallet.l402 import Grant
    from core.wallet.lightning import NodeInvoice
    from core.wallet.sales import Sold


@dataclass(frozen=True, slots=True)
class Message:
    """What is said to the agent."""

    message: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What the agent says."""

    response: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done, and what it may cost at most: a call's price, if nothing is said."""

    description: str
    max_sats: int | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """A task that was bought."""

    task_id: str
    status: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A result file; `href` is opened with the task's token."""

    name: str
    size: int
    href: str


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task as its buyer sees it: `result` once it is delivered, `why` where it came to nothing (the call is given back)."""

    task_id: str
    status: str
    result: str | None = None
    why: str | None = None
    files: list[FileFacts] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the owner asks for."""

    amount_sats: int
    memo: str


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """An invoice: 32 bytes as hex, time in Unix ms."""

    bolt11: str
    payment_hash: str
    amount_sats: int
    expires_at: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class Ware:
    """One thing that is sold; `sold_now`: whether it could be bought at this moment."""

    service: str
    method: str
    path: str
    description: str
    price_sats: int
    sold_now: bool


@dataclass(frozen=True, slots=True)
class Wares:
    """What is sold. `?calls=N` asks for a bundle of up to `max_calls`; one token opens that many calls of its service."""

    name: str
    scheme: str
    version: str
    currency: str
    simulated: bool
    offer_seconds: int
    bundle_seconds: int
    max_calls: int
    services: list[Ware]


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What was sold so far."""

    open: bool
    address: str
    price_sats: int
    offers: int
    bundles: int
    earned_sats: int
    calls_used: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class Open:
    """It sells."""

    ok: bool = True


class Till(Protocol):
    """Offers and tokens; `core.wallet.selling.Seller`."""

    async def offer(self, goods: Goods, calls: int, client: str, network: str = "", header: str | None = None) -> str:
        """The WWW-Authenticate header of an offer, for a client of a network who came with this Authorization."""

    async def admit(self, header: str | None, goods: Goods, path: str) -> Grant:
        """What a token opens."""

    async def recover(self) -> int:
        """Close the calls that an earlier run left reserved."""

    async def sold(self) -> Sold:
        """What was sold."""

    async def invoice(self, amount: int, memo: str) -> NodeInvoice:
        """An invoice of the owner's."""


class Counter(Protocol):
    """What is done for those who paid; `bot.shop.Shop`."""

    async def refusal(self, goods: Goods) -> Unavailable | None:
        """Why this would not be done now."""

    def examine(self, description: str, max_sats: int | None, *, price: int) -> int:
        """What a task may cost for which a call of `price` msat is paid. Raises what is wrong with it."""

    async def open(self, goods: Goods) -> None:
        """Raise that: then nobody is asked to pay for it."""

    async def chat(self, grant: Grant, message: str, key: str | None) -> str:
        """The agent's answer."""

    async def post(self, grant: Grant, description: str, max_sats: int | None, key: str | None) -> Task:
        """A task that was posted."""

    async def task(self, grant: Grant, number: int) -> tuple[Task, list[ResultFile]]:
        """A task, and its files."""


@dataclass(frozen=True, slots=True)
class Shopfront:
    """What is sold and by whom. `price` in msat a call; `place` says where a result file lies."""

    till: Till
    counter: Counter
    price: int
    simulated: bool
    place: Callable[[ResultFile], Path]

    def goods(self) -> tuple[Goods, Goods]:
        """Talk and work."""
        return (
            Goods(TALKS, "/v1/chat", self.price, "Timmy: an answer of the agent"),
            Goods(TASKS, "/v1/tasks", self.price, "Timmy: a task for the swarm"),
        )

    def money(self, msat: int) -> str:
        """An amount for people, who are told where the sats are play money."""
        return format_sats(msat).replace(" sat", " simulated sat") if self.simulated else format_sats(msat)
