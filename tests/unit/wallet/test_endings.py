"""Payments that their node never ends: an owner's way out, which trusts nobody and pays nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.money import to_msat
from core.tokens import Identities
from core.wallet.endings import (
    LEAST_MS,
    Endings,
    NoPreimage,
    OnItsWayStill,
    SeveralPayments,
    TooEarly,
    UnknownPayment,
)
from core.wallet.lightning import NodeBehind
from core.wallet.payment import GivenUp, InvoiceExpired, State
from tests.fakes import FakeIds
from tests.twin_node import WHOLE, Fault
from tests.unit.wallet.payments_bench import ANN, OWNER

if TYPE_CHECKING:
    from core.wallet.payment import Payment
    from tests.unit.wallet.payments_bench import Bench

HUNDRED, GRANT = to_msat(100), to_msat(10_000)
SHY = WHOLE._replace(once=False, track=False)
"""What a node that says nothing of its payments is."""


@pytest.fixture
def endings(hub: Bench) -> Endings:
    people = Identities(hub.store, FakeIds("people"), owners=(), reserved=lambda _: False)
    return Endings(hub.store, hub.own, hub.payments, hub.clock, people)


async def lost(hub: Bench, fault: Fault = Fault.LOST_AFTER, fee: int = 0) -> tuple[str, Payment]:
    """A payment of which nothing more is heard, after a day."""
    bolt11 = hub.twin.outside_asks(HUNDRED, fee=fee)
    hub.twin.fail("pay", fault)
    made = await hub.pay(bolt11)
    assert made.state is State.UNKNOWN
    hub.clock.advance(LEAST_MS)
    return bolt11, made


async def test_nothing_is_given_up_on_the_word_of_a_node_that_is_behind_the_chain(hub: Bench, endings: Endings) -> None:
    bolt11, made = await lost(hub, Fault.LOST_BEFORE)
    hub.twin.who = hub.twin.who._replace(synced=False)
    hub.own.doubt()
    with pytest.raises(NodeBehind):
        await endings.give_up(OWNER, made.payment_hash.hex())
    assert not (await hub.stands(bolt11)).over
    receipt = hub.twin.asks[bolt11].preimage
    assert (await endings.paid(OWNER, receipt.hex())).state is State.SUCCEEDED, "a receipt proves itself"


async def test_what_is_given_up_frees_its_sats_and_is_paid_by_no_node_again(hub: Bench, endings: Endings) -> None:
    hub.twin.traits = SHY
    bolt11, made = await lost(hub, Fault.LOST_BEFORE)
    assert [one.payment_hash for one in await endings.unfinished()] == [made.payment_hash]
    gone = await endings.give_up(OWNER, made.payment_hash.hex()[:8].upper())
    assert (gone.state, gone.given_up, gone.why) == (
        State.FAILED, True, "console:owner gave it up, since the node does not say how it ended",
    )  # fmt: skip
    assert await hub.has("user:console:owner") == (GRANT, 0)
    assert await endings.give_up(OWNER, made.payment_hash.hex()) == gone, "again changes nothing"
    with pytest.raises(InvoiceExpired):
        await hub.pay(bolt11)
    hub.twin.traits = WHOLE
    with pytest.raises(GivenUp):  # it may have arrived
        await hub.pay(hub.twin.outside_asks(HUNDRED, like=bolt11))


async def test_a_receipt_books_what_the_node_does_not_end(hub: Bench, endings: Endings) -> None:
    hub.twin.traits = SHY
    bolt11, made = await lost(hub)
    preimage = hub.twin.asks[bolt11].preimage
    done = await endings.paid(OWNER, preimage.hex())
    assert (done.state, done.preimage, done.fee) == (State.SUCCEEDED, preimage, 0)
    assert await hub.has("user:console:owner") == (GRANT - HUNDRED, 0)
    assert (await hub.reconciler.compare()).difference == 0
    assert await endings.give_up(OWNER, made.payment_hash.hex()) == done, "what succeeded is not given up"


@pytest.mark.parametrize(
    ("fault", "fee"),
    [(None, 1_500), (Fault.LOST_BEFORE, 0), (Fault.ABSURD, 0), (Fault.NO_RECEIPT, 0), (Fault.UNKNOWN, 0)],
)
async def test_a_receipt_is_booked_with_what_the_node_says_that_it_took(
    hub: Bench, endings: Endings, fault: Fault | None, fee: int
) -> None:
    bolt11, made = await lost(hub, Fault.IN_FLIGHT, fee=1_500)
    hub.twin.land(made.payment_hash, well=True)
    hub.twin.fail("track", *filter(None, [fault]))
    done = await endings.paid(OWNER, hub.twin.asks[bolt11].preimage.hex())
    assert (done.state, done.fee) == (State.SUCCEEDED, fee)
    assert await hub.has("user:console:owner") == (GRANT - HUNDRED - fee, 0)


async def test_the_node_has_the_last_word_where_it_has_one(hub: Bench, endings: Endings) -> None:
    _, made = await lost(hub)
    assert (await endings.give_up(OWNER, made.payment_hash.hex())).state is State.SUCCEEDED
    _, flying = await lost(hub, Fault.IN_FLIGHT)
    with pytest.raises(OnItsWayStill):
        await endings.give_up(OWNER, flying.payment_hash.hex())
    assert (await hub.has("user:console:owner"))[1] == flying.most


async def test_what_is_being_sent_again_is_not_given_up(hub: Bench, endings: Endings) -> None:
    _, made = await lost(hub)
    hub.twin.fail("track", Fault.UNKNOWN, Fault.UNKNOWN)
    hub.twin.fail("pay", Fault.HANGS)
    hub.nursery.spawn(hub.payments.run(), "payments")
    await hub.until(lambda: hub.twin.calls["pay"] == 2)
    with pytest.raises(TooEarly):
        await endings.give_up(OWNER, made.payment_hash.hex())
    hub.twin.release()


async def test_that_an_earlier_attempt_failed_is_no_end_of_the_next_where_a_hash_is_not_paid_once(
    hub: Bench, endings: Endings
) -> None:
    hub.twin.traits = WHOLE._replace(once=False)
    first = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.DELAYED)
    assert (await hub.pay(first)).state is State.FAILED
    made = await hub.pay(hub.twin.outside_asks(HUNDRED, like=first, payee="03cc"))
    assert made.state is State.UNKNOWN
    hub.clock.advance(LEAST_MS)
    assert (await endings.give_up(OWNER, made.payment_hash.hex())).given_up, "it may have arrived"
    with pytest.raises(GivenUp):
        await hub.pay(hub.twin.outside_asks(HUNDRED, like=first, payee="03dd"))


async def test_an_attempt_that_ended_meanwhile_is_not_given_up_for_the_next(hub: Bench, endings: Endings) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.IN_FLIGHT)
    first = await hub.pay(bolt11)
    second = await hub.pay(bolt11)
    await hub.store.write(lambda tx: hub.payments.outgoing.give_up(tx, first, "too late"))
    assert await hub.stands(bolt11) == second


async def test_nothing_is_given_up_too_early_nor_by_anybody_else(hub: Bench, endings: Endings) -> None:
    hub.twin.traits = SHY
    bolt11 = hub.twin.outside_asks(HUNDRED, expires_at=hub.clock.now() + LEAST_MS + 1)
    hub.twin.fail("pay", Fault.LOST_AFTER)
    named = (await hub.pay(bolt11)).payment_hash.hex()
    with pytest.raises(TooEarly):
        await endings.give_up(OWNER, named)
    hub.clock.advance(LEAST_MS)
    with pytest.raises(TooEarly):
        await endings.give_up(OWNER, named)
    with pytest.raises(NotAllowed):
        await endings.give_up(ANN, named)
    with pytest.raises(NotAllowed):
        await endings.paid(ANN, "00" * 32)


@pytest.mark.parametrize("given", ["", "1234567", "xyz", "0" * 8, "0" * 64, "0" * 65])
async def test_what_names_no_payment_changes_nothing(hub: Bench, endings: Endings, given: str) -> None:
    with pytest.raises(UnknownPayment):
        await endings.give_up(OWNER, given)
    with pytest.raises(NoPreimage):
        await endings.paid(OWNER, given)


async def test_a_beginning_that_two_have_names_neither(hub: Bench, endings: Endings) -> None:
    hub.twin.traits = SHY
    _, made = await lost(hub)
    alike = replace(made, payment_hash=made.payment_hash[:5] + bytes(27))
    await hub.store.write(lambda tx: tx.payments.put(alike))
    with pytest.raises(SeveralPayments, match="2 unfinished payments begin with"):
        await endings.give_up(OWNER, made.payment_hash.hex()[:10])
    assert (await endings.give_up(OWNER, made.payment_hash.hex()[:12])).given_up


async def test_a_receipt_of_our_own_invoice_says_nothing_of_a_payment_inside_the_books(
    hub: Bench, endings: Endings
) -> None:
    mine = await hub.invoices.create(
        "user:telegram:1", HUNDRED, "", actor=ANN.actor, conversation="c", key="i", expiry=60
    )
    hub.twin.fail("cancel", Fault.LOST_AFTER)
    assert not (await hub.pay(mine.bolt11)).over
    with pytest.raises(NoPreimage):
        await endings.paid(OWNER, hub.twin.preimages[mine.payment_hash].hex())
    hub.clock.advance(LEAST_MS)
    assert (await endings.give_up(OWNER, mine.payment_hash.hex())).state is State.FAILED
    assert await hub.has("user:telegram:1") == (to_msat(300), 0)
