"""What is said of somebody's sats: what they are held for, and one way to round them wherever they are shown."""

from __future__ import annotations

from dataclasses import replace

from bot import views, views_lightning, views_money, views_treasury
from core.money import to_cost, to_msat
from core.wallet.limits import DAY, Standing
from core.wallet.payment import Payment, State
from core.wallet.wallet import Balance, HistoryLine
from tests.fakes import EPOCH

HALF = 501_500
"""500 sats and 1.5 for the way, msat."""


def test_a_balance_says_what_is_held_for_what() -> None:
    def said(held: int, payments: int) -> str:
        return views.balance(Balance(to_msat(10_000), held, 0, simulated=True, payments=payments)).text

    assert said(0, 0) == "10,000 simulated sats free, 0 sats held for open tasks"
    assert said(to_msat(200), 0) == "9,800 simulated sats free, 200 sats held for open tasks"
    assert said(HALF, HALF) == "9,498 simulated sats free, 502 sats held for payments"
    both = "9,298 simulated sats free, 200 sats held for open tasks, 502 sats held for payments"
    assert said(to_msat(200) + HALF, HALF) == both
    facts = views.balance(Balance(to_msat(10_000), to_msat(200) + HALF, 0, simulated=True, payments=HALF)).data
    assert (facts["balance_sats"], facts["held_sats"]) == (10_000, 702)


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
    bare = views.history([replace(line, reason="")], 10, None, simulated=True)
    assert bare.text.endswith("payment"), "an invoice may say nothing of what it is for"
    spent = Standing("day", to_msat(1000), DAY, {"payment": HALF})
    assert views_money.standing_line(spent) == ("day", "502 of 1,000 sats spent in the last 24 hours")
    assert views_money.standing_facts(spent)["spent_sats"] == 502
    assert views_treasury.parts({"payments": HALF}, to_cost) == "payments 502"
