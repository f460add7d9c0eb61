"""What is said of somebody's sats: what they are held for, and one way to round them wherever they are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot import views, views_lightning, views_money, views_reconcile, views_treasury
from core.events import Event, Kind
from core.money import to_cost, to_msat
from core.wallet.ledger import TREASURY
from core.wallet.limits import DAY, Standing
from core.wallet.payment import Payment, State
from core.wallet.reconcile import Comparison
from core.wallet.suspense import Unclaimed
from core.wallet.wallet import Balance, HistoryLine
from tests.fakes import EPOCH

HALF = 501_500
"""500 sats and 1.5 for the way, msat."""


def test_a_balance_says_what_is_held_for_what() -> None:
    def said(held: int, payments: int) -> str:
        return views.balance(Balance(to_msat(10_000), held, 0, simulated=True, payments=payments)).text

    assert said(0, 0) == "10,000 simulated sats free, 0 sats held for open tasks"
    assert said(to_msat(200), 0) == "9,800 simulated sats free, 200 sats held for open tasks"
    assert said(to_msat(9_999), 0) == "1 simulated sat free, 9,999 sats held for open tasks"
    assert said(HALF, HALF) == "9,498 simulated sats free, 502 sats held for payments"
    both = "9,298 simulated sats free, 200 sats held for open tasks, 502 sats held for payments"
    assert said(to_msat(200) + HALF, HALF) == both
    facts = views.balance(Balance(to_msat(10_000), to_msat(200) + HALF, 0, simulated=True, payments=HALF)).data
    assert (facts["balance_sats"], facts["held_sats"]) == (10_000, 702)


def test_what_waits_in_suspense_is_counted_and_summed_where_it_is_more_than_a_page() -> None:
    def said(count: int) -> str:
        found = [Unclaimed(number, EPOCH, to_msat(7), None, "nobody asked") for number in range(count, 0, -1)]
        waits = views_reconcile.Waiting((), (), found)
        return views_reconcile.compared(Comparison(EPOCH, 0, 0, 0, 1, False, 0), waits, None, simulated=True).text

    assert " more; together " not in said(10)
    assert "\nand 3 more; together 91 sats in suspense: what you give makes room for the next\n" in said(13)
    assert "and at least 90 more; together at least 700 sats in suspense" in said(100)


@pytest.mark.parametrize(
    ("out", "coming", "more"), [(0, 0, ""), (5, 0, ", with what is under way"), (0, 5, ", with what is under way")]
)
def test_a_node_that_has_what_the_books_say_may_have_something_under_way(out: int, coming: int, more: str) -> None:
    found = Comparison(EPOCH, 100, out, 100, coming=coming)
    said = views_reconcile.compared(found, views_reconcile.Waiting((), (), ()), None, simulated=True)
    assert said.text.split("\n")[0] == f"The node has what the books say{more}"


def test_a_payment_says_when_it_was_the_treasurys_and_an_old_page_that_it_has_none() -> None:
    paid = Payment(
        b"h" * 32, "lnbcrt1", TREASURY, "02ab", to_msat(5), chosen=False, fee_limit=0, actor="console:owner",
        conversation="console:owner", reason="", expires_at=EPOCH, at=EPOCH, state=State.SUCCEEDED,
    )  # fmt: skip
    assert views_lightning.payment(paid, simulated=False).text.startswith("Paid 5 sats to 02ab from the treasury; ")
    failed = replace(paid, state=State.FAILED, why="no route")
    assert views_lightning.payment(failed, simulated=False).text.endswith("Nothing left the treasury.")
    earned = replace(failed, account="agent:wren")
    assert views_lightning.payment(earned, simulated=False).text.endswith("Nothing left what wren earned.")
    lost = views_lightning.payment(replace(failed, given_up=True), simulated=False).text
    assert "Nothing left" not in lost
    assert "It may have arrived all the same" in lost
    assert views.history([], 10, None, simulated=False).text == "No movements yet."
    assert views.history([], 10, None, simulated=False, start=1).text.startswith("No movements at or before entry 1.")


def test_the_owners_are_told_how_much_waits_in_suspense_with_what_came() -> None:
    def said(waiting: int) -> str:
        event = Event(Kind.SUSPENSE_CAME, data={"entry": 3, "sats": 70, "waiting_sats": waiting})
        return views_money.told(event, lambda _: ["telegram:1"], simulated=False).reply.text

    assert "They wait in suspense: /reconcile" in said(70)
    assert "They wait in suspense, where 270 sats are in all: /reconcile" in said(270)
    assert said(70).endswith("More that comes today is not told.")


def test_a_fee_is_rounded_up_wherever_it_is_shown() -> None:
    paid = Payment(
        b"h" * 32, "lnbcrt1", "user:telegram:1", "02ab", to_msat(500), chosen=False, fee_limit=5_000, actor="telegram:1",
        conversation="telegram:1", reason="", expires_at=EPOCH, at=EPOCH, state=State.SUCCEEDED, fee=1_500,
    )  # fmt: skip
    reply = views_lightning.payment(paid, simulated=True)
    assert reply.text.endswith("routing took 2 sats")
    assert (reply.data["fee_sats"], reply.data["fee_msat"]) == (2, 1_500)
    line = HistoryLine(1, EPOCH, -HALF, "payment", None, "a book", "node:simulated")
    history = views.history([line], 10, None, simulated=True)
    assert "-502" in history.text
    assert history.data["history"][0]["amount_sats"] == -502  # type: ignore[index,call-overload]
    bare = views.history([line._replace(reason="")], 10, None, simulated=True)
    assert bare.text.endswith("payment"), "an invoice may say nothing of what it is for"
    spent = Standing("day", to_msat(1000), DAY, {"payment": HALF})
    assert views_money.standing_line(spent) == ("day", "502 of 1,000 sats spent in the last 24 hours")
    assert views_money.standing_facts(spent)["spent_sats"] == 502
    assert views_treasury.parts({"payments": HALF}, to_cost) == "payments 502"
