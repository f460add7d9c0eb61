"""Sats in: each settlement is booked once, whatever the node tells how often and in which order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.chat import Role
from core.events import Kind
from core.money import MAX_SATS, to_msat
from core.tokens import Identities
from core.wallet.invoices import CAUGHT_UP_MS, SALES, SettlementsEnded
from core.wallet.lightning import InvoiceState, NodeBehind, NodeDown, NodeInfo, NodeInvoice
from core.wallet.node import OtherNode
from core.wallet.payment import AmountGiven, AmountMissing, CostsMore, WrongNetwork, check_payable, fee_limit, price
from core.wallet.reconcile import NotThatDifference, StillMoving
from core.wallet.suspense import NotInSuspense, Suspense, SuspenseLacks
from core.wallet.wallet import NobodysWallet
from tests.fakes import FakeIds
from tests.twin_node import START, Fault, decode
from tests.unit.wallet.payments_bench import ANN, OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.wallet.invoices import Invoice
    from tests.unit.wallet.payments_bench import Bench

HUNDRED = to_msat(100)
HAD = to_msat(300)


async def asked(hub: Bench, key: str = "i1", account: str = "user:telegram:1") -> Invoice:
    return await hub.invoices.create(account, HUNDRED, "tea", actor=ANN.name, conversation="console:1", key=key)


async def test_each_settlement_is_booked_once_with_what_came(hub: Bench) -> None:
    made = await asked(hub)
    assert await asked(hub) == made, "the same key again"
    assert not await hub.invoices.look(made.payment_hash)
    hub.nursery.spawn(hub.invoices.run(), "settlements")
    await hub.until(lambda: hub.twin.calls["settled"], 0)
    await hub.quiet()
    hub.twin.outside_pays(made.payment_hash, HUNDRED + 5_000, told=3)
    hub.twin.push()
    await hub.until(lambda: hub.twin.calls["settlement"] == 3, 0)
    await hub.quiet()
    assert hub.twin.calls["settlement"] == 3
    assert await hub.has("user:telegram:1") == (HAD + HUNDRED + 5_000, 0)
    assert await hub.invoices.settled(made.payment_hash)
    assert await hub.invoices.look(made.payment_hash)
    events = await hub.store.read(lambda tx: tx.events_after(0, 100))
    assert [event.data["sats"] for event in events if event.kind is Kind.INVOICE_SETTLED] == [105]
    assert (await hub.reconciler.compare()).difference == 0


async def test_the_oldest_that_is_waited_for_is_known(hub: Bench) -> None:
    async def oldest(after: int) -> int | None:
        return await hub.store.read(lambda tx: tx.invoices.oldest_open(after))

    assert await oldest(0) is None
    began, first = hub.clock.now(), await asked(hub)
    hub.clock.advance(60_000)
    second = await asked(hub, "i2")
    assert [await oldest(after) for after in (0, first.expires_at, second.expires_at)] == [began, began + 60_000, None]
    hub.twin.outside_pays(first.payment_hash)
    await hub.invoices.look(first.payment_hash)
    assert await oldest(0) == began + 60_000


async def test_one_command_twice_at_once_asks_once(hub: Bench) -> None:
    one, two = await asyncio.gather(asked(hub), asked(hub))
    assert one == two


async def test_what_strangers_buy_is_the_treasurys_and_what_nobody_asked_for_waits_in_suspense(hub: Bench) -> None:
    sold, other = await asked(hub, "sale", SALES), await hub.own.node.create_invoice(HUNDRED, "", 60)
    for one in (sold, other):
        hub.twin.outside_pays(one.payment_hash)
        assert await hub.invoices.look(one.payment_hash)
    assert await hub.has("treasury") == (HUNDRED, 0)
    assert await hub.has("suspense") == (HUNDRED, 0)


async def test_it_is_known_whether_the_node_has_told_all_that_was_paid_long_ago(hub: Bench) -> None:
    made = await asked(hub)
    hub.twin.outside_pays(made.payment_hash)
    hub.clock.advance(CAUGHT_UP_MS)
    assert not hub.invoices.caught_up()
    stop = hub.nursery.spawn(hub.invoices.run(), "settlements")
    await comes_to(hub, "user:telegram:1", HAD + HUNDRED)
    assert not hub.invoices.caught_up(), "it may be telling still"
    hub.clock.advance(CAUGHT_UP_MS)
    assert hub.invoices.caught_up()
    stop()
    for _ in range(1000):
        await hub.quiet()
        if not hub.invoices.caught_up():
            break
    assert not hub.invoices.caught_up()


async def test_a_node_that_is_behind_the_chain_does_not_say_that_an_invoice_was_not_paid(hub: Bench) -> None:
    made = await asked(hub)
    hub.twin.who = hub.twin.who._replace(synced=False)
    hub.own.doubt()
    for ask in (hub.invoices.look(made.payment_hash), hub.reconciler.compare(), hub.invoices.sell(HUNDRED, "", 60)):
        with pytest.raises(NodeBehind, match="not in step with the chain: its newest block is 1"):
            await ask
    assert not hub.invoices.caught_up()
    hub.twin.outside_pays(made.payment_hash)
    assert await hub.invoices.look(made.payment_hash), "that it was paid is so"
    assert await hub.has("user:telegram:1") == (HAD + HUNDRED, 0)


async def test_what_nobody_asked_for_is_told_once_a_day_and_given_by_an_owner_once_to_whom_it_belongs(
    hub: Bench,
) -> None:
    for _ in range(3):
        foreign = await hub.own.node.create_invoice(HUNDRED, "", 60)
        hub.twin.outside_pays(foreign.payment_hash)
        assert await hub.invoices.look(foreign.payment_hash)
    came = [one for one in await hub.store.read(lambda tx: tx.events_after(0, 100)) if one.kind is Kind.SUSPENSE_CAME]
    assert [one.data["sats"] for one in came] == [100], "once a day"
    assert came[0].data["waiting_sats"] == 100
    suspense = Suspense(hub.store, Identities(hub.store, FakeIds(), owners=(), reserved=bool))
    third, second, first = await suspense.unclaimed()
    assert (first.amount, first.entry) == (HUNDRED, came[0].data["entry"])
    await hub.store.write(lambda tx: tx.tokens.give(ANN.name, Role.PAYER, "Ann", tx.now))
    with pytest.raises(NotAllowed):
        await suspense.give(ANN, first.entry, ANN.name, key="a")
    for _ in range(2):
        assert await suspense.give(OWNER, first.entry, ANN.name, key="b") == ("user:telegram:1", HUNDRED)
    assert await suspense.give(OWNER, second.entry, "treasury", key="c") == ("treasury", HUNDRED)
    for entry, whom, error in (
        (first.entry, "treasury", NotInSuspense), (1, "treasury", NotInSuspense), (9999, "treasury", NotInSuspense),
        (third.entry, "telegram:99", NobodysWallet),
    ):  # fmt: skip
        with pytest.raises(error):
            await suspense.give(OWNER, entry, whom, key=f"{entry} {whom}")
    assert await suspense.unclaimed() == [third]
    assert await hub.has("user:telegram:1") == (HAD + HUNDRED, 0)
    assert (await hub.has("suspense"), await hub.has("treasury")) == ((HUNDRED, 0), (HUNDRED, 0))
    given = [one for one in await hub.store.read(lambda tx: tx.events_after(0, 100)) if one.kind is Kind.SUSPENSE_GIVEN]
    assert [(one.data["to"], one.data["amount_sats"]) for one in given] == [(ANN.name, 100), ("treasury", 100)]


async def comes_to(hub: Bench, account: str, amount: int) -> None:
    """Let things run, in which no time passes, until an account has so much."""
    for _ in range(1000):
        if await hub.has(account) == (amount, 0):
            return
        await hub.quiet()
    raise AssertionError(await hub.has(account))


async def test_what_left_suspense_another_way_is_given_only_by_who_knows_it(hub: Bench) -> None:
    stray = await hub.own.node.create_invoice(HUNDRED, "", 60)
    hub.twin.outside_pays(stray.payment_hash)
    assert await hub.invoices.look(stray.payment_hash)
    hub.twin.balance -= HUNDRED
    compared = await hub.reconciler.compare()
    await hub.reconciler.book(OWNER, compared.id)
    suspense = Suspense(hub.store, Identities(hub.store, FakeIds("people"), owners=(), reserved=bool))
    (one,) = await suspense.unclaimed()
    with pytest.raises(SuspenseLacks, match="0 sats in all"):
        await suspense.give(OWNER, one.entry, "treasury", key="a")
    assert await suspense.give(OWNER, one.entry, "treasury", key="b", short=True) == ("treasury", HUNDRED)


async def test_settlements_told_in_another_order_are_all_booked_although_the_hub_dies_between(hub: Bench) -> None:
    """The later one was booked when it died; the next life asks for the earlier one all the same."""
    both = [await asked(hub, key) for key in ("i1", "i2")]
    for one in both:
        hub.twin.outside_pays(one.payment_hash)
    first, second = hub.twin.settlements
    hub.twin.settlements = [second]
    stop = hub.nursery.spawn(hub.invoices.run(), "a life")
    await comes_to(hub, "user:telegram:1", HAD + HUNDRED)
    stop()
    hub.twin.settlements = [first, second]
    hub.nursery.spawn(hub.invoices.run(), "the next life")
    await comes_to(hub, "user:telegram:1", HAD + 2 * HUNDRED)
    assert await hub.store.read(lambda tx: tx.invoices.last_settlement()) == second.index


async def test_what_was_paid_to_the_node_before_it_had_books_is_in_its_opening(hub: Bench) -> None:
    assert not await hub.invoices.look(bytes(32))
    opened = await hub.store.read(lambda tx: tx.books.opened_at())
    for settled in (opened - 1, opened):
        old = await hub.own.node.create_invoice(HUNDRED, "", 60)
        paid = NodeInvoice(
            old.payment_hash, old.bolt11, HUNDRED, opened, InvoiceState.SETTLED, HUNDRED, 1, settled_at=settled
        )
        await hub.store.write(lambda tx, paid=paid: hub.invoices._book(tx, paid))  # type: ignore[misc]
    assert await hub.has("suspense") == (HUNDRED, 0), "of the two, the one of since then"


@pytest.mark.parametrize(
    "lie",
    [
        {"received": 0}, {"received": -1}, {"received": to_msat(MAX_SATS) + 1}, {"state": InvoiceState.HELD},
        {"state": InvoiceState.OPEN},
    ],
)  # fmt: skip
async def test_what_cannot_be_a_settlement_is_passed_over(hub: Bench, lie: dict[str, object]) -> None:
    made = await asked(hub)
    said = NodeInvoice(made.payment_hash, made.bolt11, HUNDRED, made.expires_at, InvoiceState.SETTLED, HUNDRED, 1)
    hub.twin.settlements.append(replace(said, **lie))  # type: ignore[arg-type]
    hub.nursery.spawn(hub.invoices.run(), "settlements")
    for _ in range(1000):
        await hub.quiet()
        if await hub.store.read(lambda tx: tx.invoices.last_settlement()):
            break
    assert await hub.store.read(lambda tx: tx.invoices.last_settlement()) == 1
    assert await hub.has("user:telegram:1") == (HAD, 0)


async def test_a_stream_that_ends_is_said_to(hub: Bench) -> None:
    async def nothing(after: int) -> AsyncIterator[NodeInvoice]:
        for one in list[NodeInvoice]():
            yield one

    hub.own.node.settled = nothing  # type: ignore[method-assign]
    with pytest.raises(SettlementsEnded):
        await hub.invoices.run()


async def test_another_node_is_neither_asked_nor_believed(hub: Bench) -> None:
    made = await asked(hub)
    hub.twin.outside_pays(made.payment_hash)
    hub.twin.who = NodeInfo("simulated", "03cc", 1, synced=True)
    hub.own.doubt()
    with pytest.raises(OtherNode):
        await hub.invoices.look(made.payment_hash)
    hub.twin.who = NodeInfo("regtest", "02aa", 1, synced=True)
    with pytest.raises(OtherNode):
        await asked(hub, "i2")
    assert hub.twin.calls["lookup"] == 0


async def test_a_simulated_book_of_before_nodes_had_keys_is_bound_to_its_key_once(hub: Bench) -> None:
    hub.twin.balance = 0
    await hub.store.write(lambda tx: tx.books.found("simulated", "simulated-abc", tx.now))
    assert (await hub.own.verified()).node == "02aa"
    assert (await hub.own.verified()).node == "02aa"
    assert hub.twin.calls["info"] == 1
    assert await hub.store.read(lambda tx: tx.books.identity()) == ("simulated", "02aa")
    assert await hub.has("node:simulated") == (0, 0), "a node with nothing opens with nothing"


async def test_two_that_meet_a_new_node_open_the_book_once(hub: Bench) -> None:
    hub.own.doubt()
    await asyncio.gather(hub.own.verified(), hub.own.verified())
    assert await hub.has("node:simulated") == (-START, 0)


# What the node has -------------------------------------------------------------------------------------------------


async def test_a_difference_is_booked_once_by_an_owner(hub: Bench) -> None:
    await hub.own.verified()
    for lie, moved in ((-5_000, 5_000), (9_000, -4_000)):
        hub.twin.lie += lie
        made = await hub.reconciler.compare()
        assert made.difference == lie
        for _ in range(2):
            assert (await hub.reconciler.book(OWNER, made.id)).booked
        assert await hub.has("suspense") == (-moved, 0)
        with pytest.raises(NotThatDifference):
            await hub.reconciler.book(OWNER, made.id + 1)
    again = await hub.reconciler.compare()
    with pytest.raises(NotThatDifference):
        await hub.reconciler.book(OWNER, again.id)


async def test_what_is_on_its_way_out_may_have_left_or_not(hub: Bench) -> None:
    hub.twin.fail("pay", Fault.IN_FLIGHT, Fault.LOST_BEFORE)
    for _ in range(2):
        await hub.pay(hub.twin.outside_asks(HUNDRED))
    made = await hub.reconciler.compare()
    assert (made.in_flight, made.difference) == (2 * (HUNDRED + 2_000), 0)
    hub.twin.lie = -HUNDRED - 4_001
    assert (await hub.reconciler.compare()).difference == -1


async def test_nothing_is_compared_while_sats_move(hub: Bench) -> None:
    """What is booked between the question and its answer makes both incomparable."""
    await hub.own.verified()
    balance, moves = hub.own.node.balance, iter(range(100))

    async def busy() -> int:
        one = next(moves)
        if one < still:
            made = await asked(hub, f"busy {one} of {still}")
            hub.twin.outside_pays(made.payment_hash)
            await hub.invoices.look(made.payment_hash)
        return await balance()

    hub.own.node.balance = busy  # type: ignore[method-assign]
    still = 2
    assert (await hub.reconciler.compare()).difference == 0
    still = 99
    with pytest.raises(StillMoving):
        await hub.reconciler.compare()


async def test_a_node_that_is_down_makes_no_invoice_and_no_comparison(hub: Bench) -> None:
    hub.twin.down = True
    with pytest.raises(NodeDown):
        await asked(hub)
    with pytest.raises(NodeDown):
        await hub.reconciler.compare()
    assert await hub.store.read(lambda tx: tx.books.identity()) is None


# What it costs -----------------------------------------------------------------------------------------------------


def request(amount: int | None) -> str:
    return f"lnbcrt1/{'00' * 32}/{amount or ''}/5000/1"


def any_fee(_: int) -> int:
    return 0


def test_a_price_is_the_amount_and_a_limited_fee() -> None:
    assert [fee_limit(amount) for amount in (1, 200_000, 200_100, HUNDRED * 100)] == [2_000, 2_000, 2_001, 100_000]
    fixed, free = decode(request(HUNDRED)), decode(request(None))
    assert (
        price(fixed, None, None, any_fee)
        == price(fixed, HUNDRED, None, any_fee)
        == price(free, HUNDRED, None, any_fee)
        == (HUNDRED, 2_000)
    )
    assert price(fixed, None, HUNDRED, any_fee) == (HUNDRED, 0)
    assert price(fixed, None, HUNDRED + 500, any_fee) == (HUNDRED, 500)
    with pytest.raises(AmountMissing):
        price(free, None, None, any_fee)
    with pytest.raises(AmountGiven):
        price(fixed, HUNDRED + 1, None, any_fee)
    with pytest.raises(CostsMore):
        price(fixed, None, HUNDRED - 1, any_fee)
    for amount in (to_msat(MAX_SATS) + 1, to_msat(MAX_SATS)):  # with its way it would be more than there are
        with pytest.raises(CostsMore):
            price(free, amount, None, any_fee)
    assert price(free, to_msat(MAX_SATS), to_msat(MAX_SATS), any_fee) == (to_msat(MAX_SATS), 0)
    assert price(fixed, None, None, lambda amount: amount // 10) == (HUNDRED, 10_000), (
        "a wallet that wants more at least"
    )
    assert price(fixed, None, HUNDRED + 500, lambda amount: amount // 10) == (HUNDRED, 500), (
        "and no more than was allowed"
    )


@pytest.mark.parametrize(("network", "theirs"), [("bitcoin", r"a test network \(regtest\)"), ("signet", "regtest")])
def test_an_invoice_of_another_network_is_refused(network: str, theirs: str) -> None:
    with pytest.raises(WrongNetwork, match=theirs):
        check_payable(decode(request(HUNDRED)), network, 0)
    with pytest.raises(WrongNetwork, match="for unheard, and"):
        check_payable(decode(request(HUNDRED))._replace(prefix="unheard"), network, 0)
    with pytest.raises(WrongNetwork, match="for bitcoin, and"):
        check_payable(decode(request(HUNDRED))._replace(prefix="bc"), network.replace("bitcoin", "signet"), 0)
