"""Rows of money as they are asked for: which count, which do not, and where a window begins and ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.treasury.policy import QUARTER, Flow
from core.wallet.hold import HoldInvoice, State
from core.wallet.invoices import Invoice
from core.wallet.l402 import Terms
from core.wallet.ledger import TREASURY, transfer, user_account
from core.wallet.payment import Payment
from core.wallet.payment import State as Pays
from core.wallet.purchase import Purchase
from core.wallet.purchase import State as Buys
from core.wallet.reconcile import Comparison
from core.wallet.sales import Bundle, Goods, Sold
from tests.fakes import EPOCH
from tests.unit.wallet.small_book import OWNER, granted

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from tests.fakes import FakeClock

ANN, BOB = user_account("telegram:1"), user_account("telegram:2")


async def test_a_comparison_is_read_as_it_was_kept(store: Database) -> None:
    first, second = Comparison(1, 2, 3, 4, coming=5), Comparison(6, 70, 8, 9, coming=10)
    kept = [await store.write(lambda tx, one=one: tx.recon.add(one)) for one in (first, second)]  # type: ignore[misc]
    assert await store.read(lambda tx: tx.recon.newest()) == kept[1] == second._replace(id=2)
    await store.write(lambda tx: tx.recon.booked(2))
    assert await store.read(lambda tx: tx.recon.newest()) == second._replace(id=2, booked=True)


async def test_only_what_is_not_paid_yet_is_paid_to_another_account(store: Database) -> None:
    asked = Invoice(bytes(32), "ln", ANN, 1_000, "", "a", "c", EPOCH, EPOCH)
    paid, other = asked._replace(payment_hash=b"\1" * 32), asked._replace(payment_hash=b"\2" * 32, account="user:x")

    def work(tx: UnitOfWork) -> list[str]:
        for one in (asked, paid, other):
            tx.invoices.add(one)
        tx.invoices.settle(paid.payment_hash, 1_000, EPOCH)
        tx.invoices.hand_over(ANN, BOB)
        found = [tx.invoices.find(one.payment_hash) for one in (asked, paid, other)]
        return [one.account for one in found if one is not None]

    assert await store.write(work) == [BOB, ANN, "user:x"]


async def test_what_was_paid_for_goes_along_to_another_account_and_is_bought_once(store: Database) -> None:
    bought = Purchase(0, "k", ANN, "u", "u", "L402", "t", "ln", bytes(32), 1, EPOCH, Buys.PAID, EPOCH, bytes(32))

    def work(tx: UnitOfWork) -> list[tuple[str, Buys] | None]:
        for number, (account, url, state) in enumerate(
            [
                (ANN, "paid", Buys.PAID), (ANN, "used", Buys.USED), (ANN, "spent", Buys.SPENT), (ANN, "asked", Buys.CHALLENGED),
                (BOB, "paid", Buys.CHALLENGED), (ANN, "both", Buys.PAID), (BOB, "both", Buys.PAID),
                (ANN, "in vain", Buys.UNSERVED), (ANN, "never", Buys.FAILED), (ANN, "maybe", Buys.FAILED),
            ]
        ):  # fmt: skip
            preimage = None if state in {Buys.CHALLENGED, Buys.FAILED} else bytes(32)
            one = replace(
                bought, account=account, url=url, payment_hash=bytes([number] * 32), state=state, preimage=preimage
            )
            tx.purchases.add(one)
        tx.payments.put(
            Payment(bytes([9] * 32), "ln", ANN, "p", 1, False, 0, "", "", "", 0, 0, state=Pays.FAILED, given_up=True)
        )
        theirs = replace(bought, account="user:x", payment_hash=bytes([9] * 32), state=Buys.FAILED, preimage=None)
        tx.purchases.add(theirs)
        tx.purchases.hand_over(ANN, BOB)
        assert tx.purchases.given_up("user:x", "u") is None, "it was offered the same invoice, and did not pay it"
        found = [tx.purchases.find(number) for number in range(1, 11)]
        return [None if one is None else (one.account, one.state) for one in found]

    assert await store.write(work) == [
        (BOB, Buys.PAID), (BOB, Buys.USED), (BOB, Buys.SPENT), (ANN, Buys.CHALLENGED), None, (ANN, Buys.PAID), (BOB, Buys.PAID),
        (BOB, Buys.UNSERVED), (ANN, Buys.FAILED), (BOB, Buys.FAILED),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "payer", "goes"),
    [(Pays.SUCCEEDED, ANN, True), (Pays.FAILED, ANN, False), (Pays.SUCCEEDED, "user:x", False)],
)
async def test_what_is_paid_for_meanwhile_goes_along_before_anybody_asked_for_it_again(
    store: Database, ends: Pays, payer: str, *, goes: bool
) -> None:
    """Whoever asked was told that it is on its way, and to ask again."""
    bought = Purchase(0, "k", ANN, "u", "u", "L402", "t", "ln", bytes(32), 1_000, EPOCH, Buys.PAYING, EPOCH)
    receipt = b"\1" * 32 if ends is Pays.SUCCEEDED else None
    payment = Payment(
        bytes(32), "ln", payer, "p", 1_000, False, 0, "a", "c", "", EPOCH, EPOCH, state=ends, preimage=receipt
    )

    def work(tx: UnitOfWork) -> Purchase | None:
        tx.purchases.add(bought)
        tx.payments.put(replace(payment, ended_at=EPOCH))
        tx.purchases.hand_over(ANN, BOB)
        return tx.purchases.held(BOB, "u", "another")

    found = await store.write(work)
    assert found == (replace(bought, id=1, account=BOB, state=Buys.PAID, preimage=receipt) if goes else None)


@pytest.mark.parametrize("state", [Buys.USED, Buys.SPENT, Buys.UNSERVED, Buys.FAILED])
async def test_what_was_paid_for_and_is_over_stands_as_it_did(store: Database, state: Buys) -> None:
    receipt = None if state is Buys.FAILED else b"\1" * 32
    bought = Purchase(0, "k", ANN, "u", "u", "L402", "t", "ln", bytes(32), 1_000, EPOCH, state, EPOCH, receipt)
    paid = Payment(
        bytes(32), "ln", ANN, "p", 1_000, False, 0, "a", "c", "", EPOCH, EPOCH,
        state=Pays.SUCCEEDED, preimage=b"\1" * 32, ended_at=EPOCH,
    )  # fmt: skip

    def work(tx: UnitOfWork) -> Buys | None:
        tx.purchases.add(bought)
        tx.payments.put(paid)
        tx.purchases.hand_over(ANN, BOB)
        found = tx.purchases.find(1)
        return None if found is None else found.state

    assert await store.write(work) is state


async def test_what_waits_and_what_is_being_taken_is_counted_by_its_state(store: Database) -> None:
    one = HoldInvoice(0, bytes(32), bytes(32), "b", "telegram:1", "telegram:1", "c", "{}", 5_000, EPOCH, EPOCH)

    def work(tx: UnitOfWork) -> tuple[int, int, int, int]:
        for number, state in enumerate(State):
            held = state in {State.HELD, State.TAKING, State.GIVING, State.TAKEN, State.LOST}
            task, received = (number, 1_000 + number) if held else (None, 0)
            new = replace(one, payment_hash=bytes([number] * 32), state=state, task=task, received=received)
            tx.holds.add(new)
        unfinished = len(tx.holds.unfinished())
        return len(tx.holds.waiting("telegram:1")), len(tx.holds.waiting("telegram:2")), tx.holds.taking(), unfinished

    taking = 1_000 + list(State).index(State.TAKING)
    assert await store.write(work) == (2, 0, taking, 5)


async def test_a_window_of_the_treasury_has_its_first_quarter_and_not_its_last(
    store: Database, clock: FakeClock
) -> None:
    begin = EPOCH // QUARTER * QUARTER + QUARTER

    async def earn(at: int, sats: int) -> int:
        clock.advance(at - clock.now())
        entry = transfer(
            f"k{sats}", "sale", user_account(OWNER), TREASURY, sats * 1000, task=None, actor="a", reason=""
        )
        return await store.write(lambda tx: tx.ledger.append(entry))

    await store.write(lambda tx: granted(tx, 100))
    times = (begin - 1, 1), (begin, 2), (begin + QUARTER - 1, 4), (begin + QUARTER, 8)
    entries = [await earn(at, sats) for at, sats in times]
    window = begin, begin + QUARTER
    assert await store.read(lambda tx: tx.flows.between(*window)) == {"sale": Flow(6_000, 0)}
    assert await store.read(lambda tx: tx.flows.between(begin)) == {"sale": Flow(14_000, 0)}
    assert await store.read(lambda tx: tx.flows.whole()) == {"sale": Flow(15_000, 0)}
    reported = await store.read(lambda tx: tx.reports.postings(entries[0], entries[2]))
    assert [one.amount for one in reported if one.amount > 0] == [2_000, 4_000], "after the first, and the last"


GOODS = Goods("ask", "/v1/ask", 5_000, "an answer")
OFFER = Bundle(bytes(32), bytes(32), Terms("ask", 5_000, 3, EPOCH, "/v1/ask"), "one", "ln", EPOCH)


@pytest.mark.parametrize(
    ("client", "goods", "calls", "after", "again"),
    [
        ("one", GOODS, 3, EPOCH - 1, True), ("one", GOODS, 3, EPOCH, False), ("eno", GOODS, 3, 0, False),
        ("one", GOODS, 2, 0, False), ("one", GOODS._replace(price=4_999), 3, 0, False),
        ("one", GOODS._replace(resource="/v1/as"), 3, 0, False), ("one", GOODS._replace(service="as"), 3, 0, False),
    ],
)  # fmt: skip
async def test_an_offer_is_made_again_for_the_very_same_and_while_it_can_be_paid(
    store: Database, client: str, goods: Goods, calls: int, after: int, again: bool
) -> None:
    await store.write(lambda tx: tx.sales.keep(OFFER))
    found = await store.read(lambda tx: tx.sales.offered(client, goods, calls, after))
    assert found == (OFFER if again else None)


async def test_what_was_sold_is_what_was_paid(store: Database) -> None:
    paid = OFFER._replace(token=b"\1" * 32, payment_hash=b"\1" * 32)

    def work(tx: UnitOfWork) -> None:
        tx.sales.keep(OFFER)
        tx.sales.keep(paid)
        tx.sales.keep(paid._replace(settled_at=EPOCH))

    await store.write(work)
    assert await store.read(lambda tx: tx.sales.sold()) == Sold(2, 1, 15_000, 0)
    assert await store.read(lambda tx: tx.sales.offered("one", GOODS, 3, 0)) == OFFER, "what was paid is no offer"
