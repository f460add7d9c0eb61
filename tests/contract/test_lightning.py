"""What the wallet may expect of every Lightning backend: asked of each on its scripted wire (MONEY, "Lightning").

A backend is skipped only where its `Traits` deny what a test is about. To add one: a `Driver` in `nodes/`, and a line here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest

from adapters.lightning.bolt11 import decode
from core.money import MAX_SATS, to_msat
from core.wallet.lightning import (
    HOLD_BLOCKS,
    PREFIXES,
    BadInvoice,
    CannotDo,
    InvoiceState,
    NodeDown,
    NodeRefused,
    PayState,
    proves,
)
from tests.contract.lightning import NotPaid
from tests.contract.nodes import lnd, nwc, phoenixd, simulated
from tests.depth import first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from core.wallet.lightning import Lightning, NodeInvoice, Outcome
    from tests.contract.lightning import Driver

    Drives = Callable[[Path], AbstractAsyncContextManager[Driver]]

DRIVERS: dict[str, Drives] = {
    "simulated": simulated.drive, "lnd": lnd.drive, "nwc": nwc.drive, "phoenixd": phoenixd.drive,
}  # fmt: skip

SATS = 1000
HOUR = 3600
PATIENCE = 10
"""Real seconds until a test gives up on a stream."""

TRY = 1
"""Seconds that a node may try to pay."""

SECRET = bytes(range(32))


LATER = [
    pytest.param(drives, id=name, marks=[pytest.mark.long] * (name in {"nwc", "phoenixd"}))
    for name, drives in DRIVERS.items()
]
"""Two of the backends in `make test`, all four in `make test-deep`."""


@pytest.fixture(params=LATER)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    drives: Drives = request.param
    async with drives(tmp_path) as driver:
        yield driver


@pytest.fixture
async def node(driver: Driver) -> AsyncIterator[Lightning]:
    async with driver.running() as node:
        yield node


def needs(node: Lightning, *traits: str) -> None:
    for trait in traits:
        if not getattr(node.traits, trait):
            pytest.skip(f"{node.backend} lacks the trait: {trait}")


async def pay(node: Lightning, bolt11: str, amount: int | None = None, *, fee_limit: int = 10 * SATS) -> Outcome:
    return await node.pay(bolt11, amount, fee_limit, TRY)


async def settlements(node: Lightning, after: int, count: int) -> list[NodeInvoice]:
    """The first `count` different settlements after one, in the order in which they came first."""
    found: dict[bytes, NodeInvoice] = {}
    stream = node.settled(after)
    try:
        async with asyncio.timeout(PATIENCE):
            async for invoice in stream:
                found.setdefault(invoice.payment_hash, invoice)
                if len(found) == count:
                    break
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
    return list(found.values())


async def seen(node: Lightning, payment_hash: bytes) -> NodeInvoice:
    invoice = await node.lookup(payment_hash)
    assert invoice is not None
    return invoice


# The node ----------------------------------------------------------------------------------------------------------


async def test_it_says_who_it_is_and_that_stays_so(driver: Driver) -> None:
    async with driver.running() as node:
        before = await node.info()
        assert before.network in PREFIXES
        assert before.node
        assert node.backend == driver.name
    async with driver.running() as node:
        assert await node.info() == before


@pytest.mark.parametrize(
    "what", first(2, ["info", "balance", "create", "lookup", "pay", "track", "settled", "hold", "settle", "cancel"])
)
async def test_a_node_that_does_not_answer_is_down_and_comes_back(driver: Driver, node: Lightning, what: str) -> None:
    if what in {"track", "hold", "settle", "cancel"}:
        needs(node, "track" if what == "track" else "hold")
    bolt11 = await driver.ask(10 * SATS)
    asked = decode(bolt11).payment_hash
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "info": node.info,
        "balance": node.balance,
        "create": lambda: node.create_invoice(5 * SATS, "tea", HOUR),
        "lookup": lambda: node.lookup(asked),
        "pay": lambda: pay(node, bolt11),
        "track": lambda: node.track(asked),
        "settled": lambda: settlements(node, 0, 1),
        "hold": lambda: node.create_hold(bytes(32), 5 * SATS, "escrow", HOUR),
        "settle": lambda: node.settle_hold(SECRET),
        "cancel": lambda: node.cancel_invoice(bytes(32)),
    }
    await driver.go_down()
    with pytest.raises(NodeDown) as down:
        await calls[what]()
    assert node.backend in str(down.value)
    await driver.come_back()
    assert await node.balance() > 0
    assert await driver.sent(asked) == 0


async def test_what_the_traits_deny_cannot_be_done(node: Lightning) -> None:
    if node.traits.hold:
        pytest.skip(f"{node.backend} has the trait: hold")
    with pytest.raises(CannotDo):
        await node.create_hold(bytes(32), 5 * SATS, "held", HOUR)
    with pytest.raises(CannotDo):
        await node.settle_hold(SECRET)
    with pytest.raises(CannotDo):
        await node.cancel_invoice(bytes(32))


# Taking sats in ----------------------------------------------------------------------------------------------------


async def test_an_invoice_says_what_was_asked(node: Lightning) -> None:
    made = await node.create_invoice(21 * SATS, "tea for two", HOUR)
    read = decode(made.bolt11)
    assert (made.amount, made.received, made.index, made.state) == (21 * SATS, 0, 0, InvoiceState.OPEN)
    assert (read.payment_hash, read.amount, read.description) == (made.payment_hash, 21 * SATS, "tea for two")
    assert read.expires_at == made.expires_at
    assert read.prefix == PREFIXES[(await node.info()).network]
    assert await seen(node, made.payment_hash) == made


async def test_each_invoice_has_a_hash_of_its_own(node: Lightning) -> None:
    made = [await node.create_invoice(5 * SATS, "the same", HOUR) for _ in range(3)]
    assert len({one.payment_hash for one in made}) == len(made)


async def test_an_invoice_that_is_paid_is_settled_and_the_node_has_the_sats(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    made = await node.create_invoice(21 * SATS, "", HOUR)
    await driver.pay_in(made.bolt11)
    paid = await seen(node, made.payment_hash)
    assert (paid.state, paid.received, paid.amount) == (InvoiceState.SETTLED, 21 * SATS, 21 * SATS)
    assert await node.balance() == before + 21 * SATS
    with pytest.raises(NotPaid):
        await driver.pay_in(made.bolt11)


async def test_more_than_was_asked_is_told_as_it_came(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    made = await node.create_invoice(21 * SATS, "", HOUR)
    await driver.pay_in(made.bolt11, 30 * SATS)
    (told,) = await settlements(node, 0, 1)
    assert (told.amount, told.received) == (21 * SATS, 30 * SATS)
    assert (await seen(node, made.payment_hash)).received == 30 * SATS
    assert await node.balance() == before + 30 * SATS


async def test_less_than_was_asked_does_not_arrive(driver: Driver, node: Lightning) -> None:
    made = await node.create_invoice(21 * SATS, "", HOUR)
    with pytest.raises(NotPaid):
        await driver.pay_in(made.bolt11, 20 * SATS)
    assert (await seen(node, made.payment_hash)).received == 0


async def test_an_expired_invoice_takes_nothing(driver: Driver, node: Lightning) -> None:
    made = await node.create_invoice(21 * SATS, "", 60)
    await driver.pass_time(61)
    with pytest.raises(NotPaid):
        await driver.pay_in(made.bolt11)
    found = await seen(node, made.payment_hash)
    assert found.state in {InvoiceState.OPEN, InvoiceState.CANCELLED}
    assert found.received == 0


async def test_an_unknown_hash_is_no_invoice_of_ours(driver: Driver, node: Lightning) -> None:
    assert await node.lookup(bytes(32)) is None
    assert await node.lookup(decode(await driver.ask(5 * SATS)).payment_hash) is None


async def test_an_amount_below_a_sat(driver: Driver, node: Lightning) -> None:
    needs(node, "msat")
    made = await node.create_invoice(1_001, "", HOUR)
    assert decode(made.bolt11).amount == 1_001
    await driver.pay_in(made.bolt11)
    assert (await seen(node, made.payment_hash)).received == 1_001
    outcome = await pay(node, await driver.ask(1_001))
    assert (outcome.state, outcome.amount) == (PayState.SUCCEEDED, 1_001)


async def test_the_biggest_amount_there_is(driver: Driver, node: Lightning) -> None:
    try:
        made = await node.create_invoice(to_msat(MAX_SATS), "", HOUR)
    except NodeRefused as error:
        pytest.skip(f"{node.backend} has a limit of its own: {error}")
    assert decode(made.bolt11).amount == to_msat(MAX_SATS)
    await driver.pay_in(made.bolt11)
    assert (await settlements(node, 0, 1))[0].received == to_msat(MAX_SATS)


async def test_settlements_are_told_in_their_order_to_whoever_asks_later(driver: Driver, node: Lightning) -> None:
    made = [await node.create_invoice(amount * SATS, "", HOUR) for amount in (5, 6, 7)]
    for one in reversed(made):
        await driver.pay_in(one.bolt11)
    told = await settlements(node, 0, 3)
    assert {one.payment_hash for one in told} == {one.payment_hash for one in made}
    assert all(one.state is InvoiceState.SETTLED for one in told)
    if told[0].index:
        assert [one.received for one in told] == [7 * SATS, 6 * SATS, 5 * SATS]
        assert [one.index for one in told] == sorted({one.index for one in told})


async def test_a_settlement_is_told_to_whoever_waits_for_it(driver: Driver, node: Lightning) -> None:
    made = await node.create_invoice(5 * SATS, "", HOUR)
    told, _ = await asyncio.gather(settlements(node, 0, 1), driver.pay_in(made.bolt11))
    assert told[0].payment_hash == made.payment_hash
    assert told[0] == await seen(node, made.payment_hash)


async def test_the_stream_goes_on_after_the_last_that_was_booked(driver: Driver) -> None:
    async with driver.running() as node:
        first, second = [await node.create_invoice(amount * SATS, "", HOUR) for amount in (5, 6)]
        await driver.pay_in(first.bolt11)
        (booked,) = await settlements(node, 0, 1)
        if not booked.index:
            pytest.skip(f"{node.backend} keeps no order of settlements")
    await driver.pay_in(second.bolt11)
    async with driver.running() as node:
        (missed,) = await settlements(node, booked.index, 1)
        assert (missed.payment_hash, missed.received) == (second.payment_hash, 6 * SATS)
        assert missed.index > booked.index


async def test_a_stream_that_broke_off_is_begun_again(driver: Driver, node: Lightning) -> None:
    made = await node.create_invoice(5 * SATS, "", HOUR)
    await driver.go_down()
    with pytest.raises(NodeDown):
        await settlements(node, 0, 1)
    await driver.come_back()
    told, _ = await asyncio.gather(settlements(node, 0, 1), driver.pay_in(made.bolt11))
    assert told[0].payment_hash == made.payment_hash


async def test_what_is_told_twice_and_out_of_order_is_still_the_same(driver: Driver, node: Lightning) -> None:
    made = [await node.create_invoice(amount * SATS, "", HOUR) for amount in (5, 6)]
    for one in made:
        await driver.pay_in(one.bolt11)
    await driver.repeat_settled()
    told = {one.payment_hash: one for one in await settlements(node, 0, 2)}
    for one in made:
        assert told[one.payment_hash] == await seen(node, one.payment_hash)
        assert told[one.payment_hash].received == one.amount


async def test_an_invoice_whose_answer_was_lost_leaves_the_node_usable(driver: Driver, node: Lightning) -> None:
    await driver.lose_reply()
    with pytest.raises(NodeDown):
        await node.create_invoice(5 * SATS, "lost", HOUR)
    made = await node.create_invoice(5 * SATS, "found", HOUR)
    assert await seen(node, made.payment_hash) == made


@pytest.mark.parametrize("amount", [0, -1, to_msat(MAX_SATS) + 1])
async def test_an_amount_that_cannot_be_is_refused(node: Lightning, amount: int) -> None:
    with pytest.raises(NodeRefused):
        await node.create_invoice(amount, "", HOUR)


# Sending sats out --------------------------------------------------------------------------------------------------


async def test_a_payment_succeeds_with_its_receipt_and_costs_what_it_says(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    bolt11 = await driver.ask(100 * SATS, fee=2 * SATS)
    payment_hash = decode(bolt11).payment_hash
    outcome = await pay(node, bolt11)
    assert (outcome.state, outcome.amount, outcome.fee) == (PayState.SUCCEEDED, 100 * SATS, 2 * SATS)
    assert proves(outcome.preimage, payment_hash)
    assert await node.balance() == before - 102 * SATS
    assert await driver.sent(payment_hash) == 1
    if node.traits.track:
        assert await node.track(payment_hash) == outcome


async def test_a_way_that_costs_more_than_the_limit_is_not_taken(driver: Driver, node: Lightning) -> None:
    if not driver.caps_fees:
        pytest.skip(f"{node.backend} cannot be told a fee limit")
    before = await node.balance()
    bolt11 = await driver.ask(100 * SATS, fee=2 * SATS)
    assert (await pay(node, bolt11, fee_limit=2 * SATS - 1)).state is PayState.FAILED
    assert await node.balance() == before
    assert await driver.sent(decode(bolt11).payment_hash) == 0


async def test_a_fee_limit_of_zero_takes_only_a_free_way(driver: Driver, node: Lightning) -> None:
    if not driver.caps_fees:
        pytest.skip(f"{node.backend} cannot be told a fee limit")
    free, dear = await driver.ask(100 * SATS), await driver.ask(100 * SATS, fee=1 * SATS)
    outcome = await pay(node, free, fee_limit=0)
    assert (outcome.state, outcome.fee) == (PayState.SUCCEEDED, 0)
    assert (await pay(node, dear, fee_limit=0)).state is PayState.FAILED
    assert await driver.sent(decode(dear).payment_hash) == 0


async def test_no_way_is_a_final_failure_that_says_why(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    bolt11 = await driver.ask(100 * SATS, fails="no_route")
    payment_hash = decode(bolt11).payment_hash
    outcome = await pay(node, bolt11)
    assert outcome.state is PayState.FAILED
    assert outcome.why
    assert outcome.preimage is None
    assert await node.balance() == before
    assert await driver.sent(payment_hash) == 0
    if node.traits.track:
        assert (await node.track(payment_hash)).state is PayState.FAILED


async def test_more_than_the_node_has_is_not_paid(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    bolt11 = await driver.ask(before - before % SATS + SATS)
    assert not await went_out(node, bolt11)
    assert await node.balance() == before


async def test_an_invoice_that_leaves_the_amount_open_is_paid_what_the_payer_says(
    driver: Driver, node: Lightning
) -> None:
    bolt11 = await driver.ask(None)
    assert decode(bolt11).amount is None
    outcome = await pay(node, bolt11, 33 * SATS)
    assert (outcome.state, outcome.amount) == (PayState.SUCCEEDED, 33 * SATS)


async def test_no_amount_for_an_open_invoice_and_another_for_a_fixed_one_are_refused(
    driver: Driver, node: Lightning
) -> None:
    free, fixed = await driver.ask(None), await driver.ask(5 * SATS)
    with pytest.raises(NodeRefused):
        await pay(node, free)
    with pytest.raises(NodeRefused):
        await pay(node, fixed, 6 * SATS)
    assert await driver.sent(decode(free).payment_hash) == await driver.sent(decode(fixed).payment_hash) == 0


async def went_out(node: Lightning, bolt11: str) -> bool:
    """Whether a payment succeeded that should not: a node may refuse it, or fail it for good."""
    try:
        outcome = await pay(node, bolt11)
    except (NodeRefused, BadInvoice):
        return False
    assert outcome.state in {PayState.FAILED, PayState.SUCCEEDED}
    return outcome.state is PayState.SUCCEEDED


@pytest.mark.parametrize("bad", ["", "lnbcrt1", "nonsense", "lnbcrt" + "q" * 300])
async def test_what_is_no_invoice_is_not_paid(node: Lightning, bad: str) -> None:
    assert not await went_out(node, bad)


async def test_an_expired_invoice_is_not_paid(driver: Driver, node: Lightning) -> None:
    bolt11 = await driver.ask(5 * SATS)
    expires = decode(bolt11).expires_at
    await driver.pass_time(expires // 1000)
    assert not await went_out(node, bolt11)
    assert await driver.sent(decode(bolt11).payment_hash) == 0


async def test_a_node_does_not_pay_itself(node: Lightning) -> None:
    before = await node.balance()
    made = await node.create_invoice(5 * SATS, "", HOUR)
    assert not await went_out(node, made.bolt11)
    assert await node.balance() == before
    assert (await seen(node, made.payment_hash)).received == 0


async def test_a_payment_that_nobody_sent_is_unknown(driver: Driver, node: Lightning) -> None:
    needs(node, "track")
    assert (await node.track(bytes(32))).state is PayState.UNKNOWN
    assert (await node.track(decode(await driver.ask(5 * SATS)).payment_hash)).state is PayState.UNKNOWN


@pytest.mark.parametrize("fault", ["lose_reply", "time_out"])
@pytest.mark.parametrize("fails", ["", "no_route"])
async def test_an_answer_that_is_lost_says_nothing_and_track_tells_the_truth(
    driver: Driver, node: Lightning, fault: str, fails: str
) -> None:
    needs(node, "track")
    bolt11 = await driver.ask(100 * SATS, fails=fails)
    payment_hash = decode(bolt11).payment_hash
    await getattr(driver, fault)()
    with pytest.raises(NodeDown):
        await pay(node, bolt11)
    truth = await node.track(payment_hash)
    assert truth.state is (PayState.FAILED if fails else PayState.SUCCEEDED)
    assert fails or proves(truth.preimage, payment_hash)
    assert await driver.sent(payment_hash) == (0 if fails else 1)
    if node.traits.once:
        assert (await pay(node, bolt11)).state is truth.state
        assert await driver.sent(payment_hash) == (0 if fails else 1)


@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
async def test_a_payment_that_hangs_is_in_flight_until_it_lands(driver: Driver, node: Lightning, well: bool) -> None:
    needs(node, "track")
    before = await node.balance()
    bolt11 = await driver.ask(100 * SATS, fails="hangs", fee=2 * SATS)
    payment_hash = decode(bolt11).payment_hash
    assert (await pay(node, bolt11)).state is PayState.IN_FLIGHT
    assert (await node.track(payment_hash)).state is PayState.IN_FLIGHT
    assert await node.balance() <= before - 100 * SATS
    await driver.land(payment_hash, well=well)
    outcome = await node.track(payment_hash)
    assert outcome.state is (PayState.SUCCEEDED if well else PayState.FAILED)
    assert proves(outcome.preimage, payment_hash) is well
    assert await node.balance() == (before - 102 * SATS if well else before)
    assert await driver.sent(payment_hash) == int(well)


async def test_the_same_payment_again_is_paid_once(driver: Driver, node: Lightning) -> None:
    needs(node, "once")
    before = await node.balance()
    bolt11 = await driver.ask(100 * SATS)
    payment_hash = decode(bolt11).payment_hash
    first, second = await asyncio.gather(pay(node, bolt11), pay(node, bolt11))
    assert {first.state, second.state} <= {PayState.SUCCEEDED, PayState.IN_FLIGHT}
    third = await pay(node, bolt11)
    assert third.state is PayState.SUCCEEDED
    assert proves(third.preimage, payment_hash)
    assert await driver.sent(payment_hash) == 1
    assert await node.balance() == before - 100 * SATS


async def test_a_payment_in_flight_that_is_sent_again_leaves_once(driver: Driver, node: Lightning) -> None:
    needs(node, "once", "track")
    bolt11 = await driver.ask(100 * SATS, fails="hangs")
    payment_hash = decode(bolt11).payment_hash
    assert (await pay(node, bolt11)).state is PayState.IN_FLIGHT
    left = await node.balance()
    assert (await pay(node, bolt11)).state is PayState.IN_FLIGHT
    assert await node.balance() == left
    await driver.land(payment_hash, well=True)
    assert (await pay(node, bolt11)).state is PayState.SUCCEEDED
    assert await driver.sent(payment_hash) == 1


# Invoices that are held --------------------------------------------------------------------------------------------


async def held(driver: Driver, node: Lightning, amount: int = 50 * SATS) -> bytes:
    needs(node, "hold")
    payment_hash = hashlib.sha256(SECRET).digest()
    made = await node.create_hold(payment_hash, amount, "escrow", HOUR)
    assert (made.payment_hash, made.state) == (payment_hash, InvoiceState.OPEN)
    assert decode(made.bolt11).payment_hash == payment_hash
    await driver.pay_in(made.bolt11)
    return payment_hash


async def test_what_is_held_is_ours_only_once_it_is_settled(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    payment_hash = await held(driver, node)
    waiting = await seen(node, payment_hash)
    assert (waiting.state, waiting.received, waiting.index) == (InvoiceState.HELD, 50 * SATS, 0)
    assert waiting.held_until == (await node.info()).height + HOLD_BLOCKS
    assert await node.balance() == before
    for _ in range(2):
        await node.settle_hold(SECRET)
        assert await node.balance() == before + 50 * SATS
    taken = await seen(node, payment_hash)
    assert (taken.state, taken.received, taken.held_until) == (InvoiceState.SETTLED, 50 * SATS, 0)
    assert [one.payment_hash for one in await settlements(node, 0, 1)] == [payment_hash]
    with pytest.raises(NodeRefused):
        await node.cancel_invoice(payment_hash)


async def test_what_is_held_can_be_given_back(driver: Driver, node: Lightning) -> None:
    before = await node.balance()
    payment_hash = await held(driver, node)
    for _ in range(2):
        await node.cancel_invoice(payment_hash)
        given = await seen(node, payment_hash)
        assert (given.state, given.received) == (InvoiceState.CANCELLED, 0)
    assert await node.balance() == before
    with pytest.raises(NodeRefused):
        await node.settle_hold(SECRET)


async def test_what_is_held_or_over_takes_no_second_payment(driver: Driver, node: Lightning) -> None:
    payment_hash = await held(driver, node)
    bolt11 = (await seen(node, payment_hash)).bolt11
    for end in (None, node.cancel_invoice(payment_hash)):
        if end is not None:
            await end
        with pytest.raises(NotPaid):
            await driver.pay_in(bolt11)


async def test_more_than_was_asked_is_held_and_taken_as_it_came(driver: Driver, node: Lightning) -> None:
    needs(node, "hold")
    before = await node.balance()
    made = await node.create_hold(hashlib.sha256(SECRET).digest(), 50 * SATS, "", HOUR)
    await driver.pay_in(made.bolt11, 70 * SATS)
    assert (await seen(node, made.payment_hash)).received == 70 * SATS
    await node.settle_hold(SECRET)
    assert (await settlements(node, 0, 1))[0].received == 70 * SATS
    assert await node.balance() == before + 70 * SATS


async def test_what_is_given_back_is_told_of_by_no_settlement(driver: Driver, node: Lightning) -> None:
    payment_hash = await held(driver, node)
    await node.cancel_invoice(payment_hash)
    made = await node.create_invoice(5 * SATS, "", HOUR)
    await driver.pay_in(made.bolt11)
    assert [one.payment_hash for one in await settlements(node, 0, 1)] == [made.payment_hash]


async def test_an_open_invoice_can_be_taken_back(driver: Driver, node: Lightning) -> None:
    needs(node, "hold")
    made = await node.create_invoice(5 * SATS, "", HOUR)
    await node.cancel_invoice(made.payment_hash)
    assert (await seen(node, made.payment_hash)).state is InvoiceState.CANCELLED
    with pytest.raises(NotPaid):
        await driver.pay_in(made.bolt11)


async def test_what_was_not_paid_and_what_nobody_knows_cannot_be_settled(node: Lightning) -> None:
    needs(node, "hold")
    with pytest.raises(NodeRefused):
        await node.settle_hold(SECRET)
    with pytest.raises(NodeRefused):
        await node.cancel_invoice(bytes(32))
    await node.create_hold(hashlib.sha256(SECRET).digest(), 5 * SATS, "", HOUR)
    with pytest.raises(NodeRefused):
        await node.settle_hold(SECRET)
    with pytest.raises(NodeRefused):
        await node.create_hold(hashlib.sha256(SECRET).digest(), 5 * SATS, "", HOUR)


@pytest.mark.parametrize("fault", ["lose_reply", "time_out"])
@pytest.mark.parametrize("well", [True, False], ids=["settled", "given back"])
async def test_an_end_whose_answer_was_lost_can_be_asked_for_again(
    driver: Driver, node: Lightning, fault: str, well: bool
) -> None:
    before = await node.balance()
    payment_hash = await held(driver, node)
    await getattr(driver, fault)()
    with pytest.raises(NodeDown):
        await (node.settle_hold(SECRET) if well else node.cancel_invoice(payment_hash))
    await (node.settle_hold(SECRET) if well else node.cancel_invoice(payment_hash))
    state = InvoiceState.SETTLED if well else InvoiceState.CANCELLED
    assert (await seen(node, payment_hash)).state is state
    assert await node.balance() == before + (50 * SATS if well else 0)


# A restart in the middle of everything -----------------------------------------------------------------------------


async def test_a_restart_loses_nothing(driver: Driver) -> None:
    async with driver.running() as node:
        needs(node, "track")
        before = await node.balance()
        waiting, paid = [await node.create_invoice(amount * SATS, "", HOUR) for amount in (5, 6)]
        await driver.pay_in(paid.bolt11)
        done, hanging = await driver.ask(20 * SATS), await driver.ask(30 * SATS, fails="hangs")
        assert (await pay(node, done)).state is PayState.SUCCEEDED
        assert (await pay(node, hanging)).state is PayState.IN_FLIGHT
        left = await node.balance()
        told = await settlements(node, 0, 1)
    await driver.pay_in(waiting.bolt11)
    await driver.land(decode(hanging).payment_hash, well=True)
    async with driver.running() as node:
        assert left == before - 44 * SATS
        assert await node.balance() == left + 5 * SATS
        assert (await seen(node, paid.payment_hash)).state is InvoiceState.SETTLED
        assert (await seen(node, waiting.payment_hash)).state is InvoiceState.SETTLED
        for bolt11 in (done, hanging):
            outcome = await node.track(decode(bolt11).payment_hash)
            assert outcome.state is PayState.SUCCEEDED
            assert proves(outcome.preimage, decode(bolt11).payment_hash)
        again = await settlements(node, 0, 2)
        assert told[0] in again
        assert {one.payment_hash for one in again} == {paid.payment_hash, waiting.payment_hash}


async def test_what_is_held_outlives_a_restart(driver: Driver) -> None:
    async with driver.running() as node:
        payment_hash = await held(driver, node)
        before = await node.balance()
    async with driver.running() as node:
        assert (await seen(node, payment_hash)).state is InvoiceState.HELD
        await node.settle_hold(SECRET)
        assert await node.balance() == before + 50 * SATS
