"""Any orders, from a shop and over a node that do what they like, with crashes at any step: no command pays twice, and an address
is not paid for again while what was paid for it may still be had.

The shop and the node are a plain model in memory; the rows are in a real database, which is opened anew after each crash.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sqlite.writer import Database
from core.errors import HubError, Unavailable
from core.ports import Page
from core.wallet.buying import Asks, Bought, Buying
from core.wallet.lightning import Outcome, PaymentRequest, PayState
from core.wallet.purchase import Order, Unserved
from tests.blank import blank
from tests.depth import depth
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SITE = "https://shop.example/"
MINUTE = 60_000


class Crash(BaseException):
    """The process is killed."""


class Lost(Unavailable):
    """An answer was lost."""


@dataclass
class Sale:
    """One token of the shop's, and what became of its invoice."""

    number: int
    price: int
    expires_at: int
    left: int
    state: PayState = PayState.UNKNOWN
    order: Order | None = None
    served: bool = False
    tried: bool = False

    @property
    def preimage(self) -> bytes:
        return hashlib.sha256(b"%d" % self.number).digest()

    @property
    def payment_hash(self) -> bytes:
        return hashlib.sha256(self.preimage).digest()


@dataclass
class World:
    """The shop, the node, the steps until a crash: `Fetcher` and `Pays` of the buyer under test."""

    clock: FakeClock = field(default_factory=FakeClock)
    sales: list[Sale] = field(default_factory=list)
    price: int = 1000
    calls: int = 2
    fault: str = ""
    fate: PayState = PayState.SUCCEEDED
    steps: int = 0
    order: Order | None = None
    limit: int | None = 1500

    def step(self) -> None:
        """Every commit and every word over a wire, before and after, is one."""
        self.steps -= 1
        if self.steps == 0:
            raise Crash

    def check(self, url: str) -> None:
        """Any may be asked."""

    async def get(self, url: str, *, authorization: str = "") -> Page:
        self.step()
        page = self._answer(url, authorization)
        self.step()
        if self.fault == "lost":
            raise Lost
        return page

    def _answer(self, url: str, said: str) -> Page:
        sale = None
        if said:
            number, receipt = said.removeprefix("L402 ").split(":")
            sale = self.sales[int(number)]
            assert bytes.fromhex(receipt) == sale.preimage
            assert sale.state is PayState.SUCCEEDED
            sale.tried = True
        if self.fault == "broken":
            return Page(500, url)
        if sale is not None and sale.left and self.fault != "greedy":
            sale.left -= 1
            sale.served = True
            return Page(200, url, "text/plain", "", b"the page")
        sale = Sale(len(self.sales), self.price, self.clock.now() + 10 * MINUTE, self.calls)
        self.sales.append(sale)
        return Page(402, url, challenges=(f'L402 macaroon="{sale.number}", invoice="lnbcrt{sale.number}"',))

    async def decode(self, text: str) -> PaymentRequest:
        sale = self.sales[int(text.removeprefix("lnbcrt"))]
        return PaymentRequest(text, "bcrt", sale.payment_hash, "02", sale.price, "", sale.expires_at)

    async def here(self) -> str:
        return "bcrt"

    async def limit_of(self, account: str) -> int | None:
        return self.limit

    async def cost(self, account: str, bolt11: str) -> int:
        return self.sales[int(bolt11.removeprefix("lnbcrt"))].price

    async def pay_invoice(self, account: str, bolt11: str, most: int, key: str, reason: str, by: str) -> bytes:
        self.step()
        sale = self.sales[int(bolt11.removeprefix("lnbcrt"))]
        if sale.state is PayState.UNKNOWN and self.fate is not PayState.UNKNOWN:
            self._begin(sale, most)
        self.step()
        if sale.state is not PayState.SUCCEEDED or self.fault == "lost":
            raise Lost
        return sale.preimage

    def _begin(self, sale: Sale, most: int) -> None:
        """Sats leave: all that must never be is looked for here."""
        order = self.order
        assert order is not None
        assert sale.price == most
        assert sale.price <= (self.limit or 0) or order.agreed
        assert order.most is None or sale.price <= order.most
        assert self.clock.now() < sale.expires_at
        begun = [one for one in self.sales if one.order and one.state in {PayState.SUCCEEDED, PayState.IN_FLIGHT}]
        assert order.key not in {one.order.key for one in begun if one.order}, "a command pays once"
        here = [one for one in begun if one.order and one.order.url == order.url]
        assert all(one.state is PayState.SUCCEEDED for one in here), "one payment at a time"
        owed = [one for one in here if not any(later.served for later in here if later.number >= one.number)]
        assert order.again or not owed, (
            "what was paid for is had first, or something for the same address that was forced since"
        )
        assert all(one.tried for one in here), "a token is tried before another is bought"
        sale.order, sale.state = order, self.fate

    async def outcome(self, _: str, payment_hash: bytes) -> Outcome:
        sale = next(one for one in self.sales if one.payment_hash == payment_hash)
        preimage = sale.preimage if sale.state is PayState.SUCCEEDED else None
        return Outcome(sale.state, preimage)


Move = tuple[str, Any]
MOVES: dict[str, st.SearchStrategy[Any]] = {
    "buy": st.tuples(
        st.sampled_from("ab"), st.sampled_from([None, 999, 1000, 2000]), st.booleans(), st.integers(0, 16)
    ),
    "replay": st.integers(0, 16),
    "agree": st.integers(0, 16),
    "price": st.sampled_from([1000, 1200, 1600]),
    "calls": st.sampled_from([1, 2]),
    "fault": st.sampled_from(["", "", "lost", "broken", "greedy"]),
    "fate": st.sampled_from([PayState.SUCCEEDED, PayState.SUCCEEDED, PayState.IN_FLIGHT, PayState.FAILED, PayState.UNKNOWN]),
    "land": st.booleans(),
    "wait": st.sampled_from([MINUTE, 11 * MINUTE]),
}  # fmt: skip
"""`buy` (address, most, again, steps until a crash; 0: none), the last order once more, a person's yes to the last question."""


class Story:
    """A hub in the world, restarted whenever it crashes."""

    def __init__(self, path: Path) -> None:
        self.world = World()
        self.path = blank(path)
        self.keys = 0
        self.asked: Asks | None = None
        self.again = False

    async def tell(self, moves: Sequence[Move]) -> None:
        for name, given_ in moves:
            await self._move(name, given_)
        world = self.world
        world.fault, world.fate, world.price, world.limit = "", PayState.SUCCEEDED, 1000, 2000
        await self._move("land", True)
        for address in "ab":
            with suppress(Unserved):
                answer = await self._live(Order("user:a", SITE + address, 2000, f"last {address}"), 0)
                assert isinstance(answer, Bought)
                assert answer.page.body == b"the page"

    async def _move(self, name: str, given_: Any) -> None:
        world = self.world
        match name:
            case "buy":
                address, most, again, steps = given_
                self.keys += 1
                await self._live(Order("user:a", SITE + address, most, f"{self.keys}", again), steps)
            case "replay" if world.order is not None and not world.order.agreed:
                await self._live(world.order, given_)
            case "agree" if self.asked is not None:
                offer = self.asked.purchase
                await self._live(Order("user:a", offer.url, offer.amount, offer.key, self.again, agreed=True), given_)
            case "land":
                for sale in world.sales:
                    if sale.state is PayState.IN_FLIGHT:
                        sale.state = PayState.SUCCEEDED if given_ else PayState.FAILED
            case "wait":
                world.clock.advance(given_)
            case "price" | "calls" | "fault" | "fate":
                setattr(world, name, given_)
            case _:  # nothing to say once more, or nothing was asked
                pass

    async def _live(self, order: Order, steps: int) -> Bought | Asks | None:
        world = self.world
        world.order, world.steps = order, steps
        answer: Bought | Asks | None = None
        with suppress(Crash):
            async with _store(world).open(self.path, world.clock) as store:
                buying = Buying(store, world, world, world.decode, world.clock, prefix=world.here, limit=world.limit_of)
                try:
                    if order.agreed and self.asked is not None:
                        answer = await buying.confirm(
                            self.asked.purchase.id, order.most or 0, "user:olga", again=order.again
                        )
                    else:
                        answer = await buying.buy(order)
                except HubError:
                    if order.key.startswith("last"):
                        raise
        if isinstance(answer, Asks):
            self.asked, self.again = answer, order.again
        return answer


def _store(world: World) -> type[Database]:
    class Store(Database):
        async def write(self, work: Callable[[Any], Any], /) -> Any:
            world.step()
            found = await super().write(work)
            world.step()
            return found

    return Store


def _moves() -> st.SearchStrategy[list[Move]]:
    one = st.sampled_from(["buy"] * 3 + ["replay"] * 2 + list(MOVES)).flatmap(
        lambda name: MOVES[name].map(lambda facts: (name, facts))
    )
    return st.lists(one, min_size=2, max_size=25)


def _tell(moves: list[Move]) -> World:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder, "hub.db"))
        asyncio.run(story.tell(moves))
        return story.world


@pytest.mark.deep
@settings(max_examples=depth(6, 200))
@given(_moves())
def test_nothing_is_paid_twice_whatever_happens(moves: list[Move]) -> None:
    _tell(moves)


def test_the_world_lets_every_kind_of_end_come_about() -> None:
    buy = ("buy", ("a", 2000, False, 0))
    for moves, paid in (
        ([buy, buy], 1),
        ([("fault", "greedy"), buy, buy], 1),
        ([("fault", "greedy"), buy, ("buy", ("a", 2000, True, 0))], 2),
        ([("calls", 1), buy, buy], 2),
        ([("fate", PayState.IN_FLIGHT), buy, buy, ("land", True)], 1),
        ([("buy", ("a", None, False, 0)), ("price", 1600), ("buy", ("b", None, False, 0)), ("agree", 0)], 2),
    ):
        world = _tell([*moves, ("calls", 9)])
        assert sum(one.order is not None and not one.order.key.startswith("last") for one in world.sales) == paid
