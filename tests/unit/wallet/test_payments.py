"""Sats out over a node that loses, delays, forgets and lies: what is paid, what is booked, and what is asked again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite.writer import _Job
from bot import views_lightning
from core.events import Kind
from core.money import to_msat
from core.store import DiskFull
from core.wallet.ledger import NotEnoughSats
from core.wallet.lightning import BadInvoice, InvoiceState, NodeDown, NodeInfo, NotBegun, Outcome, PayState
from core.wallet.looks import AT_ONCE, LAST_LOOK_MS, Looks
from core.wallet.node import OtherNode
from core.wallet.outgoing import CannotTakeBack, OwnGate, PaysYourself, attempted
from core.wallet.payment import EARLIER, BeingPaid, HashTaken, InvoiceExpired, PaidAlready, State, TriedAlready, resolve
from core.wallet.payments import NODE_SECONDS, PATIENCE_MS, SILENT_MS
from tests.twin_node import START, WHOLE, Fault, Line
from tests.unit.wallet.payments_bench import ANN, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.sqlite.unit_of_work import UnitOfWork
    from tests.unit.wallet.payments_bench import Bench

ENDS = {Kind.PAYMENT_SUCCEEDED, Kind.PAYMENT_FAILED}
ONE_SHOT = WHOLE._replace(once=False)
HUNDRED = to_msat(100)
GRANT = to_msat(10_000)


async def ended(hub: Bench) -> list[bool]:
    """Of each end that was told: whether somebody waited for it."""
    events = await hub.store.read(lambda tx: tx.events_after(0, 1000))
    return [bool(event.data["answered"]) for event in events if event.kind in ENDS]


async def test_what_is_paid_is_booked_with_its_receipt_and_its_fee(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED, 1_500)
    paid = await hub.pay(bolt11)
    assert (paid.state, paid.fee, paid.preimage) == (State.SUCCEEDED, 1_500, hub.twin.asks[bolt11].preimage)
    assert await hub.has("user:console:owner") == (GRANT - HUNDRED - 1_500, 0)
    assert -(await hub.has("node:simulated"))[0] == hub.twin.balance == START - HUNDRED - 1_500
    assert hub.guard.counted == [HUNDRED + 2_000, -HUNDRED - 1_500]
    assert await ended(hub) == [True]


async def test_a_lost_answer_is_looked_up_and_paid_once(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LOST_AFTER)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    assert await hub.has("user:console:owner") == (GRANT, HUNDRED + 2_000)
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED
    assert hub.twin.calls["pay"] == 1
    assert await ended(hub) == [False], "it is told as news"


async def test_what_never_arrived_is_sent_again_where_a_hash_is_paid_once(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LOST_BEFORE)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED
    assert len(hub.twin.left) == 1


@pytest.mark.parametrize("track", [True, False])
async def test_where_a_hash_may_be_paid_twice_the_node_is_asked_once(hub: Bench, track: bool) -> None:
    hub.twin.traits = ONE_SHOT._replace(track=track)
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.DELAYED)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    hub.nursery.spawn(hub.payments.run(), "payments")
    for _ in range(5):
        await hub.until(lambda: hub.clock.sleepers, 0)
        hub.clock.advance(LAST_LOOK_MS)
    assert (await hub.stands(bolt11)).state is State.UNKNOWN
    hub.twin.arrive()
    if track:
        assert (await hub.ends(bolt11, 10)).state is State.SUCCEEDED
    assert hub.twin.calls["pay"] == 1
    assert len(hub.twin.left[decode_hash(bolt11)]) == 1


def decode_hash(bolt11: str) -> bytes:
    return bytes.fromhex(bolt11.split("/")[1])


async def test_a_look_that_is_stale_sends_nothing_twice(hub: Bench) -> None:
    """It was seen prepared, and sent meanwhile: where a hash may be paid twice, it is not sent again."""
    hub.twin.traits = ONE_SHOT
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.DELAYED)
    stale = replace(await hub.pay(bolt11), state=State.PREPARED)
    await hub.payments._look(stale)
    await hub.until(lambda: not hub.payments._busy)
    assert hub.twin.calls["pay"] == 1
    hub.payments._start(replace(stale, state=State.SUCCEEDED))
    assert not hub.payments._busy
    hub.twin.arrive()
    await hub.payments._look(stale)
    hub.payments._start(stale)
    await hub.until(lambda: not hub.payments._busy)
    assert hub.twin.calls["pay"] == 1
    assert (await hub.stands(bolt11)).state is State.SUCCEEDED


async def test_another_invoice_of_the_same_hash_is_paid_as_it_is(hub: Bench) -> None:
    """Whoever asked for much, in vain, and then for little under the same hash, gets little."""
    dear = hub.twin.outside_asks(to_msat(5_000))
    hub.twin.fail("pay", Fault.NO_ROUTE)
    assert (await hub.pay(dear)).state is State.FAILED
    cheap = hub.twin.outside_asks(to_msat(1), like=dear)
    paid = await hub.pay(cheap, ANN)
    assert (paid.bolt11, paid.attempt, paid.account) == (cheap, 2, "user:telegram:1")
    assert hub.twin.sent(paid.payment_hash) == to_msat(1)
    assert await hub.has("fees:routing") == (0, 0)


@pytest.mark.parametrize(("first", "second"), [(100, 500), (500, 100), (100, 100)])
async def test_what_was_said_to_have_failed_and_is_paid_after_all_is_booked_as_what_it_was(
    hub: Bench, first: int, second: int
) -> None:
    """Meanwhile another invoice was tried under its hash: what was paid is the first, to the msat."""
    early = hub.twin.outside_asks(to_msat(first), 1_000)
    hub.twin.fail("pay", Fault.LIES)
    assert (await hub.pay(early)).state is State.FAILED
    hub.twin.land(decode_hash(early), well=True)
    paid = await hub.pay(hub.twin.outside_asks(to_msat(second), like=early))
    assert (paid.state, paid.amount, paid.fee) == (State.SUCCEEDED, to_msat(first), 1_000)
    assert paid.why == ("" if first == second else EARLIER)
    assert paid.why in views_lightning.payment(paid, simulated=True).text
    assert (await hub.stands(early)) == paid
    left = to_msat(first) + 1_000
    beyond = max(0, left - to_msat(second) - max(2_000, to_msat(second) // 100))
    assert await hub.has("user:console:owner") == (GRANT - left + beyond, 0)
    assert await hub.has("fees:routing") == (-beyond, 0)
    assert -(await hub.has("node:simulated"))[0] == hub.twin.balance == START - left


@pytest.mark.parametrize(("said", "booked"), [(100, 100), (500, 500), (0, 500), (99, 500), (7, 500), (501, 501)])
async def test_the_nodes_word_chooses_among_what_it_may_have_begun_and_talks_no_amount_down(
    hub: Bench, said: int, booked: int
) -> None:
    bolt11 = hub.twin.outside_asks(500)
    hub.twin.fail("pay", Fault.NO_ROUTE)
    now = replace(await hub.pay(bolt11), state=State.UNKNOWN, attempt=3, begun=True)
    earlier = [replace(now, attempt=2, amount=7, begun=False), replace(now, attempt=1, amount=100)]
    receipt = Outcome(PayState.SUCCEEDED, hub.twin.asks[bolt11].preimage, said, 1)
    assert resolve(now, receipt, 0, earlier).sent == booked + 1


async def test_whoever_tried_in_vain_is_told_of_their_own_try_whatever_became_of_the_next(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE)
    failed = await hub.pay(bolt11, key="one")
    assert (await hub.pay(bolt11, ANN)).state is State.SUCCEEDED
    assert await hub.pay(bolt11, key="one") == failed
    assert (failed.state, failed.account) == (State.FAILED, "user:console:owner")
    events = await hub.store.read(lambda tx: tx.events_after(0, 1000))
    numbers = [event.data["attempt"] for event in events if event.kind in ENDS]
    news = await hub.store.read(lambda tx: [attempted(tx, failed.payment_hash, int(str(one))) for one in numbers])
    assert [one and one.account for one in news] == ["user:console:owner", "user:telegram:1"]


class Unreachable(Line):
    """Nobody is there."""

    async def pay(self, bolt11: str, amount: int | None, fee_limit: int, timeout: int) -> Outcome:
        raise NotBegun(backend="simulated", why="it is gone")


async def test_what_is_sent_after_all_was_begun_whatever_the_node_said_of_its_hash_before(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    order = hub.order(bolt11)
    quote = await hub.payments.quote(order)
    made = await hub.store.write(lambda tx: hub.payments.outgoing.prepare(tx, order, quote))
    of_another_user = Outcome(PayState.IN_FLIGHT)
    await hub.store.write(lambda tx: hub.payments.outgoing.end(tx, made, of_another_user))
    hub.twin.fail("pay", Fault.IN_FLIGHT)
    hub.nursery.spawn(hub.payments.run(), "payments")
    await hub.until(lambda: hub.twin.calls["pay"])
    await hub.quiet()
    assert (await hub.stands(bolt11)).begun


async def test_what_never_reached_the_node_has_failed_and_was_not_begun(hub: Bench) -> None:
    line, hub.own.node = hub.own.node, Unreachable(hub.twin)
    bolt11 = hub.twin.outside_asks(HUNDRED)
    failed = await hub.pay(bolt11)
    assert (failed.state, failed.begun, failed.may_have_left) == (State.FAILED, False, False)
    hub.own.node = line
    assert (await hub.pay(bolt11)).state is State.SUCCEEDED


# Who has a payment hash ----------------------------------------------------------------------------------------------


async def test_whoever_had_nothing_sent_keeps_no_hash_from_anybody(hub: Bench) -> None:
    """Where a hash may be paid twice, too: the node certainly began nothing."""
    hub.twin.traits = ONE_SHOT
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.REFUSED)
    refused = await hub.pay(bolt11, ANN)
    assert (refused.state, refused.begun) == (State.FAILED, False)
    paid = await hub.pay(bolt11)
    assert (paid.state, paid.attempt) == (State.SUCCEEDED, 2)


async def test_what_was_halted_keeps_no_hash_and_a_lost_answer_to_the_next_is_the_next_ones(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.guard.why = "spending is frozen"
    assert not (await hub.pay(bolt11)).begun
    hub.guard.why, hub.twin.traits = "", ONE_SHOT
    hub.twin.fail("pay", Fault.DELAYED)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    hub.twin.payments[decode_hash(bolt11)] = Outcome(PayState.FAILED, why="no way")
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).why == "no way"


async def test_another_signers_invoice_keeps_the_hash_only_while_it_is_on_its_way(hub: Bench) -> None:
    """Anybody who knows a hash can sign an invoice under it; a node pays one of them at a time."""
    hub.twin.traits = ONE_SHOT
    real = hub.twin.outside_asks(HUNDRED)
    forged = hub.twin.outside_asks(to_msat(1), like=real, payee="03ee")
    hub.twin.fail("pay", Fault.IN_FLIGHT)
    assert (await hub.pay(forged, ANN)).state is State.UNKNOWN
    with pytest.raises(HashTaken):
        await hub.pay(real)
    with pytest.raises(BeingPaid):
        await hub.pay(forged)
    hub.twin.land(decode_hash(real), well=False)
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(forged)).state is State.FAILED
    with pytest.raises(TriedAlready):
        await hub.pay(forged)
    assert (await hub.pay(real)).state is State.SUCCEEDED
    with pytest.raises(PaidAlready):
        await hub.pay(forged, ANN)


async def test_two_at_once_pay_once(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.HANGS)
    both = [asyncio.gather(hub.pay(bolt11, who), return_exceptions=True) for who in (OWNER, ANN)]
    await hub.until(lambda: hub.twin.hung, 0)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)  # who comes second, while the first hangs
    hub.twin.release()
    found = [one for each in both for one in await each]
    assert sorted(type(one).__name__ for one in found) == ["BeingPaid", "Payment"]
    assert hub.twin.calls["pay"] == 1
    with pytest.raises(PaidAlready):
        await hub.pay(bolt11, ANN)


async def test_one_command_twice_pays_once_and_both_are_answered(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    one, two = await asyncio.gather(hub.pay(bolt11, key="same"), hub.pay(bolt11, key="same"))
    assert one == two
    assert one.state is State.SUCCEEDED
    assert await hub.pay(bolt11, key="same") == one


async def test_a_command_that_comes_again_is_told_what_it_paid_although_the_invoice_ran_out_and_the_node_is_down(
    hub: Bench,
) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    paid = await hub.pay(bolt11, key="one")
    hub.clock.advance(2 * 3_600_000)
    hub.twin.down = True
    assert await hub.pay(bolt11, key="one") == paid
    assert await hub.payments.known("one") == paid
    assert await hub.payments.known("another") is None


async def test_what_failed_may_be_tried_anew_where_a_hash_is_paid_once(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.IN_FLIGHT)
    failed = await hub.pay(bolt11)
    assert (failed.state, failed.why, await hub.has("user:console:owner")) == (
        State.FAILED,
        "there is no way",
        (GRANT, 0),
    )
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    for written in (bolt11, bolt11.upper()):
        with pytest.raises(BeingPaid, match="whoever pays it is told how it ends"):  # which may be another person
            await hub.pay(written, ANN)
    hub.twin.land(failed.payment_hash, well=True)
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).attempt == 2


async def test_what_failed_is_not_tried_anew_where_a_hash_may_be_paid_twice(hub: Bench) -> None:
    hub.twin.traits = ONE_SHOT
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE)
    await hub.pay(bolt11)
    with pytest.raises(TriedAlready):
        await hub.pay(bolt11)


@pytest.mark.parametrize("landed", [True, False])
async def test_a_refusal_does_not_end_what_the_node_has_from_before(hub: Bench, landed: bool) -> None:
    """It said that a payment had failed, which was in flight; and refuses the next attempt as one that it has."""
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LIES)
    assert (await hub.pay(bolt11)).state is State.FAILED
    hub.twin.refuses_known = True
    if landed:
        hub.twin.land(decode_hash(bolt11), well=True)
    again = await hub.pay(bolt11)
    assert again.state is (State.SUCCEEDED if landed else State.UNKNOWN)
    assert hub.twin.sent(again.payment_hash) == HUNDRED


async def test_a_refusal_ends_what_the_node_has_not(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.REFUSED)
    assert (await hub.pay(bolt11)).state is State.FAILED
    assert "does not like it" in (await hub.pay(bolt11)).why
    assert hub.twin.calls["track"] == 1
    hub.twin.fail("pay", Fault.REFUSED)
    hub.twin.fail("track", Fault.LOST_BEFORE)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN


async def test_an_earlier_failure_is_not_the_end_of_the_next_attempt(hub: Bench) -> None:
    """The second is on its way, and the node still tells of the first: sats that may leave stay set aside."""
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.DELAYED)
    await hub.pay(bolt11)
    assert (await hub.pay(bolt11)).state is State.UNKNOWN
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED
    assert hub.twin.sent(decode_hash(bolt11)) == HUNDRED


async def test_an_invoice_that_ran_out_while_it_was_sent_fails_for_good(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LOST_BEFORE)
    await hub.pay(bolt11)
    hub.clock.advance(3_600_001)
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.FAILED
    with pytest.raises(InvoiceExpired):
        await hub.pay(bolt11)


@pytest.mark.parametrize("fault", [Fault.NO_RECEIPT, Fault.WRONG_RECEIPT, Fault.ABSURD])
async def test_a_success_without_a_receipt_or_with_impossible_amounts_moves_nothing(hub: Bench, fault: Fault) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", fault)
    stands = await hub.pay(bolt11)
    assert (stands.state, await hub.has("user:console:owner")) == (State.UNKNOWN, (GRANT, HUNDRED + 2_000))
    assert "no receipt or impossible amounts" in stands.why


async def test_what_the_node_took_beyond_its_limit_is_the_hubs_loss(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.FEE_ABOVE)
    await hub.pay(bolt11)
    assert await hub.has("user:console:owner") == (GRANT - HUNDRED - 2_000, 0)
    assert await hub.has("fees:routing") == (-5_000, 0)


async def test_a_node_that_hangs_is_given_up_and_looked_up_and_its_late_answer_changes_nothing(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.HANGS)
    hub.nursery.spawn(hub.payments.run(), "payments")
    waits = asyncio.ensure_future(hub.pay(bolt11))  # noqa: TID251 - it is awaited
    await hub.until(lambda: hub.twin.hung, 0)
    assert hub.twin.calls["track"] == 0
    hub.clock.advance(PATIENCE_MS)
    assert (await waits).state is State.SENDING
    hub.clock.advance(SILENT_MS)
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED
    hub.twin.release()
    await hub.until(lambda: not hub.payments._busy)
    assert await ended(hub) == [False]
    assert SILENT_MS > 1_000 * NODE_SECONDS


@pytest.mark.parametrize("again", [False, True])
async def test_whoever_leaves_as_it_ends_is_told_by_one_of_both(
    hub: Bench, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """Patience is over in the moment in which the end is being written; or it is written `again`, for another's write fails."""
    if again:
        run, fails = hub.store._run, _Job(_writes_and_fails, asyncio.get_running_loop().create_future())
        monkeypatch.setattr(hub.store, "_run", lambda connection, batch: run(connection, [*batch, fails]))
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.HANGS)
    waits = asyncio.ensure_future(hub.pay(bolt11))  # noqa: TID251 - it is awaited
    await hub.until(lambda: hub.twin.hung, 0)
    write = hub.store.write

    async def slow(work: Callable[[UnitOfWork], object]) -> object:
        hub.store.write = write  # type: ignore[method-assign]
        hub.clock.advance(PATIENCE_MS)
        return await write(work)

    hub.store.write = slow  # type: ignore[method-assign, assignment]
    hub.twin.release()
    told = (await waits).over
    await hub.ends(bolt11)
    assert await ended(hub) == [told]


def _writes_and_fails(tx: UnitOfWork) -> None:
    tx.mark("undone", "")
    raise ZeroDivisionError


@pytest.mark.parametrize("over", [True, False])
async def test_whoever_waits_as_the_disk_is_full_is_told_what_is_known(hub: Bench, over: bool) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.HANGS)
    waits = asyncio.ensure_future(hub.pay(bolt11))  # noqa: TID251 - it is awaited
    await hub.until(lambda: hub.twin.hung, 0)
    write, passes = hub.store.write, iter([over])

    async def full(work: Callable[[UnitOfWork], object]) -> object:
        if next(passes, False):
            return await write(work)
        raise DiskFull(why="full")

    hub.store.write = full  # type: ignore[method-assign, assignment]
    if over:
        hub.twin.release()
    else:
        hub.clock.advance(PATIENCE_MS)
    assert (await waits).over == over
    hub.store.write = write  # type: ignore[method-assign]
    hub.twin.release()
    await hub.ends(bolt11)
    assert await ended(hub) == [over]


async def test_a_late_word_on_an_earlier_attempt_is_none_on_the_next(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.NO_ROUTE, Fault.IN_FLIGHT)
    first = await hub.pay(bolt11)
    second = await hub.pay(bolt11)
    await hub.payments._book(first, Outcome(PayState.FAILED, why="late"))
    assert await hub.stands(bolt11) == second


async def test_nothing_leaves_while_all_is_frozen(hub: Bench) -> None:
    """What was not sent fails; what may have been is not sent again, and goes on afterwards."""
    sent, new = hub.twin.outside_asks(HUNDRED), hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LOST_BEFORE)
    await hub.pay(sent)
    hub.guard.why = "all is frozen"
    assert (await hub.pay(new)).why == "all is frozen"
    hub.nursery.spawn(hub.payments.run(), "payments")
    hub.clock.advance(LAST_LOOK_MS)
    await hub.until(lambda: hub.twin.calls["track"] > 1, 1)
    assert (hub.twin.calls["pay"], (await hub.stands(sent)).over) == (1, False)
    hub.guard.why = ""
    assert (await hub.ends(sent)).state is State.SUCCEEDED


async def test_one_that_cannot_be_looked_up_holds_up_no_other(hub: Bench) -> None:
    poisoned, other = hub.twin.outside_asks(HUNDRED), hub.twin.outside_asks(HUNDRED)
    for bolt11 in (poisoned, other):
        hub.twin.fail("pay", Fault.IN_FLIGHT)
        await hub.pay(bolt11)
    hub.twin.land(decode_hash(other), well=True)
    hub.twin.fail("track", Fault.LOST_BEFORE)
    with pytest.raises(NodeDown):
        await hub.payments.run()
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(other, 0)).state is State.SUCCEEDED


async def test_a_node_that_takes_no_payment_is_asked_at_a_pace(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", *[Fault.LOST_BEFORE] * 1000)
    await hub.pay(bolt11)
    hub.nursery.spawn(hub.payments.run(), "payments")
    for _ in range(50):
        await hub.quiet()
    assert hub.twin.calls["pay"] == 2


async def test_another_node_is_asked_for_nothing(hub: Bench) -> None:
    bolt11 = hub.twin.outside_asks(HUNDRED)
    hub.twin.fail("pay", Fault.LOST_BEFORE)
    await hub.pay(bolt11)
    hub.twin.who = NodeInfo("simulated", "03cc", 1, synced=True)
    with pytest.raises(OtherNode):
        await hub.payments.run()
    assert (hub.twin.calls["pay"], hub.twin.calls["track"]) == (1, 0)


def test_looks_are_later_and_later_and_some_at_a_time() -> None:
    looks, many = Looks(), [bytes([number % 256, number // 256]) for number in range(10_000)]
    assert looks.following() is None
    assert len(looks.due(many, [], 0)) == AT_ONCE
    one = many[0]
    pauses = []
    now = 0
    for _ in range(9):
        assert one in looks.due([one], [], now)
        looks.looked(one, now)
        following = looks.following() or 0
        pauses.append(following - now)
        assert looks.due([one], [], following - 1) == []
        now = following
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert looks.due([one], [], now - 3_600_000) == [one], "the clock was set back"
    assert looks.due([one], [one], now) == []
    assert looks.following() is None, "what is being sent is not looked up"
    assert looks.due([one], [], now) == [one]
    looks.looked(one, now)
    assert looks.following() == now + 60_000, "it kept its pace"
    assert looks.due([], [], now) == []
    assert looks.following() is None


# Our own invoices --------------------------------------------------------------------------------------------------


async def asked(hub: Bench, amount: int = HUNDRED) -> str:
    made = await hub.invoices.create("user:telegram:1", amount, "", actor=ANN.name, conversation="", key=f"i{amount}")
    return made.bolt11


async def test_what_is_sold_to_strangers_is_not_paid_in_the_books(hub: Bench) -> None:
    made = await hub.invoices.sell(HUNDRED, "an answer", 600)
    with pytest.raises(OwnGate):
        await hub.pay(made.bolt11)
    assert await hub.has("user:console:owner") == (to_msat(10_000), 0)
    assert hub.twin.invoices[made.payment_hash].state is InvoiceState.OPEN  # whoever it was offered to can pay it still


async def test_one_of_ours_is_paid_in_the_books(hub: Bench) -> None:
    bolt11 = await asked(hub)
    paid = await hub.pay(bolt11)
    assert (paid.state, paid.fee_limit, paid.fee) == (State.SUCCEEDED, 0, 0)
    assert await hub.has("user:telegram:1") == (to_msat(400), 0)
    assert hub.twin.invoices[paid.payment_hash].state is InvoiceState.CANCELLED
    with pytest.raises(PaysYourself):
        await hub.pay(await asked(hub, to_msat(7)), ANN)
    with pytest.raises(PaidAlready):
        await hub.pay(bolt11)


async def test_whoever_cannot_pay_one_of_ours_takes_nothing_back(hub: Bench) -> None:
    """Else anybody could end the invoices of others."""
    bolt11 = await asked(hub, to_msat(50_000))
    with pytest.raises(NotEnoughSats):
        await hub.pay(bolt11)
    assert hub.twin.calls["cancel"] == 0
    assert hub.twin.outside_pays(decode_hash(bolt11))


async def test_one_of_ours_that_was_paid_outside_is_not_paid_here(hub: Bench) -> None:
    bolt11 = await asked(hub)
    hub.twin.outside_pays(decode_hash(bolt11))
    failed = await hub.pay(bolt11)
    assert (failed.state, await hub.has("user:console:owner")) == (State.FAILED, (GRANT, 0))
    assert await hub.invoices.look(decode_hash(bolt11))
    with pytest.raises(PaidAlready):
        await hub.pay(bolt11)


async def test_one_of_ours_that_a_node_takes_back_after_it_was_paid_is_paid_once(hub: Bench) -> None:
    bolt11 = await asked(hub)
    hub.twin.fail("cancel", Fault.LOST_BEFORE)
    waiting = await hub.pay(bolt11)
    hub.twin.outside_pays(waiting.payment_hash)
    assert await hub.invoices.look(waiting.payment_hash)
    hub.twin.invoices[waiting.payment_hash] = replace(hub.twin.invoices[waiting.payment_hash], state=InvoiceState.OPEN)
    hub.nursery.spawn(hub.payments.run(), "payments")
    failed = await hub.ends(bolt11)
    assert (failed.state, failed.why) == (State.FAILED, "the invoice was paid already")
    assert await hub.has("user:console:owner") == (GRANT, 0)
    assert await hub.has("user:telegram:1") == (to_msat(400), 0)
    await hub.store.write(lambda tx: hub.payments.outgoing.end_inside(tx, waiting))
    assert await hub.stands(bolt11) == failed


async def test_a_node_that_cannot_take_back_is_not_asked(hub: Bench) -> None:
    hub.twin.traits = WHOLE._replace(hold=False)
    bolt11 = await asked(hub)
    with pytest.raises(CannotTakeBack):
        await hub.pay(bolt11)


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
async def test_whether_one_of_ours_was_taken_back_is_asked_again(hub: Bench, fault: Fault) -> None:
    bolt11 = await asked(hub)
    hub.twin.fail("cancel", fault)
    assert (await hub.pay(bolt11)).state is State.SENDING
    compared = await hub.reconciler.compare()
    assert (compared.in_flight, compared.difference) == (0, 0), "it leaves no node"
    hub.nursery.spawn(hub.payments.run(), "payments")
    assert (await hub.ends(bolt11)).state is State.SUCCEEDED
    assert await hub.has("user:telegram:1") == (to_msat(400), 0)


async def test_what_cannot_be_read_is_refused(hub: Bench) -> None:
    assert (await hub.payments.quote(hub.order(hub.twin.outside_asks(HUNDRED)))).most == HUNDRED + 2_000
    with pytest.raises(BadInvoice):
        await hub.pay("lightning")
