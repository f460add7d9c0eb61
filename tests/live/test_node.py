"""The part of the conformance suite that a real node can be asked for: no fault, no clock, and no settlements of its past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.test_lightning import (
    HOUR,
    SATS,
    seen,
    settlements,
    test_a_node_does_not_pay_itself,
    test_a_payment_in_flight_that_is_sent_again_leaves_once,
    test_a_payment_that_nobody_sent_is_unknown,
    test_an_amount_below_a_sat,
    test_an_amount_that_cannot_be_is_refused,
    test_an_invoice_says_what_was_asked,
    test_an_invoice_that_is_paid_is_settled_and_the_node_has_the_sats,
    test_an_invoice_that_leaves_the_amount_open_is_paid_what_the_payer_says,
    test_an_open_invoice_can_be_taken_back,
    test_an_unknown_hash_is_no_invoice_of_ours,
    test_each_invoice_has_a_hash_of_its_own,
    test_it_says_who_it_is_and_that_stays_so,
    test_no_amount_for_an_open_invoice_and_another_for_a_fixed_one_are_refused,
    test_the_same_payment_again_is_paid_once,
    test_what_is_held_can_be_given_back,
    test_what_is_held_outlives_a_restart,
    test_what_is_no_invoice_is_not_paid,
    test_what_was_not_paid_and_what_nobody_knows_cannot_be_settled,
)

if TYPE_CHECKING:
    from core.wallet.lightning import Lightning
    from tests.contract.lightning import Driver


async def test_a_settlement_is_told_behind_the_one_before_it(driver: Driver, node: Lightning) -> None:
    made = await node.create_invoice(5 * SATS, "", HOUR)
    await driver.pay_in(made.bolt11)
    paid = await seen(node, made.payment_hash)
    assert (await settlements(node, paid.index - 1, 1)) == [paid]
