"""What buys by L402 pays by the one door of payments: for its own account, no more than agreed, and its end is told as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.money import to_msat
from core.tokens import Identities
from core.wallet.lightning import BadInvoice, NodeDown, Outcome, PayState
from core.wallet.payment import LEAST_FEE, State
from core.wallet.purse import Purse, ServiceNotPaid, StillOnItsWay
from tests.fakes import FakeIds
from tests.twin_node import Fault, decode
from tests.unit.wallet.payments_bench import ANN, OWNER

if TYPE_CHECKING:
    from tests.unit.wallet.payments_bench import Bench

OWNERS = f"user:{OWNER.name}"
SATS = to_msat(50)
MOST = to_msat(60)


@pytest.fixture
def purse(hub: Bench) -> Purse:
    people = Identities(hub.store, FakeIds(), owners=(), reserved=lambda _: False)
    return Purse(hub.store, hub.payments, people, hub.own)


async def buys(purse: Purse, bolt11: str, most: int = MOST) -> bytes:
    return await purse.pay_invoice(OWNERS, bolt11, most, "page", "a page", "")


async def test_a_page_is_paid_once_and_its_receipt_is_handed_over(hub: Bench, purse: Purse) -> None:
    bolt11 = hub.twin.outside_asks(SATS)
    receipt = hub.twin.asks[bolt11].preimage
    assert await buys(purse, bolt11) == receipt
    assert await buys(purse, bolt11) == receipt, "the same order again is the same payment"
    assert hub.twin.calls["pay"] == 1
    assert await purse.outcome(OWNERS, decode(bolt11).payment_hash) == Outcome(PayState.SUCCEEDED, receipt, SATS, 0)


async def test_what_it_may_cost_is_with_its_way(hub: Bench, purse: Purse) -> None:
    bolt11 = hub.twin.outside_asks(SATS)
    assert await purse.cost(OWNERS, bolt11) == SATS + LEAST_FEE
    with pytest.raises(BadInvoice):
        await purse.cost(OWNERS, "lnbc1")


async def test_an_invoice_above_what_was_agreed_is_not_paid(hub: Bench, purse: Purse) -> None:
    with pytest.raises(ServiceNotPaid, match="more than was agreed"):
        await buys(purse, hub.twin.outside_asks(SATS), SATS - 1)
    assert hub.twin.calls["pay"] == 0


async def test_what_failed_says_why_and_is_known_to_have_failed(hub: Bench, purse: Purse) -> None:
    bolt11 = hub.twin.outside_asks(SATS)
    hub.twin.fail("pay", Fault.NO_ROUTE)
    with pytest.raises(ServiceNotPaid) as refused:
        await buys(purse, bolt11)
    outcome = await purse.outcome(OWNERS, decode(bolt11).payment_hash)
    assert outcome.state is PayState.FAILED
    assert outcome.why in str(refused.value)


async def test_what_has_no_end_yet_is_on_its_way_and_not_asked_of_anybody_else(hub: Bench, purse: Purse) -> None:
    bolt11 = hub.twin.outside_asks(SATS)
    hub.twin.fail("pay", Fault.LOST_AFTER)
    with pytest.raises(StillOnItsWay):
        await buys(purse, bolt11)
    digest = decode(bolt11).payment_hash
    assert await purse.outcome(OWNERS, digest) == Outcome(PayState.IN_FLIGHT)
    assert await purse.outcome(f"user:{ANN.name}", digest) == Outcome(PayState.UNKNOWN), (
        "another's payment is nobody's business"
    )
    assert await purse.outcome(OWNERS, bytes(32)) == Outcome(PayState.UNKNOWN)
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED


async def test_the_network_is_the_nodes_and_an_unreachable_node_says_so(hub: Bench, purse: Purse) -> None:
    assert await purse.prefix() == "bcrt"
    hub.own.doubt()
    hub.twin.fail("info", Fault.LOST_BEFORE)
    with pytest.raises(NodeDown):
        await purse.prefix()


async def test_what_needs_no_tap_is_what_the_owners_set(purse: Purse) -> None:
    assert await purse.unasked(OWNERS) is None


async def test_what_somebody_bought_is_told_by_their_own_try(hub: Bench, purse: Purse) -> None:
    """Two pay the same invoice, which a server handed to both."""
    bolt11 = hub.twin.outside_asks(SATS)
    digest = decode(bolt11).payment_hash
    assert (await purse.outcome(f"user:{ANN.name}", digest)).state is PayState.UNKNOWN
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.IN_FLIGHT)
    await hub.pay(bolt11, ANN)
    await hub.pay(bolt11)
    assert (await purse.outcome(f"user:{ANN.name}", digest)).why == "there is no way"
    assert (await purse.outcome(OWNERS, digest)).state is PayState.IN_FLIGHT
    hub.twin.land(digest, well=True)
    hub.nursery.spawn(hub.payments.run(), "payments")
    await hub.ends(bolt11)
    assert (await purse.outcome(OWNERS, digest)).state is PayState.SUCCEEDED
