"""Buying by L402 from a shop on the loopback: at the invoice's price, once, whatever is lost, never from who did not deliver."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from adapters.fetch.addresses import ClosedAddress, Reach
from adapters.fetch.fetcher import Bounds, PageFetcher
from adapters.sqlite.writer import Database
from core.wallet.buying import Asks, BadReceipt, Bought, Buying
from core.wallet.challenge import BadChallenge, Unpayable
from core.wallet.lightning import Outcome, PayState
from core.wallet.payment import Payment
from core.wallet.payment import State as Paid
from core.wallet.purchase import (
    BoughtBefore,
    MayBePaid,
    NotServed,
    NotSold,
    OfferOver,
    OnItsWay,
    Order,
    State,
    TooDear,
    Unserved,
)
from tests.blank import blank
from tests.depth import first
from tests.fakes import FakeClock
from tests.l402_server import HOUR, NodeSilent, Payments, Shop, read_invoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from core.ports import Fetcher
    from core.wallet.lightning import PaymentRequest

ANN, BOB = "user:telegram:1", "user:telegram:2"


async def reading(text: str) -> PaymentRequest:
    return read_invoice(text)


async def here() -> str:
    return "bcrt"


class Hub:
    """What the tests drive: a buyer on a shop, restarted on the same data."""

    def __init__(self, shop: Shop, path: Path) -> None:
        self.shop = shop
        self.payments = Payments(shop)
        self.clock = FakeClock()
        self.limit: int | None = None
        self.path = blank(path)
        self.fetcher: Fetcher = PageFetcher(Reach(loopback=True))

    def buyer(self, store: Database, fetcher: Fetcher | None = None) -> Buying:
        return Buying(
            store, fetcher or self.fetcher, self.payments, reading, self.clock, prefix=here, limit=self.limit_of
        )

    async def run(self, order: Order | tuple[int, int], *, again: bool = False) -> Bought | Asks:
        """One life of the hub."""
        async with Database.open(self.path, self.clock) as store:
            buying = self.buyer(store)
            if isinstance(order, Order):
                return await buying.buy(order)
            return await buying.confirm(*order, "user:olga", again=again)

    async def limit_of(self, account: str) -> int | None:
        return self.limit

    async def buy(self, key: str = "1", **facts: Any) -> Bought | Asks:
        return await self.run(replace(Order(ANN, f"{self.shop.url}/page", 200_000, key), **facts))

    async def states(self) -> list[State]:
        async with Database.open(self.path, self.clock) as store:
            found = await store.read(lambda tx: [tx.purchases.find(number) for number in range(1, 9)])
        return [one.state for one in found if one is not None]

    async def given_up(self) -> bytes:
        """An owner gives up the one payment that there is; its hash."""
        ((payment_hash, _),) = self.payments.books.items()
        self.payments.books[payment_hash] = Outcome(PayState.FAILED, why="console:owner gave it up")
        gone = Payment(
            payment_hash, "ln", ANN, "03bb", 100_000, False, 0, "a", "", "", 0, 0, state=Paid.FAILED, given_up=True
        )  # fmt: skip
        async with Database.open(self.path, self.clock) as store:
            await store.write(lambda tx: tx.payments.put(gone))
        return payment_hash

    @property
    def payed(self) -> int:
        return len(self.payments.paid)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Shop.open() as shop:
        yield Hub(shop, tmp_path / "hub.db")


def page(answer: Bought | Asks) -> bytes:
    assert isinstance(answer, Bought), answer
    return answer.page.body


async def test_a_page_is_paid_for_once_and_its_token_serves_again(hub: Hub) -> None:
    first = await hub.buy("1")
    assert page(first) == hub.shop.body
    assert isinstance(first, Bought)
    assert first.purchase is not None
    assert (first.purchase.amount, first.purchase.host, first.before) == (100_000, hub.shop.url[7:], False)
    assert hub.payments.reasons == [f"L402: {hub.shop.url[7:]}"]
    again = await hub.buy("2", url=f"{hub.shop.url}/page?of=another#top")
    assert page(again) == hub.shop.body
    assert isinstance(again, Bought)
    assert again.before
    assert (hub.payed, len(hub.shop.invoices), await hub.states()) == (1, 1, [State.USED])


async def test_what_costs_nothing_is_not_paid(hub: Hub) -> None:
    hub.shop.price = 0
    assert await hub.buy() == Bought(await hub.fetcher.get(f"{hub.shop.url}/page"))
    hub.shop.status = 500
    with pytest.raises(NotSold, match="status 500"):
        await hub.buy("2")
    assert (hub.payed, await hub.states()) == (0, [])


@pytest.mark.parametrize(
    ("most", "limit", "routing", "asks"),
    first(4, [
        (None, None, 0, True), (None, 100_000, 0, False), (None, 99_999, 0, True), (100_000, None, 0, False),
        (100_000, 99_999, 0, True), (100_000, 100_000, 0, False), (None, 102_000, 2_000, False), (None, 101_999, 2_000, True),
        (100_000, 101_999, 2_000, True),
    ]),
)  # fmt: skip
async def test_who_is_asked_first(hub: Hub, most: int | None, limit: int | None, routing: int, asks: bool) -> None:
    """What routing may take counts."""
    hub.limit, hub.payments.routing = limit, routing
    answer = await hub.buy(most=most)
    assert isinstance(answer, Asks) == asks == (hub.payed == 0)
    if isinstance(answer, Asks):
        assert answer.words == f"This costs 100 sats from {hub.shop.url[7:]}."
        assert page(await hub.run((answer.purchase.id, answer.purchase.amount))) == hub.shop.body
        assert page(await hub.run((answer.purchase.id, answer.purchase.amount))) == hub.shop.body
        assert (hub.payed, len(hub.shop.invoices)) == (1, 1)


async def test_the_price_is_the_invoices_and_bounded(hub: Hub) -> None:
    with pytest.raises(TooDear, match="asks 100 sats, more than the 99 sats"):
        await hub.buy(most=99_999)
    assert (hub.payed, await hub.states()) == (0, [State.CHALLENGED])
    assert page(await hub.buy("2", most=100_000)) == hub.shop.body
    assert len(hub.shop.invoices) == 1


async def test_an_offer_grows_old(hub: Hub) -> None:
    answer = await hub.buy(most=None)
    assert isinstance(answer, Asks)
    hub.clock.advance(HOUR * 1000)
    hub.shop.at, hub.shop.price = hub.clock.now(), 150_000
    with pytest.raises(TooDear, match="asks 150 sats, more than the 100 sats that you agreed to"):
        await hub.run((answer.purchase.id, answer.purchase.amount))
    with pytest.raises(OfferOver):
        await hub.run((answer.purchase.id, answer.purchase.amount))
    with pytest.raises(OfferOver):
        await hub.run((99, 100_000))
    assert (hub.payed, await hub.states()) == (0, [State.FAILED, State.CHALLENGED])


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"prefix": "bc"}, "its invoice is for another network (lnbc; ours is lnbcrt)"),
        ({"price": 21 * 10**17 + 10}, "more than all sats"),
        ({"expiry": 1, "at": 0}, "expired"),
        ({"header": 'L402 macaroon="{token}", invoice="lnbcrt1qqqq"'}, "its invoice cannot be read"),
        ({"header": "L402 {invoice}"}, "wants to be paid in a way that cannot be read"),
        ({"header": 'Payment id="1", request="{invoice}"'}, "cannot be read"),
        ({"header": 'L402 macaroon="a b", invoice="{invoice}"'}, "cannot be read"),
    ],
)
async def test_what_cannot_be_paid_is_not(hub: Hub, fault: dict[str, Any], why: str) -> None:
    vars(hub.shop).update(fault)
    with pytest.raises((Unpayable, BadChallenge)) as refused:
        await hub.buy(most=21 * 10**18)
    assert why in str(refused.value)
    assert (hub.payed, await hub.states()) == (0, [])


async def test_a_lost_answer_is_not_paid_again(hub: Hub) -> None:
    hub.shop.lose = 2
    for key in "12":
        with pytest.raises(NotServed, match=r"100 sats, and its answer did not come: .* it is not paid twice"):
            await hub.buy(key)
    hub.shop.status = 503
    with pytest.raises(NotServed, match="status 503"):
        await hub.buy("3")
    hub.shop.status = 0
    assert await hub.states() == [State.PAID]
    assert page(await hub.buy("4")) == hub.shop.body
    assert (hub.payed, len(hub.shop.invoices)) == (1, 1)


async def test_a_lost_reply_of_the_node_is_no_failure(hub: Hub) -> None:
    hub.payments.loses_reply = True
    assert page(await hub.buy()) == hub.shop.body
    assert hub.payed == 1


async def test_a_payment_on_its_way_is_waited_for(hub: Hub) -> None:
    hub.payments.fate = PayState.IN_FLIGHT
    for key in "12":
        with pytest.raises(OnItsWay, match=r"100 sats .* is on its way: The node does not answer\. Ask again"):
            await hub.buy(key)
    hub.payments.fate = PayState.SUCCEEDED
    assert page(await hub.buy("3")) == hub.shop.body
    assert (hub.payed, len(hub.shop.invoices)) == (1, 1)


async def test_what_succeeded_meanwhile_is_used(hub: Hub) -> None:
    hub.payments.fate = PayState.IN_FLIGHT
    with pytest.raises(OnItsWay):
        await hub.buy("1")
    ((payment_hash, _),) = hub.payments.books.items()
    hub.payments.books[payment_hash] = Outcome(PayState.SUCCEEDED, b"\0" * 32)
    with pytest.raises(BadReceipt):
        await hub.buy("1")
    hub.payments.books[payment_hash] = Outcome(PayState.SUCCEEDED, hub.shop.preimages[payment_hash])
    assert page(await hub.buy("1")) == hub.shop.body


@pytest.mark.parametrize("late", [False, True])
async def test_a_failed_payment_makes_room_for_another(hub: Hub, late: bool) -> None:
    hub.payments.fate = PayState.IN_FLIGHT if late else PayState.FAILED
    with pytest.raises(OnItsWay if late else NodeSilent):
        await hub.buy("1")
    for payment_hash in hub.payments.books:
        hub.payments.books[payment_hash] = Outcome(PayState.FAILED)
    hub.payments.fate = PayState.SUCCEEDED
    assert page(await hub.buy("1")) == hub.shop.body
    assert (hub.payed, await hub.states()) == (1, [State.FAILED, State.USED])


async def test_a_payment_that_was_never_begun_is_begun_with_the_same_invoice_while_it_is_good(hub: Hub) -> None:
    hub.payments.fate = PayState.UNKNOWN
    with pytest.raises(NodeSilent):
        await hub.buy("1")
    assert await hub.states() == [State.CHALLENGED], "it keeps nobody from paying this invoice"
    async with Database.open(hub.path, hub.clock) as store:
        (offer,) = await store.read(lambda tx: [tx.purchases.find(1)])
        assert offer is not None
        await store.write(lambda tx: tx.purchases.put(replace(offer, state=State.PAYING)))  # as a crash leaves it
    with pytest.raises(TooDear):
        await hub.buy("2", most=1000)
    hub.payments.fate = PayState.SUCCEEDED
    assert page(await hub.buy("3")) == hub.shop.body
    assert (hub.payed, len(hub.shop.invoices)) == (1, 1)


@pytest.mark.parametrize("asks_first", [True, False])
async def test_what_may_have_been_paid_is_bought_again_only_by_who_says_so_in_another_command(
    hub: Hub, asks_first: bool
) -> None:
    """An owner gave its payment up, and it may have arrived all the same."""
    hub.payments.fate = PayState.IN_FLIGHT
    with pytest.raises(OnItsWay):
        await hub.buy("1")
    payment_hash = await hub.given_up()
    hub.payments.fate = PayState.SUCCEEDED
    named = rf"may have been paid 100 sats for this: the payment {payment_hash.hex()[:8]} was given up"
    for key, again in (("1", False), ("1", True), ("2", False)):
        with pytest.raises(MayBePaid, match=named):
            await hub.buy(key, again=again)
    assert hub.payed == 0
    if asks_first:
        assert isinstance(await hub.buy("3", again=True, most=None), Asks)
        with pytest.raises(MayBePaid):
            await hub.buy("4")
    assert page(await hub.buy("5", again=True)) == hub.shop.body
    assert page(await hub.buy("6")) == hub.shop.body
    assert (hub.payed, await hub.states()) == (1, [State.FAILED, State.USED])


@pytest.mark.parametrize(
    ("fate", "warns"), [(PayState.IN_FLIGHT, MayBePaid), (PayState.SUCCEEDED, Unserved)], ids=["given up", "in vain"]
)
@pytest.mark.parametrize("seen", [True, False])
async def test_what_was_paid_in_vain_or_may_have_been_is_known_after_a_link(
    hub: Hub, fate: PayState, warns: type[Exception], *, seen: bool
) -> None:
    """`seen`: its buyer has asked again before the link."""
    hub.payments.fate, hub.shop.greedy = fate, True
    with pytest.raises(OnItsWay if fate is PayState.IN_FLIGHT else Unserved):
        await hub.buy("1")
    if fate is PayState.IN_FLIGHT:
        await hub.given_up()
        if seen:
            with pytest.raises(MayBePaid):
                await hub.buy("2")
    async with Database.open(hub.path, hub.clock) as store:
        await store.write(lambda tx: tx.purchases.hand_over(ANN, BOB))
    hub.payments.fate, hub.shop.greedy = PayState.SUCCEEDED, False
    paid = hub.payed
    with pytest.raises(warns):
        await hub.buy("3", account=BOB)
    assert hub.payed == paid
    assert page(await hub.buy("4", account=BOB, again=True)) == hub.shop.body
    assert hub.payed == paid + 1


async def test_whoever_cannot_pay_an_offer_keeps_it_from_nobody(hub: Hub) -> None:
    """A server hands the same invoice to several."""
    hub.payments.fate = PayState.UNKNOWN
    with pytest.raises(NodeSilent):
        await hub.buy("1")
    hub.payments.fate = PayState.SUCCEEDED
    async with Database.open(hub.path, hub.clock) as store:
        offer = await store.read(lambda tx: tx.purchases.find(1))
        assert offer is not None
        theirs = await store.write(lambda tx: tx.purchases.add(replace(offer, id=0, account=BOB, key="b")))
    assert page(await hub.run((theirs.id, 100_000))) == hub.shop.body
    assert hub.payed == 1


async def test_a_server_that_was_paid_and_asks_again_gets_nothing_more(hub: Hub) -> None:
    hub.shop.greedy = True
    for key in "1123":
        with pytest.raises(Unserved, match=r"was paid 100 sats and asks for money again\. It gets no second payment"):
            await hub.buy(key)
    with pytest.raises(Unserved):
        await hub.buy("4", url=f"{hub.shop.url}/elsewhere")
    assert isinstance(await hub.buy("5", account=BOB, most=None), Asks)
    assert (hub.payed, await hub.states()) == (1, [State.UNSERVED, State.CHALLENGED])


async def test_a_person_may_pay_again_but_one_command_only_once(hub: Hub) -> None:
    hub.shop.greedy = True
    for _ in range(2):
        with pytest.raises(Unserved):
            await hub.buy("1", again=True)
    assert hub.payed == 1
    for _ in range(2):
        with pytest.raises(Unserved):
            await hub.buy("2", again=True)
    assert hub.payed == 2
    hub.shop.greedy = False
    assert page(await hub.buy("3", again=True)) == hub.shop.body
    assert page(await hub.buy("4")) == hub.shop.body
    assert (hub.payed, await hub.states()) == (3, [State.UNSERVED, State.UNSERVED, State.USED])


async def test_a_server_that_delivers_again_is_trusted_but_for_what_it_owes(hub: Hub) -> None:
    hub.shop.greedy = True
    with pytest.raises(Unserved):
        await hub.buy("1")
    hub.shop.greedy = False
    await hub.buy("2", url=f"{hub.shop.url}/other", again=True)
    assert page(await hub.buy("3", url=f"{hub.shop.url}/third")) == hub.shop.body
    with pytest.raises(Unserved):
        await hub.buy("4")
    assert page(await hub.buy("5", again=True)) == hub.shop.body
    assert (hub.payed, await hub.states()) == (4, [State.UNSERVED, State.USED, State.USED, State.USED])


async def test_an_offer_to_one_who_forced_it_is_not_taken_by_one_who_did_not(hub: Hub) -> None:
    hub.shop.greedy = True
    with pytest.raises(Unserved):
        await hub.buy("1")
    asks = await hub.buy("2", most=None, again=True)
    assert isinstance(asks, Asks)
    with pytest.raises(Unserved):
        await hub.buy("3")
    hub.shop.greedy = False
    assert page(await hub.run((asks.purchase.id, 100_000), again=True)) == hub.shop.body
    assert hub.payed == 2


async def test_a_server_that_did_not_deliver_meanwhile_gets_nothing_by_an_older_yes(hub: Hub) -> None:
    asks = await hub.buy("1", most=None)
    assert isinstance(asks, Asks)
    hub.shop.greedy = True
    with pytest.raises(Unserved):
        await hub.buy("2", url=f"{hub.shop.url}/other")
    with pytest.raises(Unserved, match="no second payment"):
        await hub.run((asks.purchase.id, 100_000))
    assert hub.payed == 1


async def test_an_offer_in_whose_place_a_linked_account_brought_what_is_paid_for_is_not_paid_too(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.shop.lose = 1
    with pytest.raises(NotServed):
        await hub.buy("1", account=BOB)

    async def meanwhile(_: str) -> None:
        async with Database.open(hub.path, hub.clock) as store:
            await store.write(lambda tx: tx.purchases.hand_over(BOB, ANN))

    with monkeypatch.context() as one:
        one.setattr(hub, "limit_of", meanwhile)
        with pytest.raises(OfferOver):
            await hub.buy("2")
    assert page(await hub.buy("3")) == hub.shop.body
    assert (hub.payed, await hub.states()) == (1, [State.USED])


async def test_a_person_may_give_up_on_a_paid_token(hub: Hub) -> None:
    hub.shop.lose = 1
    with pytest.raises(NotServed):
        await hub.buy("1")
    hub.shop.status = 404
    with pytest.raises(NotServed):
        await hub.buy("1", again=True)
    with pytest.raises(NotSold):
        await hub.buy("2", again=True)
    assert (hub.payed, await hub.states()) == (1, [State.UNSERVED])


async def test_a_token_that_is_used_up_is_bought_anew_but_not_for_the_same_command(hub: Hub) -> None:
    hub.shop.calls = 1
    assert page(await hub.buy("1")) == hub.shop.body
    for _ in range(2):
        with pytest.raises(BoughtBefore):
            await hub.buy("1")
    assert page(await hub.buy("2")) == hub.shop.body
    assert (hub.payed, await hub.states()) == (2, [State.SPENT, State.USED])
    hub.shop.status = 401
    with pytest.raises(NotSold, match="401"):
        await hub.buy("3")
    assert await hub.states() == [State.SPENT, State.SPENT]


async def test_a_token_that_is_not_for_another_page_is_kept_for_its_own(hub: Hub) -> None:
    hub.shop.calls = 1
    await hub.buy("1")
    assert isinstance(await hub.buy("2", url=f"{hub.shop.url}/page?b", most=None), Asks)
    assert await hub.states() == [State.USED, State.CHALLENGED]


async def test_two_who_are_handed_the_same_invoice_do_not_share_its_receipt(hub: Hub) -> None:
    ann, bob = await hub.buy("1", most=None), await hub.buy("1", account=BOB, most=None)
    assert isinstance(ann, Asks)
    assert isinstance(bob, Asks)
    same = replace(ann.purchase, account=BOB, url=f"{hub.shop.url}/other", key="2")
    async with Database.open(hub.path, hub.clock) as store:
        await store.write(lambda tx: tx.purchases.add(same))
    await hub.run((ann.purchase.id, 100_000))
    with pytest.raises(OfferOver):
        await hub.buy("2", account=BOB, url=same.url)
    assert hub.payed == 1


async def test_the_token_goes_to_where_the_challenge_came_from(hub: Hub) -> None:
    assert page(await hub.buy(url=f"{hub.shop.url}/moved")) == hub.shop.body
    assert [bool(said) for said in hub.shop.asked] == [False, False, True]


async def test_what_is_held_for_an_address_is_the_best_that_there_is_and_the_newest(hub: Hub) -> None:
    answer = await hub.buy(most=None)
    assert isinstance(answer, Asks)
    page, other, third = (f"{hub.shop.url}/page?{query}" for query in "abc")
    rows = [
        ("1", page, State.SPENT), ("2", page, State.USED), ("3", page, State.USED), ("4", other, State.USED),
        ("5", other, State.USED), ("6", other, State.PAID), ("7", f"{hub.shop.url}/elsewhere", State.USED),
    ]  # fmt: skip
    async with Database.open(hub.path, hub.clock) as store:
        for key, url, state in rows:
            new = replace(answer.purchase, key=key, url=url, site=url, state=state, preimage=bytes(32))
            new = replace(new, payment_hash=key.encode() * 32)
            await store.write(lambda tx, new=new: tx.purchases.add(new))  # type: ignore[misc]

        async def best(url: str, key: str = "9", account: str = ANN) -> str | None:
            found = await store.read(lambda tx: tx.purchases.held(account, url, key))
            return None if found is None else found.key

        assert await best(page, "1") == "1", "what the command bought, used up or not"
        assert await best(page) == "3"
        assert await best(other) == "6", "what is open for the address comes before a token that served"
        assert await best(third) == "5", "a token for it without its query"
        assert await best(page, "1", BOB) is None


@pytest.mark.parametrize("path", ["/moved", "/./page"])
async def test_a_token_serves_again_whatever_its_address_leads_to(hub: Hub, path: str) -> None:
    url = hub.shop.url + path
    assert page(await hub.buy("1", url=url)) == hub.shop.body
    again = await hub.buy("2", url=url)
    assert isinstance(again, Bought)
    assert again.before
    assert (hub.payed, await hub.states()) == (1, [State.USED])


async def test_two_orders_at_once_share_one_payment(hub: Hub) -> None:
    order = Order(ANN, f"{hub.shop.url}/page", 200_000, "1")
    async with Database.open(hub.path, hub.clock) as store:
        buying = hub.buyer(store)
        answers = await asyncio.gather(*(buying.buy(replace(order, key=key)) for key in "1122"))
    assert [page(answer) for answer in answers] == [hub.shop.body] * 4
    assert (hub.payed, len(hub.shop.invoices)) == (1, 1)


async def test_what_is_paid_for_and_too_large_says_both(hub: Hub) -> None:
    hub.shop.body = b"a" * 2000
    hub.fetcher = PageFetcher(Reach(loopback=True), Bounds(size=1000))
    with pytest.raises(NotServed) as refused:
        await hub.buy()
    host = hub.shop.url[7:]
    assert str(refused.value) == (
        f"{host} was paid 100 sats, and its answer did not come: What 127.0.0.1 answers is larger than the 1,000 bytes that are"
        " taken. Ask again for the same address: it is not paid twice."
    )


async def test_a_shop_does_not_lead_inside(hub: Hub) -> None:
    hub.shop.location = "http://169.254.169.254/latest"
    with pytest.raises(ClosedAddress):
        await hub.buy(url=f"{hub.shop.url}/moved")
    hub.shop.location = "/page"
    await hub.buy("1", url=f"{hub.shop.url}/moved")
    assert hub.payed == 1


async def test_a_price_that_rises_under_way_is_not_paid(hub: Hub) -> None:
    """What was asked about is what is paid: the offer that was shown, however the shop's price moves."""
    asks = await hub.buy(most=None)
    hub.shop.price = 900_000
    assert isinstance(asks, Asks)
    answer = await hub.run((asks.purchase.id, asks.purchase.amount))
    assert isinstance(answer, Bought)
    assert answer.purchase is not None
    assert answer.purchase.amount == 100_000


async def test_no_secret_is_shown(hub: Hub) -> None:
    answer = await hub.buy(url=f"{hub.shop.url}/page?key=hunter2")
    assert isinstance(answer, Bought)
    assert answer.purchase is not None
    assert answer.purchase.preimage is not None
    shown = repr(answer) + repr(Order(ANN, "https://x/?key=hunter2", 1, "1"))
    for secret in ("hunter2", answer.purchase.token, answer.purchase.preimage.hex(), repr(answer.purchase.preimage)):
        assert secret not in shown


class Crash(BaseException):
    """The process is killed."""


class Mortal:
    """Counts what is written and sent, and dies before or after one of it."""

    def __init__(self, point: int) -> None:
        self.met: list[str] = []
        self._point = point

    async def step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self._die(f"before {name}")
        found = await work()
        self._die(f"after {name}")
        return found

    def _die(self, point: str) -> None:
        self.met.append(point)
        if len(self.met) == self._point:
            raise Crash


@pytest.mark.long
async def test_a_crash_at_every_step_pays_once_and_ends_with_the_page(tmp_path: Path) -> None:
    async with Shop.open() as shop:
        points = await _crashed(shop, tmp_path / "calm", 0)
        assert [point for point in points if point.startswith("before")] == [
            f"before {what}" for what in ("get", "write", "write", "pay", "write", "get", "write")
        ]
        for point in range(1, len(points) + 1):
            met = await _crashed(shop, tmp_path / str(point), point)
            assert met == points[:point]


async def _crashed(shop: Shop, folder: Path, point: int) -> list[str]:
    """One purchase that dies at a point and is asked for again; returns the points that it met before."""
    hub = Hub(shop, folder / "hub.db")
    mortal = Mortal(point)

    class Store(Database):
        async def write(self, work: Any, /) -> Any:
            return await mortal.step("write", partial(super().write, work))

    class Fetch:
        def check(self, url: str) -> None:
            hub.fetcher.check(url)

        async def get(self, url: str, *, authorization: str = "") -> Any:
            return await mortal.step("get", partial(hub.fetcher.get, url, authorization=authorization))

    class Pay(Payments):
        async def pay_invoice(self, *facts: Any) -> Any:
            return await mortal.step("pay", partial(super().pay_invoice, *facts))

    hub.payments = Pay(shop)
    order = Order(ANN, f"{shop.url}/page", 200_000, "1")
    try:
        async with Store.open(hub.path, hub.clock) as store:
            answer = await hub.buyer(store, Fetch()).buy(order)
    except Crash:
        met = list(mortal.met)
        answer = await hub.run(order)
    else:
        met = list(mortal.met)
    assert page(answer) == shop.body
    assert page(await hub.run(order)) == shop.body
    assert (hub.payed, await hub.states()) == (1, [State.USED])
    return met
